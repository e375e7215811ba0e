"""Characters that look like nothing, or like an ASCII character that they are not. Pure.

A web page, a chat or a word processor puts them into what is copied from it: YAML takes them for text, and complains
about something else, further down.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from bundlegen.spec.finding import FieldPath, Finding

_OTHER_THAN_ASCII: Final = re.compile(r"[^\x00-\x7e]")
_DASHES: Final = frozenset("\u00b7\u2022\u2023\u2043\u2212\u2219\u25aa\u25cf\u25e6\u2f0d")
_DOUBLE: Final = frozenset("\u00ab\u00bb\u02ba\u201c\u201d\u201e\u201f\u2033\u2036\u301d\u301e\u301f")
_SINGLE: Final = frozenset("\u00b4\u02b9\u02bb\u02bc\u2018\u2019\u201a\u201b\u2032\u2035\u2039\u203a")
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_LINE_ENDS: Final = frozenset("\u0085\u2028\u2029")
_NEXT_LINE: Final = "\u0085"
_MOST: Final = 20
_APART: Final = re.compile(r"""(?:^|[ \t])#.*|"[^"\n]*"|'[^'\n]*'""", re.MULTILINE)

Scalar = tuple[int, int, FieldPath, bool]
"""Where a scalar begins and ends in the text, its field, and whether it is the name of that field."""


@dataclass(frozen=True)
class Unseen:
    """One such character: its offset in the text, its line and column from 1, and what to do about it."""

    offset: int
    line: int
    column: int
    character: str
    remedy: str

    @property
    def name(self) -> str:
        """``no-break space (U+00A0)``."""
        given = "next line" if self.character == _NEXT_LINE else unicodedata.name(self.character, "character").lower()
        return f"{given} (U+{ord(self.character):04X})"


def unseen(text: str) -> Iterator[Unseen]:
    """Every such character of ``text``, in order, wherever it stands."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    for match in _OTHER_THAN_ASCII.finditer(text):
        if remedy := _remedy(match[0]):
            line = bisect_right(starts, match.start())
            yield Unseen(match.start(), line, match.start() - starts[line - 1] + 1, match[0], remedy)


def _remedy(character: str) -> str:
    if character.isascii():
        return ""
    category = unicodedata.category(character)
    if character in _LINE_ENDS:
        return "begin a new line instead"
    if category == "Zs":
        return "write a plain space instead"
    if category == "Cf" or character in _BLANK or unicodedata.name(character, "").startswith("VARIATION SELECTOR"):
        return "delete it: it cannot be seen"
    if meant := _looks_like(character):
        return f"write {meant} instead"
    return ""


def _looks_like(character: str) -> str:
    """The ASCII character that this one is easily taken for."""
    for meant, others in (("-", _DASHES), ('"', _DOUBLE), ("'", _SINGLE)):
        if character in others:
            return meant
    if unicodedata.category(character) == "Pd":
        return "-"
    return unicodedata.normalize("NFKC", character) if "\uff01" <= character <= "\uff5e" else ""


def plain(text: str) -> str:
    """``text`` as it was probably meant: without what cannot be seen, and ASCII for what looks like it."""
    return "".join(_looks_like(c) if _remedy(c) else c for c in text).strip("\"'")


def in_scalars(text: str, scalars: Iterable[Scalar]) -> tuple[list[Finding], list[Finding]]:
    """What such characters a document that can be read holds outside its comments: in which field, line and column.

    Those in names of fields and between fields, then those in values.
    """
    spans = sorted(scalars)
    begins = [span[0] for span in spans]
    structure: list[tuple[FieldPath, Unseen]] = []
    values: list[tuple[FieldPath, Unseen]] = []
    for each in unseen(text):
        before = bisect_right(begins, each.offset) - 1
        _, end, path, is_name = spans[before] if before >= 0 else (0, 0, (), False)
        if each.offset < end:
            (structure if is_name else values).append((path, each))
        elif "#" not in text[max(end, each.offset - each.column + 1) : each.offset]:
            structure.append(((), each))
    return _findings(structure), _findings(values)


def before_line(text: str, line: int) -> list[Finding]:
    """What such characters may be why a document cannot be read in ``line``.

    Those up to there, but not in a comment, nor between two quotation marks of one line.
    """
    apart = [(match.start(), match.end()) for match in _APART.finditer(text)]
    found = []
    for each in unseen(text):
        before = bisect_right(apart, (each.offset, len(text))) - 1
        if each.line <= line and not (before >= 0 and each.offset < apart[before][1]):
            found.append(each)
    return _findings(((), each) for each in found)


def _findings(found: Iterable[tuple[FieldPath, Unseen]]) -> list[Finding]:
    """One finding for all of a kind in a line."""
    listed = list(found)
    counts = Counter((path, each.line, each.character) for path, each in listed)
    findings: dict[tuple[FieldPath, int, str], Finding] = {}
    for path, each in listed:
        key = (path, each.line, each.character)
        if key not in findings:
            more = f", the first of {counts[key]} in this line" if counts[key] > 1 else ""
            message = f"{each.name} in column {each.column}{more}"
            findings[key] = Finding(path, message, each.remedy, place=(each.line, each.column))
    return list(findings.values())


def cut(findings: list[Finding]) -> list[Finding]:
    """The first ones, and how many more there are: a whole page can be full of them."""
    if len(findings) <= _MOST:
        return findings
    more = Finding(
        (), f"{len(findings) - _MOST} more places hold such characters", "mend them too", place=findings[_MOST].place
    )
    return [*findings[:_MOST], more]
