"""What the record of ``configure`` says: a cluster that runs, changed host by host. Pure."""

from __future__ import annotations

from typing import Final

from bundlegen import layout
from bundlegen.record import steps, tables
from bundlegen.record.blocks import Block, Command, Paragraph, Points, Table
from bundlegen.record.document import plural
from bundlegen.record.schema import Change
from bundlegen.record.story import Story

_HERE = "in the folder that holds the bundle"


def _title(change: Change) -> str:
    return f"Change {change.change} of etcd cluster {change.cluster}"


def _summary(change: Change) -> tuple[Block, ...]:
    count = len(change.hosts)
    expiry = tables.day(min(host.first_expiry for host in change.hosts))
    return (
        Paragraph(
            f"This change configures the etcd cluster {change.cluster}, which runs, on {plural(count, 'host')}. On "
            "each host one self-extracting bundle is run: it checks the host, replaces the files that differ, restarts "
            "only what reads them at its start, waits until the new etcd is healthy, and undoes everything if it does "
            f"not become so. Of the hosts in this change, the first certificate expires on {expiry}."
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
    asked = (
        "Before etcd is restarted on a host, every other voting member is asked for its health. If the cluster would "
        "lose its quorum without this member, nothing is touched (exit code 11)."
    )
    failing = (
        "A bundle that fails on its host undoes what it did there by itself and says so (exit code 13). The other "
        "hosts are not touched by that."
    )
    rows = (
        ("Hosts", ", ".join(host.name for host in change.hosts)),
        ("Downtime", "None if the bundles are run one host after the other: the other members go on serving."),
        ("Quorum", asked),
        ("If it fails", failing),
        ("Run again", "Running a bundle a second time changes nothing and restarts nothing."),
        ("Wrong host", "A bundle refuses every machine but its own (exit code 10), and touches nothing there."),
    )
    return (Table("What may happen", ("Question", "Answer"), rows),)


def _execution(change: Change) -> tuple[Block, ...]:
    receipt = f"Receipt: {layout.state_dir(change.cluster)}/receipts/…-install.json"
    return (
        Paragraph(
            "Run the bundles one host after the other, each when the one before has ended with exit code 0. Any order "
            "of the hosts is possible."
        ),
        *(
            Command(f"On {host.name}, as root, {_HERE}", f"sh {host.bundle}", ("…", receipt, "…"))
            for host in change.hosts
        ),
    )


def _way_back(change: Change) -> tuple[Block, ...]:
    return (
        Paragraph(
            "A failed run undoes itself. To take the change back after success, one host after the other, on the hosts "
            "that have run it. On the others there is nothing to undo, and nothing is touched."
        ),
        *(
            Command(
                f"On {host.name}, as root, {_HERE}",
                f"sh {host.bundle} -- rollback",
                ("…", "Done: this host is as it was before."),
            )
            for host in reversed(change.hosts)
        ),
        Paragraph("What it cannot undo:"),
        Points(("The receipts stay, as the record of what was done.",)),
    )


STORY: Final = Story(
    title=_title,
    summary=_summary,
    risk=_risk,
    before=steps.before,
    execution=_execution,
    after=steps.after,
    way_back=_way_back,
)
