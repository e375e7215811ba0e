"""Everything a change folder holds beside the bundles, from its record. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bundlegen import layout
from bundlegen.report import calendar, markdown, model, page, record
from bundlegen.report.schema import Change


def render(change: Mapping[str, Any], source: Callable[[str], str]) -> dict[str, bytes]:
    """The documents by file name, ``change.json`` first. ``source`` gives the templates."""
    typed = Change.model_validate(change)
    document = model.document(typed)
    return {
        layout.RECORD: record.dump(change),
        layout.RECORD_MARKDOWN: markdown.render(document).encode(),
        layout.RECORD_HTML: page.render(document, source).encode(),
        layout.RECORD_CALENDAR: calendar.render(typed).encode(),
    }
