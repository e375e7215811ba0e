"""What the record of ``add`` says: new members for a cluster that runs and stays in use. Pure."""

from __future__ import annotations

from typing import Final

from bundlegen.operations import restarts, telling
from bundlegen.record import steps
from bundlegen.record.blocks import Block, Paragraph
from bundlegen.record.schema import Change, Host
from bundlegen.record.story import Story
from bundlegen.record.words import listed, plural, quorum


def _coming(change: Change) -> tuple[str, ...]:
    """The hosts that become members, in the order in which they do."""
    known = {each.name for each in change.members_before}
    return tuple(host.name for host in change.hosts if host.name not in known)


def _summary(change: Change) -> tuple[Block, ...]:
    new, before, after = _coming(change), len(change.members_before), len(change.addresses)
    return (
        Paragraph(
            f"This change adds {listed(new)} to the etcd cluster {change.cluster}, which runs and stays in use: it has "
            f"{plural(before, 'member')} before and {after} afterwards. On each new host one self-extracting bundle is "
            "run: it checks the host, asks every member for its health, adds its own as a learner, which has no vote "
            "yet, lets kubelet start it, waits until it holds all data, and gives it its vote. If that fails, "
            "everything is undone, and the member is taken out of the list again. The other hosts get bundles that "
            "tell them of the new members; nothing is restarted there. The first certificate expires on "
            f"{telling.first_expiry(change)}."
        ),
        *telling.in_short(change),
    )


def _risk(change: Change) -> tuple[Block, ...]:
    new, before, after = _coming(change), len(change.members_before), len(change.addresses)
    spare = after - quorum(after)
    return telling.risks(
        downtime="None: a learner counts for no quorum, and it votes only once it holds all data.",
        restarts=f"On {listed(new)} kubelet is enabled and restarted: its unit then runs static Pods only. On the "
        "other hosts: nothing. No reboot.",
        quorum=f"{quorum(before)} of {plural(before, 'member')} must serve before, {quorum(after)} of {after} "
        f"afterwards, so that the loss of {plural(spare, 'member')} is borne. Each new bundle asks every member itself "
        "and refuses, untouched, if one does not serve, is unknown, or is a learner still (exit code 11).",
        failing="A new host's bundle that fails takes its member out of the list, undoes the rest, and says so (exit "
        "code 13). Run it again when the reason is gone.",
        order="The new hosts one after the other, in the order of this record: each is born into the list as it is "
        "then. The others at any time; until then their health report says that etcd has a member more than they know.",
    )


def _before(change: Change) -> tuple[Block, ...]:
    return (*steps.before(change), *restarts.expected(change))


def _execution(change: Change) -> tuple[Block, ...]:
    new = _coming(change)
    return (
        Paragraph("Run the bundles in this order, each when the one before has ended with exit code 0."),
        telling.in_order(
            change,
            "What happens",
            lambda host: "becomes a member" if host.name in new else "learns of the new members; nothing restarts",
        ),
        *steps.runs(change, lambda host: (_level(change, host),)),
    )


def _level(change: Change, host: Host) -> str:
    """As ``level_text`` in ``templates/install/health/report.sh`` says it after each host of a run in order."""
    new = _coming(change)
    if host.name not in new or host.name == new[-1]:
        return steps.healthy(change)
    total = len(change.addresses)
    there = len(change.members_before) + new.index(host.name) + 1
    following = next(each for each in change.hosts if each.name == new[new.index(host.name) + 1])
    return (
        f"This member is healthy; {there} of {total} members answer so far. If it is not installed yet, run "
        f"{following.bundle} on {following.name} ({following.address}) next."
    )


def _after(change: Change) -> tuple[Block, ...]:
    return (
        *steps.after(change),
        Paragraph(
            f"Then tell the API servers of {listed(_coming(change))}: `--etcd-servers` on every control plane, and "
            "`etcd.external.endpoints` in kubeadm's ClusterConfiguration. They go on working until that is done."
        ),
    )


def _way_back(change: Change) -> tuple[Block, ...]:
    intro = (
        "To take the change back after success, take the new hosts out of the API servers' settings first; then, one "
        "after the other, the others first and the new hosts last, the one that came last first. A new host's bundle "
        "asks every member before, and refuses if the cluster would lose its quorum."
    )
    stays = (
        "What clients have written to etcd meanwhile stays, on the other members.",
        f"The new members' data is moved aside (`{change.data_dir}.bundlegen-…`), neither deleted nor used again.",
        telling.RECEIPTS_STAY,
        "The private keys have been on the host's disk; removing a file does not wipe the disk.",
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
