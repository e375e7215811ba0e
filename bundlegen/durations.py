"""Durations as Kubernetes writes them (Go's time.ParseDuration): ``8760h0m0s``, ``5m``, ``1h30m``."""

from __future__ import annotations

import re
from datetime import timedelta
from fractions import Fraction
from typing import Final

from bundlegen.addresses import RejectedError, show

PATTERN: Final = r"^(0|([0-9]{1,12}(\.[0-9]{1,9})?(h|m|s|ms|us|ns)){1,7})$"
"""For editors (JSON Schema); :func:`parse` decides."""

_PART: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(h|ms|m|s|us|ns)")
_SECONDS: Final = {
    "h": Fraction(3600),
    "m": Fraction(60),
    "s": Fraction(1),
    "ms": Fraction(1, 10**3),
    "us": Fraction(1, 10**6),
    "ns": Fraction(1, 10**9),
}
_OTHER_UNITS: Final = {
    "d": 24,
    "day": 24,
    "days": 24,
    "w": 168,
    "week": 168,
    "weeks": 168,
    "y": 8760,
    "year": 8760,
    "years": 8760,
}
_LONGEST: Final = 10**11


def parse(text: str) -> timedelta:
    """``text`` as a duration of whole seconds. Raises :class:`RejectedError`."""
    if text == "0":
        return timedelta(0)
    if text.startswith("-"):
        raise RejectedError(f"{show(text)} is negative", "write a duration such as 5m")
    position, total = 0, Fraction(0)
    while match := _PART.match(text, position):
        total += Fraction(match[1]) * _SECONDS[match[2]]
        position = match.end()
    if position != len(text) or not text:
        raise RejectedError(f"{show(text)} is not a duration", _hint(text))
    if total.denominator != 1:
        raise RejectedError(f"{show(text)} is not a whole number of seconds", "certificates count in seconds")
    if total > _LONGEST:
        raise RejectedError(f"{show(text)} is longer than any certificate can be valid", "at most 876000h (100 years)")
    return timedelta(seconds=int(total))


def text_of(duration: timedelta) -> str:
    """``duration`` as Go prints it: ``8760h0m0s``, ``5m0s``, ``45s``, ``0s``."""
    seconds = int(duration.total_seconds())
    hours, minutes = seconds // 3600, seconds // 60 % 60
    if hours:
        return f"{hours}h{minutes}m{seconds % 60}s"
    return f"{minutes}m{seconds % 60}s" if minutes else f"{seconds}s"


def _hint(text: str) -> str:
    if match := re.fullmatch(r"([0-9]{1,6}) ?([a-z]+)", text.strip().lower(), re.ASCII):
        number, unit = int(match[1]), match[2]
        if unit in _OTHER_UNITS:
            return f"hours are the largest unit: write {number * _OTHER_UNITS[unit]}h"
    if re.fullmatch(r"[0-9]{1,12}", text, re.ASCII):
        return f"give it a unit: {text}s, {text}m or {text}h"
    return "numbers with the units h, m and s, such as 8760h or 1h30m"
