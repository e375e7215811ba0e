"""A time of systemd's calendar, as far as it can be judged without systemd. Pure."""

from __future__ import annotations

import re
from typing import Final

from bundlegen.addresses import RejectedError, show

PATTERN: Final = "^[A-Za-z0-9*][A-Za-z0-9*:/.,~+ -]{0,99}$"


def calendar(text: str) -> str:
    """``text`` if it may be an OnCalendar. Raises RejectedError.

    systemd's words are many, and the host's own systemd is asked; what could end the line of a unit file is refused.
    """
    if not re.fullmatch(PATTERN, text, re.ASCII):
        raise RejectedError(f"{show(text)} is no time of systemd's calendar", "such as *-*-* 02:00:00, or daily")
    return text
