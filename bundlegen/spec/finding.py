"""What a check finds in a specification, before a file and a line are known."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster


FieldPath = tuple[str | int, ...]
Place = tuple[int, int]

_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


@dataclass(frozen=True)
class Finding:
    """One problem or warning at ``path``. ``involves``: other fields it rests on; where one is wrong, it is moot.

    ``place``: line and column, where that is not simply where the field stands.
    """

    path: FieldPath
    message: str
    hint: str = ""
    involves: tuple[FieldPath, ...] = ()
    warning: bool = False
    place: Place | None = None

    @property
    def field(self) -> str:
        return field_text(self.path)


def field_text(path: FieldPath) -> str:
    """``path`` as users read it: ``hosts[1].address``. Empty for the whole document."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            shown = part if len(part) <= 40 else part[:39] + "…"
            text += f"[{ascii(shown) if not shown.isprintable() else repr(shown)}]"
    return text


def closest(word: str, candidates: Iterable[str]) -> str:
    """The candidate that ``word`` was probably meant to be; empty if none is near."""
    known = {_folded(candidate): candidate for candidate in candidates}
    if _folded(word) in known:
        return known[_folded(word)]
    near = difflib.get_close_matches(_folded(word[:64]), known, n=1, cutoff=0.75)
    return known[near[0]] if near else ""


def _folded(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")


Rule = Callable[["Cluster"], Iterator[Finding]]
