"""What the stories of several operations say alike. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from bundlegen import layout
from bundlegen.record import differences, steps, tables
from bundlegen.record.blocks import Block, Command, Paragraph, Points, Table
from bundlegen.record.schema import Change, Host


def title(change: Change) -> str:
    """The record's title."""
    return f"Change {change.change} of etcd cluster {change.cluster}"


def first_expiry(change: Change) -> str:
    """The day on which the first certificate of the hosts that take part expires."""
    return tables.day(min(host.first_expiry for host in change.hosts))


def in_short(change: Change) -> tuple[Block, ...]:
    """What changes, by name, and the change as a table."""
    named = differences.named(change)
    rows = [
        ("Cluster", change.cluster),
        ("Change", change.change),
        *([("Follows the change", change.after)] if change.after else []),
        ("Kubernetes version", change.kubernetes_version),
        ("etcd image", f"`{change.etcd_image}`"),
        ("Hosts, in order of execution", ", ".join(host.name for host in change.hosts)),
        ("Issued (the “today” of this record)", tables.day(change.issued_at)),
        ("First certificate expires", first_expiry(change)),
    ]
    return (
        *([Points(named)] if named else []),
        Table("The change in short", ("What", "Value"), tuple(rows)),
    )


def risks(*, downtime: str, restarts: str, quorum: str, failing: str, order: str) -> tuple[Block, ...]:
    """What may happen, as questions and answers; what every bundle does is added. ``order``: empty if it is fixed."""
    rows = (
        ("Downtime", downtime),
        ("Restarts", restarts),
        ("Quorum", quorum),
        ("If it fails", failing),
        *([("Order", order)] if order else []),
        ("Run again", "Running a bundle a second time changes nothing and restarts nothing."),
        ("Wrong host", "A bundle refuses every machine but its own (exit code 10), and touches nothing there."),
    )
    return (Table("What may happen", ("Question", "Answer"), rows),)


DONE: Final = ("…", "Done: this host is as it was before.")
"""What a rollback says at its end."""

DATA_STAYS: Final = "What clients have written to etcd meanwhile stays; no data is moved or deleted."
RECEIPTS_STAY: Final = "The receipts stay, as the record of what was done."
KEYS_WERE_THERE: Final = "The new private keys have been on the host's disk; removing a file does not wipe the disk."


def way_back(
    change: Change, intro: str, stays: tuple[str, ...], *, copy: bool = True, more: tuple[str, ...] = ()
) -> tuple[Block, ...]:
    """How the change is taken back after success. ``intro``: who does it, and when; ``stays``: what cannot be undone.

    ``copy``: whether the copy of the bundle on its host can do it too; ``more``: until when there is this way.
    """
    return (
        Paragraph(f"A failed run undoes itself. {intro}"),
        *undone_by_the_bundle(change),
        *(with_the_copy(change) if copy else ()),
        *map(Paragraph, more),
        Paragraph("What it cannot undo:"),
        Points(stays),
    )


def in_order(change: Change, column: str, told: Callable[[Host], str]) -> Table:
    """The bundles in the order in which they are run. ``told``: what the last column, called ``column``, says."""
    rows = tuple(
        (str(number), host.name, f"`{host.address}`", f"`{host.bundle}`", told(host))
        for number, host in enumerate(change.hosts, start=1)
    )
    return Table("Order of execution", ("Step", "Host", "Address", "Bundle", column), rows)


def undone_by_the_bundle(change: Change) -> Iterator[Block]:
    """Each bundle takes back what it did; on a host that has not run it, it touches nothing."""
    for host in reversed(change.hosts):
        yield Command(f"On {host.name}, as root, {steps.HERE}", f"sh {host.bundle} -- rollback", DONE)
    yield Paragraph(
        "On a host that has not run it, the same command undoes nothing, and says “Nothing to roll back: there is "
        "nothing on this host that this bundle did.” Nothing is touched there, and what earlier changes did stays."
    )


def with_the_copy(change: Change) -> Iterator[Block]:
    """The installed copy goes back to a change by name: without one, it would undo what is newest, whatever that is."""
    copy = f"{layout.state_dir(change.cluster)}/bundle/{layout.INSTALLER}"
    known = [host for host in reversed(change.hosts) if host.after]
    for name in dict.fromkeys(host.after for host in known):
        hosts = [host for host in known if host.after == name]
        yield Paragraph(
            "If the bundle is not at hand, the copy that it left on its host goes back to the change before; without "
            "`--yes` it says first what that costs, and asks:"
        )
        yield Command(f"{steps.on(hosts)}, as root", f"bash {copy} rollback --to {name} --yes", DONE)
