"""The record as one self-contained HTML page. Pure.

Its own Jinja2 environment, in which everything is escaped; the pictures come in as finished SVG.
"""

from __future__ import annotations

from collections.abc import Callable

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from bundlegen.record.blocks import Document, spans

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
    environment.tests |= {"kind": lambda block, name: type(block).__name__ == name}
    return environment.get_template(PAGE).render(document=document, style=Markup(source(STYLE)))  # noqa: S704 - ours


def inline(text: str) -> Markup:
    """``text`` escaped, with its code marked as such."""
    pieces = [Markup("<code>{}</code>").format(words) if code else escape(words) for code, words in spans(text)]
    return Markup("").join(pieces)
