"""The record as Markdown that pastes into ServiceNow, Jira and GitLab: plain tables, fenced commands, no HTML. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bundlegen.record.blocks import Block, Command, Document, Paragraph, Picture, Points, Table, spans

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def render(document: Document) -> str:
    """``CHANGE.md``."""
    parts = [f"# {inline(document.title)}"]
    for section in document.sections:
        parts.append(f"## {inline(section.title)}")
        parts += [part for block in section.blocks for part in _block(block)]
    return "\n\n".join(parts) + "\n"


def inline(text: str) -> str:
    """``text`` with everything escaped that Markdown would read as its own; code in backticks."""
    return "".join(f"`{words}`" if code else _SPECIAL.sub(r"\\\1", words) for code, words in spans(text))


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Paragraph):
        yield inline(block.text)
    elif isinstance(block, Points):
        yield "\n".join(f"* {inline(item)}" for item in block.items)
    elif isinstance(block, Table):
        yield f"**{inline(block.caption)}**" if "`" not in block.caption else inline(block.caption)
        yield _table(block)
    elif isinstance(block, Command):
        yield f"{inline(block.where)}:"
        yield f"```sh\n{block.text}\n```"
        if block.expected:
            lines = "\n".join(block.expected)
            yield "It says (… stands for anything):"
            yield f"```text\n{lines}\n```"
    else:
        yield from _picture(block)


def _picture(picture: Picture) -> Iterator[str]:
    yield f"**{inline(picture.title)}** (drawn in change.html)"
    yield inline(picture.words)


def _table(table: Table) -> str:
    rows = [table.head, ("---",) * len(table.head), *table.rows]
    cells = [row if index == 1 else tuple(_cell(cell) for cell in row) for index, row in enumerate(rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _cell(text: str) -> str:
    # Inside a table a bar ends the cell even in code.
    return "".join(
        f"`{words.replace('|', '&#124;')}`" if code else _SPECIAL.sub(r"\\\1", words) for code, words in spans(text)
    )
