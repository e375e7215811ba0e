"""The record as one self-contained HTML page. Pure.

Its own Jinja2 environment, in which everything is escaped; the pictures come in as finished SVG.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from bundlegen.record.blocks import Document, Table, spans

_WHOLE: Final = 16
_PIECE: Final = 32
_SPACE: Final = re.compile(r"(\s+)")
_PARTS: Final = re.compile(r"[./:=,@_-]*[^./:=,@_-]+[./:=,@_-]*|.+")
_REMEMBERED: Final = 1024
"""Texts: what a table says of one host it says of the next, sums apart."""
PAGE = "change/change.html.j2"
STYLE = "change/style.css"


def render(document: Document, source: Callable[[str], str]) -> str:
    """``change.html``. ``source`` gives the templates (:func:`bundlegen.system.resources.template_text`)."""
    environment = Environment(
        loader=FunctionLoader(source),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"inline": inline, "svg": Markup}
    environment.tests |= {"kind": lambda block, name: type(block).__name__ == name, "wide": _wide}
    return environment.get_template(PAGE).render(document=document, style=Markup(source(STYLE)))  # noqa: S704 - ours


@lru_cache(maxsize=_REMEMBERED)
def inline(text: str) -> Markup:
    """``text`` escaped, with its code marked as such, and long words told where they may be broken."""
    pieces = (f"<code>{breakable(words)}</code>" if code else breakable(words) for code, words in spans(text))
    return Markup("".join(pieces))  # noqa: S704 - of pieces that are escaped


def _wide(table: Table) -> bool:
    """Whether its rows need a wide window to be read side by side."""
    return len(table.head) > 2 or any(len(word) > _PIECE for row in table.rows for cell in row for word in cell.split())


def breakable(text: str) -> Markup:
    """``text`` escaped; a word that a narrow column cannot hold may be broken after a mark, or in equal pieces.

    A break is offered and not made: what is copied from the page is the word as it is.
    """
    return Markup("".join(_broken(word) for word in _SPACE.split(text)))  # noqa: S704 - of words that are escaped


def _broken(word: str) -> str:
    if len(word) <= _WHOLE:
        # A browser breaks words at their hyphens.
        return f'<span class="whole">{escape(word)}</span>' if "-" in word else str(escape(word))
    return "<wbr>".join(
        str(escape(part[start : start + _PIECE]))
        for part in _PARTS.findall(word)
        for start in range(0, len(part), _PIECE)
    )
