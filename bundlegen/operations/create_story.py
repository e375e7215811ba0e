"""What the record of ``create`` says: a new cluster, which nobody uses yet. Pure."""

from __future__ import annotations

from typing import Final

from bundlegen.record import steps, tables
from bundlegen.record.blocks import Block, Paragraph, Table
from bundlegen.record.document import plural, quorum
from bundlegen.record.schema import Change
from bundlegen.record.story import Story


def _title(change: Change) -> str:
    return f"Change {change.change} of etcd cluster {change.cluster}"


def _summary(change: Change) -> tuple[Block, ...]:
    count = len(change.hosts)
    expiry = tables.day(min(host.first_expiry for host in change.hosts))
    return (
        Paragraph(
            f"This change creates the etcd cluster {change.cluster} with {plural(count, 'member')} for Kubernetes "
            f"{change.kubernetes_version}. On each host one self-extracting bundle is run: it checks the host, places "
            "keys, certificates and the kubelet's configuration, lets the kubelet start etcd as a static Pod, waits "
            "until it is healthy, and undoes everything if it does not become so. It needs no network but the "
            f"members' own. The first certificate expires on {expiry}."
        ),
        Table(
            "The change in short",
            ("What", "Value"),
            (
                ("Cluster", change.cluster),
                ("Change", change.change),
                ("Kubernetes version", change.kubernetes_version),
                ("etcd image", f"`{change.etcd_image}`"),
                ("Hosts, in order of execution", ", ".join(host.name for host in change.hosts)),
                ("Issued (the “today” of this record)", tables.day(change.issued_at)),
                ("First certificate expires", expiry),
            ),
        ),
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
    elsewhere = (
        "None for anything that runs elsewhere: the cluster is new and nobody uses it yet. A host that holds data of "
        "another etcd is refused, untouched."
    )
    restarts = (
        "On each host the kubelet is enabled and restarted once. Its unit then runs static Pods only: a host that is a "
        "node of a Kubernetes cluster is not fit for this. No reboot."
    )
    serving = (
        f"etcd starts to serve when {need} of {plural(count, 'member')} run; until then the first hosts wait, which is "
        f"success. {survives}"
    )
    failing = (
        "A bundle that fails on its host undoes what it did there by itself and says so (exit code 13). The other "
        "hosts are not touched by that."
    )
    rows = (
        ("Downtime", elsewhere),
        ("Restarts", restarts),
        ("Quorum", serving),
        ("If it fails", failing),
        ("Run again", "Running a bundle a second time changes nothing and restarts nothing."),
        ("Wrong host", "A bundle refuses every machine but its own (exit code 10), and touches nothing there."),
    )
    return (Table("What may happen", ("Question", "Answer"), rows),)


STORY: Final = Story(
    title=_title,
    summary=_summary,
    risk=_risk,
    before=steps.before,
    execution=steps.execution,
    after=steps.after,
    way_back=steps.rollback,
)
