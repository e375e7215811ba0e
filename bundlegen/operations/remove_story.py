"""What the record of ``remove`` says: members leave a cluster that runs and stays in use. Pure."""

from __future__ import annotations

from typing import Final

from bundlegen import layout
from bundlegen.operations import restarts, telling
from bundlegen.record import steps
from bundlegen.record.blocks import Block, Command, Paragraph, Points
from bundlegen.record.schema import Change, Host
from bundlegen.record.story import Story
from bundlegen.record.words import listed, plural, quorum


def _going(change: Change) -> tuple[str, ...]:
    """The members that leave, in order."""
    stay = {each.name for each in change.addresses}
    return tuple(each.name for each in change.members_before if each.name not in stay)


def _own(change: Change) -> tuple[Host, ...]:
    """Those of them that have a bundle of their own; none where another host takes them out."""
    going = _going(change)
    return tuple(host for host in change.hosts if host.name in going)


def _how(change: Change) -> str:
    if _own(change):
        return (
            "On each host that leaves one self-extracting bundle is run: it asks every member for its health, takes a "
            "snapshot, hands over the lead if its member has it, takes its member out of the list, stops etcd, moves "
            "its data aside, and takes away what bundlegen has put there."
        )
    return (
        f"Their hosts are gone, so the bundle of {change.hosts[0].name} takes them out of the list, once it has seen "
        "that they do not answer."
    )


def _summary(change: Change) -> tuple[Block, ...]:
    going, before, after = _going(change), len(change.members_before), len(change.addresses)
    return (
        Paragraph(
            f"This change removes {listed(going)} from the etcd cluster {change.cluster}, which runs and stays in use: "
            f"it has {plural(before, 'member')} before and {after} afterwards. {_how(change)} The other hosts get "
            "bundles that tell them; nothing is restarted there. The first certificate expires on "
            f"{telling.first_expiry(change)}."
        ),
        *telling.in_short(change),
    )


def _risk(change: Change) -> tuple[Block, ...]:
    going, after = _going(change), len(change.addresses)
    spare = after - quorum(after)
    bears = f"the loss of {plural(spare, 'member')}" if spare else "the loss of no member"
    return telling.risks(
        downtime="None for the cluster. Connections to a member that leaves are closed.",
        restarts=f"On {listed(going)} etcd ends for good, and kubelet is as it was before bundlegen. On the other "
        "hosts: nothing. No reboot.",
        quorum=f"Afterwards {quorum(after)} of {plural(after, 'member')} must serve; {bears} is borne. Every member is "
        "asked itself before one is taken out; if one that stays does not serve, nothing is touched (exit code 11). "
        "The last member is never removed.",
        failing="Before the member is out of the list, nothing is changed. After that there is no way back but to add "
        "the host again; a run that was stopped goes on where it was.",
        order="Those that leave one after the other, in the order of this record. The others at any time; until then "
        "their health report says that a member is none any more.",
    )


def _before(change: Change) -> tuple[Block, ...]:
    return (
        Paragraph(
            f"Take {listed(_going(change))} out of the API servers' settings first: `--etcd-servers` on every control "
            "plane, and `etcd.external.endpoints` in kubeadm's ClusterConfiguration."
        ),
        *steps.before(change),
        *restarts.expected(change),
    )


def _execution(change: Change) -> tuple[Block, ...]:
    own = _own(change)
    leave = [
        Command(
            f"On {host.name}, as root, {steps.HERE}",
            f"sh {host.bundle}",
            ("…", f"{host.name} is no member any more", *telling.DONE),
        )
        for host in own
    ]
    return (
        Paragraph("Run the bundles in this order, each when the one before has ended with exit code 0."),
        telling.in_order(change, "What happens", lambda host: _what(change, host)),
        *leave,
        *steps.runs(_staying(change), lambda _: (steps.healthy(change),)),
    )


def _what(change: Change, host: Host) -> str:
    if host in _own(change):
        return "leaves the cluster"
    if not _own(change) and host == change.hosts[0]:
        return f"takes {listed(_going(change))} out; nothing restarts"
    return "learns of it; nothing restarts"


def _after(change: Change) -> tuple[Block, ...]:
    return steps.after(_staying(change))


def _staying(change: Change) -> Change:
    """The same, as the hosts see it that do not leave."""
    own = _own(change)
    return change.model_copy(update={"hosts": tuple(host for host in change.hosts if host not in own)})


def _way_back(change: Change) -> tuple[Block, ...]:
    return (
        Paragraph(
            "There is none: etcd bans the identity of a member that was removed for ever. To have "
            f"{listed(_going(change))} again, put the host back into the specification, which makes the change `add`. "
            "Before a member has left, `bundlegen withdraw` takes the change back. What the removed member held is on "
            f"its host, in `{change.data_dir}.bundlegen-…`."
        ),
        Points(
            (
                "On the hosts that stay, `rollback` of their bundles only makes them forget what they were told.",
                f"The receipts stay in `{layout.state_dir(change.cluster)}/receipts/`, as the record of what was done.",
            )
        ),
    )


STORY: Final = Story(
    title=telling.title,
    summary=_summary,
    risk=_risk,
    before=_before,
    execution=_execution,
    after=_after,
    way_back=_way_back,
)
