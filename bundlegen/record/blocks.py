"""A document as blocks: what is said, told apart from how it looks in Markdown or HTML. Pure.

Texts may hold `code` between backticks; nothing else in them is markup.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True)
class Points:
    """A list without an order."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows below a head; the first column names the row. ``bulky``: where a text may only be so long, it goes first."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bulky: bool = False


@dataclass(frozen=True)
class Command:
    """A command to be run, as printed, and the lines it says, in order; ``…`` stands for anything."""

    where: str
    text: str
    expected: tuple[str, ...]


@dataclass(frozen=True)
class Picture:
    """An SVG picture, and the same in words."""

    title: str
    svg: str
    words: str


Block: TypeAlias = Paragraph | Points | Table | Command | Picture


@dataclass(frozen=True)
class Section:
    """A heading and what is below it. ``anchor`` names it in links."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """The whole record."""

    title: str
    sections: tuple[Section, ...]

    def commands(self) -> Iterator[Command]:
        """Every command in it, in order."""
        for section in self.sections:
            yield from (block for block in section.blocks if isinstance(block, Command))


def spans(text: str) -> Iterator[tuple[bool, str]]:
    """The pieces of ``text``: (is it code, the words)."""
    for index, piece in enumerate(text.split("`")):
        if piece:
            yield index % 2 == 1, piece
