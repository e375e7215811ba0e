"""Everything a change folder holds beside the bundles, from its record. Pure."""

from __future__ import annotations

from collections.abc import Callable

from bundlegen import layout
from bundlegen.record import calendar, document, make, markdown, page
from bundlegen.record.schema import Change
from bundlegen.record.story import Story


def render(change: Change, source: Callable[[str], str], story: Story) -> dict[str, bytes]:
    """The documents by file name, ``change.json`` first. ``source`` gives the templates;
    ``story`` is that of the change's operation."""
    told = document.document(change, story)
    return {
        layout.RECORD: make.dump(change),
        layout.RECORD_MARKDOWN: markdown.render(told).encode(),
        layout.RECORD_HTML: page.render(told, source).encode(),
        layout.RECORD_CALENDAR: calendar.render(change).encode(),
    }
