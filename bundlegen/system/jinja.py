"""The one Jinja2 environment, and how each kind of output quotes a value. Pure.

Jinja2 with StrictUndefined; nothing is escaped for HTML, each kind of output has its own quoting filter.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import yaml
from jinja2 import Environment, FunctionLoader, StrictUndefined

from bundlegen import durations

_PLAIN: Final = re.compile(r"[A-Za-z/\-][A-Za-z0-9 _./:@=,?&+-]*", re.ASCII)
_WIDEST: Final = 1 << 30
_REMEMBERED: Final = 256
"""Scalars: most are the same for each host."""
_CONF_VALUE: Final = re.compile(r"[^'\\\x00-\x1f\x7f]*")

TemplateSource = Callable[[str], str]
"""From the name of a template to its text (:func:`bundlegen.system.resources.template_text`)."""


@lru_cache(maxsize=_REMEMBERED)
def scalar(text: str) -> str:
    """``text`` as a YAML scalar that is read back as the same text: plain where that is safe, quoted otherwise."""
    if (
        _PLAIN.fullmatch(text)
        and ": " not in text
        and not text.endswith((" ", ":"))
        and not text.startswith(("- ", "---"))
    ):
        try:
            if yaml.safe_load(text) == text:
                return text
        except yaml.YAMLError:
            pass
    return quoted_scalar(text)


def quoted_scalar(text: str) -> str:
    """``text`` as a double-quoted YAML scalar."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def conf_value(text: str) -> str:
    """``text`` in single quotes, as bundle.conf holds it. Raises ValueError for what that file cannot hold."""
    if not _CONF_VALUE.fullmatch(text):
        raise ValueError(f"bundle.conf cannot hold {text!r}")
    return f"'{text}'"


class _OneLine(yaml.CSafeDumper):
    """Writes every text on one line. systemd reads a file that ends in .conf beside a unit as well: a line of its own
    such as ``[Service]`` would mean something there, however it is quoted in YAML."""


def _text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if "\n" in text else None)


_OneLine.add_representer(str, _text)


def yaml_block(tree: Any) -> str:
    """``tree`` as block-style YAML, in its own order; a text is never more than one line."""
    text: str = yaml.dump(
        tree, Dumper=_OneLine, sort_keys=False, default_flow_style=False, allow_unicode=True, width=_WIDEST
    )
    return text


@lru_cache(maxsize=4)
def environment(source: TemplateSource) -> Environment:
    """The Jinja2 environment all templates share, with its filters; made once, as compiling them takes long."""
    made = Environment(
        loader=FunctionLoader(source),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - the output is YAML, units and shell data, each with its own quoting filter
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "scalar": scalar,
        "text": quoted_scalar,
        "duration": durations.text_of,
        "yaml": yaml_block,
        "quoted": conf_value,
    }
    return made
