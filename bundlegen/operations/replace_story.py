"""What the record of ``replace`` says: a lost member comes back to a cluster that runs. Pure."""

from __future__ import annotations

from typing import Final

from bundlegen.operations import restarts, telling
from bundlegen.record import steps
from bundlegen.record.blocks import Block, Paragraph
from bundlegen.record.schema import Change, Host
from bundlegen.record.story import Story
from bundlegen.record.words import plural, quorum


def _host(change: Change) -> Host:
    """The one that is replaced is the first."""
    return change.hosts[0]


def _old_address(change: Change) -> str:
    """Its address before, if that was another one."""
    host = _host(change)
    found = next((each.address for each in change.members_before if each.name == host.name), host.address)
    return "" if found == host.address else found


def _summary(change: Change) -> tuple[Block, ...]:
    host, old = _host(change), _old_address(change)
    moved = (
        f" Its address was {old}. Where its data is still there, it keeps its identity, and only its address changes. "
        "The other hosts get bundles that tell them of it; nothing is restarted there."
        if old
        else ""
    )
    return (
        Paragraph(
            f"This change replaces the member of {host.name} ({host.address}) in the etcd cluster {change.cluster}, "
            "which runs and stays in use: its disk, machine or address is another one. Its bundle asks every other "
            "member for its health, takes the lost member out of the list, adds a new one as a learner, lets "
            "kubelet start it, waits until it holds all data, and gives it its vote. It gets new keys. What is left of "
            f"the lost member's data is moved aside, never deleted.{moved} The first certificate expires on "
            f"{telling.first_expiry(change)}."
        ),
        *telling.in_short(change),
    )


def _risk(change: Change) -> tuple[Block, ...]:
    host, count = _host(change), len(change.addresses)
    others = count - 1
    return telling.risks(
        downtime="None, as long as the other members serve.",
        restarts=f"On {host.name} kubelet is enabled and restarted. On other hosts: nothing. No reboot.",
        quorum=f"From when the lost member is taken out until the new one has its vote, {quorum(others)} of "
        f"{plural(others, 'member')} must serve. RESTART NO OTHER MEMBER meanwhile. The bundle refuses, untouched, if "
        "the member that is to be replaced answers, or another one does not (exit code 11).",
        failing="A run that fails takes the new member out of the list again, undoes the rest and says so (exit code "
        "13). The lost member does not come back by that: run the bundle again when the reason is gone.",
        order=f"{host.name} first, the others at any time." if len(change.hosts) > 1 else "",
    )


def _before(change: Change) -> tuple[Block, ...]:
    host = _host(change)
    return (
        Paragraph(
            f"Make sure that {host.name} is lost: if only its disk is not mounted, mount it, and leave this change. A "
            "member that runs with wrong data is stopped first: `systemctl stop kubelet` and `pkill -x etcd` on its "
            "host."
        ),
        *steps.before(change),
        *restarts.expected(change),
    )


def _execution(change: Change) -> tuple[Block, ...]:
    first = _host(change)
    return (
        Paragraph("Run the bundles in this order, each when the one before has ended with exit code 0."),
        telling.in_order(
            change,
            "What happens",
            lambda host: "becomes a member anew" if host == first else "learns of its address; nothing restarts",
        ),
        *steps.runs(change, lambda _: (steps.healthy(change),)),
    )


def _after(change: Change) -> tuple[Block, ...]:
    blocks = list(steps.after(change))
    if _old_address(change):
        blocks.append(
            Paragraph(
                f"Then tell the API servers of the new address of {_host(change).name}: `--etcd-servers` on every "
                "control plane, and `etcd.external.endpoints` in kubeadm's ClusterConfiguration."
            )
        )
    return tuple(blocks)


def _way_back(change: Change) -> tuple[Block, ...]:
    intro = (
        "The lost member itself never comes back: etcd bans its identity for ever. Taking the change back after "
        "success takes the new member out of the cluster, if the others can bear it, and leaves the host without one; "
        "its bundle can be run again."
    )
    stays = (
        "The lost member stays out of the list.",
        "What clients have written to etcd meanwhile stays, on the other members.",
        f"The new member's data is moved aside (`{change.data_dir}.bundlegen-…`), neither deleted nor used again.",
        telling.RECEIPTS_STAY,
    )
    return telling.way_back(change, intro, stays, copy=False)


STORY: Final = Story(
    title=telling.title,
    summary=_summary,
    risk=_risk,
    before=_before,
    execution=_execution,
    after=_after,
    way_back=_way_back,
)
