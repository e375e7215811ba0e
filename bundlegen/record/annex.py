"""The record in two texts, if one would be longer than ticket systems take. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from bundlegen import layout
from bundlegen.record.blocks import Block, Document, Paragraph, Section, Table

LONGEST: Final = 32767
"""Characters that a text in Jira may have at most."""

_ROWS: Final = (24, 12, 6)


def fits(text: str) -> bool:
    """Whether a ticket system takes ``text``. A form sends each line end as two characters."""
    return len(text) + text.count("\n") <= LONGEST


def texts(document: Document, render: Callable[[Document], str]) -> tuple[str, str]:
    """``document`` as text, and the annex; the latter is empty if all of it fits into one.

    Tables marked as bulky go first, then, if that is not enough, others by their length.
    """
    whole = render(document)
    if fits(whole):
        return whole, ""
    short, moved = split(document)
    for rows in _ROWS:
        if fits(render(short)):
            break
        short, moved = split(document, rows)
    return render(short), render(moved)


def split(document: Document, rows: int | None = None) -> tuple[Document, Document]:
    """``document`` without its bulky tables, and these as a document of their own, below the same headings.

    ``rows``: tables with more rows than that are bulky as well.
    """
    short, moved = [], []
    for section in document.sections:
        bulky = tuple(block for block in section.blocks if _bulky(block, rows))
        if bulky:
            moved.append(replace(section, blocks=bulky))
        short.append(replace(section, blocks=tuple(_pointed(section, rows))) if bulky else section)
    return replace(document, sections=tuple(short)), Document(f"Annex to: {document.title}", tuple(moved))


def _bulky(block: Block, rows: int | None) -> bool:
    return isinstance(block, Table) and (block.bulky or (rows is not None and len(block.rows) > rows))


def _pointed(section: Section, rows: int | None) -> list[Block]:
    """The blocks of ``section``, with one sentence for all of its bulky tables."""
    blocks: list[Block] = []
    pointer = Paragraph(
        f"The long tables of this section are in `{layout.RECORD_ANNEX}`, beside this file: with them this text "
        f"would be longer than the {LONGEST:,} characters that Jira takes."
    )
    for block in section.blocks:
        if not _bulky(block, rows):
            blocks.append(block)
        elif pointer not in blocks:
            blocks.append(pointer)
    return blocks
