"""Small things about text for people: tables, sizes, moments, and what a terminal may show. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

_NARROWEST: Final = 10
"""Columns: a day as ``2026-11-22`` is never cut."""


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Columns as wide as their longest cell, two spaces between, nothing after the last. A cell is one line."""
    rows = [tuple(map(one_line, row)) for row in rows]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]
    ]
    return "\n".join(lines)


def fitting(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], width: int) -> str:
    """The same no wider than ``width``, if that is not 0: the widest cells lose their ends, which three dots say."""
    lines = [tuple(map(one_line, row)) for row in [head, *rows]]
    limits = [max(len(line[column]) for line in lines) for column in range(len(head))]
    while width and sum(limits) + 2 * (len(limits) - 1) > width and max(limits) > _NARROWEST:
        limits[limits.index(max(limits))] -= 1
    cut = [
        tuple(cell if len(cell) <= most else f"{cell[: most - 3]}..." for cell, most in zip(line, limits, strict=True))
        for line in lines
    ]
    return table(cut[0], cut[1:])


def size(count: int) -> str:
    """A number of bytes for people: ``27.1 KiB``."""
    amount, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"


def stamp(moment: datetime) -> str:
    """How a moment is written for people and in the record: ``2026-11-22T20:06:27Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def printable(text: str) -> str:
    """``text`` without what could steer a terminal: control characters, and those that reorder what is read."""
    return "".join(each if each == "\n" or not _steers(each) else "?" for each in text)


def one_line(text: str) -> str:
    """The same in one line, so that nothing that was read can look like a line of ours."""
    return "".join("?" if _steers(each) else each for each in text)


def _steers(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] == "C" or category in ("Zl", "Zp")
