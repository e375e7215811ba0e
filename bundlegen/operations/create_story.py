"""What the record of ``create`` says: a new cluster, which nobody uses yet. Pure."""

from __future__ import annotations

from typing import Final

from bundlegen import layout
from bundlegen.operations import telling
from bundlegen.record import steps
from bundlegen.record.blocks import Block, Command, Paragraph, Points, Table
from bundlegen.record.schema import Change, Host
from bundlegen.record.story import Story
from bundlegen.record.words import plural, quorum


def _summary(change: Change) -> tuple[Block, ...]:
    compared = " What is different from the change that it is compared with comes next." if change.compared_with else ""
    return (
        Paragraph(
            f"This change creates the etcd cluster {change.cluster} with {plural(len(change.hosts), 'member')} for "
            f"Kubernetes {change.kubernetes_version}. On each host one self-extracting bundle is run: it checks the "
            "host, places keys, certificates and the kubelet's configuration, lets the kubelet start etcd as a static "
            "Pod, waits until it is healthy, and undoes everything if it does not become so. It needs no network but "
            f"the members' own. The first certificate expires on {telling.first_expiry(change)}.{compared}"
        ),
        *telling.in_short(change),
    )


def _risk(change: Change) -> tuple[Block, ...]:
    count = len(change.hosts)
    need = quorum(count)
    spare = count - need
    survives = (
        "Afterwards it bears the loss of no member: one host that fails, fails the cluster."
        if spare == 0
        else f"Afterwards it bears the loss of {plural(spare, 'member')} of {count}."
    )
    return telling.risks(
        downtime="None for anything that runs elsewhere: the cluster is new and nobody uses it yet. A host that holds "
        "data of another etcd is refused, untouched.",
        restarts="On each host the kubelet is enabled and restarted once. Its unit then runs static Pods only: a host "
        "that is a node of a Kubernetes cluster is not fit for this. No reboot.",
        quorum=f"etcd starts to serve when {need} of {plural(count, 'member')} run; until then the first hosts wait, "
        f"which is success. {survives}",
        failing="A bundle that fails on its host undoes what it did there by itself and says so (exit code 13). The "
        "other hosts are not touched by that.",
        order="",
    )


def _execution(change: Change) -> tuple[Block, ...]:
    rows = tuple(
        (str(number), host.name, f"`{host.address}`", f"`{host.bundle}`")
        for number, host in enumerate(change.hosts, start=1)
    )
    return (
        Paragraph("Run the bundles in this order, each when the one before has ended with exit code 0."),
        Table("Order of execution", ("Step", "Host", "Address", "Bundle"), rows),
        *steps.runs(change, lambda host: (_level(change, host),)),
    )


def _level(change: Change, host: Host) -> str:
    """As ``level_text`` in ``templates/install/health/report.sh`` says it after each host of a run in order."""
    count, running = len(change.hosts), change.hosts.index(host) + 1
    need = quorum(count)
    if running == count:
        return steps.healthy(change)
    following = change.hosts[running]
    step = f"If it is not installed yet, run {following.bundle} on {following.name} ({following.address}) next."
    if running < need:
        return f"{running} of {count} members run so far; etcd starts to serve when {need} do. {step}"
    return f"This member is healthy; … of {count} members answer so far. {step}"


def _way_back(change: Change) -> tuple[Block, ...]:
    done = ("…", "Done: this host is as it was before.")
    copy = f"{layout.state_dir(change.cluster)}/bundle/{layout.INSTALLER}"
    return (
        Paragraph("A failed run undoes itself. To take the change back after success, in the reverse order:"),
        *(
            Command(f"On {host.name}, as root, {steps.HERE}", f"sh {host.bundle} -- rollback", done)
            for host in reversed(change.hosts)
        ),
        Paragraph(
            "If the bundle is not at hand, the copy that it left on its host does the same, as long as no later change "
            "has been run there:"
        ),
        Command(f"{steps.on(change.hosts[::-1])}, as root", f"bash {copy} rollback", done),
        Paragraph("What it cannot undo:"),
        Points(
            (
                f"etcd's data is moved aside (`{change.data_dir}.bundlegen-…`), neither deleted nor put to use again.",
                "What clients have written to the cluster in the meantime is in that data alone.",
                "The receipts stay, as the record of what was done.",
                "The private keys have been on the host's disk; removing a file does not wipe the disk.",
                "With fewer than a majority of members left, the remaining ones stop serving.",
            )
        ),
    )


STORY: Final = Story(
    title=telling.title,
    summary=_summary,
    risk=_risk,
    before=steps.before,
    execution=_execution,
    after=steps.after,
    way_back=_way_back,
)
