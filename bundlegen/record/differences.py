"""What a change changes: in the specification, on the hosts, and what that costs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from bundlegen import layout
from bundlegen.bundle.effects import WORDS
from bundlegen.record.blocks import Block, Paragraph, Points, Table
from bundlegen.record.schema import Change, Compared
from bundlegen.record.words import listed, plain

NOTHING = "(none)"
_Item = TypeVar("_Item")


def told(change: Change) -> tuple[Block, ...]:
    """Everything that is different from the change before, or from the one that was given to compare with."""
    return (*_edits(change), *(_compared(change.compared_with) if change.compared_with else ()))


def named(change: Change, most: int = 6) -> tuple[str, ...]:
    """The differences of the specification, one a line; at most so many."""
    lines = [
        f"{plain(each.field)}: {plain(each.old) or NOTHING} → {plain(each.new) or NOTHING}"
        for each in change.differences
    ]
    more = len(lines) - most
    return (*lines[:most], *([f"and {more} more, see below"] if more > 0 else []))


def _edits(change: Change) -> Iterator[Block]:
    if change.differences:
        rows = tuple(
            (plain(each.field), plain(each.old) or NOTHING, plain(each.new) or NOTHING) for each in change.differences
        )
        yield Table("What is different in the specification", ("Field", "Before", "After"), rows)


def _compared(found: Compared) -> Iterator[Block]:
    """What is different on the hosts; what is the same on all of them, once."""
    if found.change is not None:
        yield Paragraph(f"Compared with the change {found.change}, as the store knows it.")
    elif found.sha256 is not None:
        yield Paragraph(f"Compared with the change whose `{layout.SUMS}` has the SHA-256 `{found.sha256}`.")
    hosts = [f"{name} is no member any more." for name in found.hosts_gone]
    hosts += [f"{name} is new." for name in found.hosts_added]
    if hosts:
        yield Points(tuple(hosts))
    changes = _everywhere((host.name, host.changes) for host in found.hosts)
    if changes:
        rows = tuple(
            (plain(each.what), _where(names, found), plain(each.old) or NOTHING, plain(each.new) or NOTHING)
            for each, names in changes
        )
        yield Table("What is different on the hosts", ("What", "On", "Before", "After"), rows)
        yield from _costs(found)
    elif not hosts:
        yield Paragraph("Nothing changes on any host.")


def _costs(found: Compared) -> Iterator[Block]:
    files = _everywhere((host.name, host.files) for host in found.hosts)
    if files:
        rows = tuple(
            (f"`{each.path}`", _where(names, found), f"{WORDS[each.effect]}: {plain(each.why)}")
            for each, names in files
        )
        yield Table("Files that are replaced, and what that costs", ("File", "On", "Cost"), rows)
    yield Paragraph("Restarts that this needs:")
    restarts = _everywhere((host.name, (host.restarts,)) for host in found.hosts)
    yield Points(tuple(f"{listed(names)}: {listed(what) if what else 'none'}" for what, names in restarts))


def _everywhere(found: Iterable[tuple[str, Iterable[_Item]]]) -> list[tuple[_Item, list[str]]]:
    """Each thing once, in the order in which it is met first, with the hosts that have it."""
    where: dict[_Item, list[str]] = {}
    for name, items in found:
        for item in items:
            where.setdefault(item, []).append(name)
    return list(where.items())


def _where(names: list[str], found: Compared) -> str:
    if len(found.hosts) < 2 or len(names) < len(found.hosts):
        return ", ".join(names)
    return "all that are in both" if found.hosts_gone or found.hosts_added else f"all {len(names)}"
