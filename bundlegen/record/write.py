"""Everything a change folder holds beside the bundles, from its record. Pure."""

from __future__ import annotations

from collections.abc import Callable

from bundlegen import layout
from bundlegen.record import annex, calendar, document, make, markdown, page
from bundlegen.record.blocks import Document
from bundlegen.record.schema import Change
from bundlegen.record.story import Story


def render(change: Change, source: Callable[[str], str], story: Story) -> dict[str, bytes]:
    """The documents by file name, ``change.json`` first. ``source`` gives the templates;
    ``story`` is that of the change's operation."""
    told = document.document(change, story)
    return {
        layout.RECORD: make.dump(change),
        **_texts(told),
        layout.RECORD_HTML: page.render(told, source).encode(),
        layout.RECORD_CALENDAR: calendar.render(change).encode(),
    }


def _texts(told: Document) -> dict[str, bytes]:
    """``CHANGE.md``, and an annex if it would be too long for ticket systems."""
    text, more = annex.texts(told, markdown.render)
    found = {layout.RECORD_MARKDOWN: text, layout.RECORD_ANNEX: more}
    return {name: content.encode() for name, content in found.items() if content}
