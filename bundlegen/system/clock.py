"""The only reader of the clock.

Dates are inputs everywhere else, so that the same inputs give the same bytes.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

from bundlegen.errors import UsageError
from bundlegen.system.text import stamp

_LATEST = 253402300799  # 9999-12-31T23:59:59Z, the last moment a certificate can name


_FURTHEST = 86400


def now() -> datetime:
    """What the clock says: UTC, whole seconds. By it expiry is judged."""
    return datetime.fromtimestamp(int(time.time()), UTC)


def dated(*, however_far: bool = False) -> datetime:
    """The moment at which something new is dated: UTC, whole seconds.

    ``SOURCE_DATE_EPOCH`` (https://reproducible-builds.org/specs/source-date-epoch/) replaces the clock where it is set.
    Build tools set it for all that they call, so a moment more than a day from the clock's counts only where that is
    asked for. Raises UsageError, also where it is not a number of seconds since 1970.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    today = now()
    if not text:
        return today
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_LATEST)) and int(text) <= _LATEST):
        raise UsageError(
            f"SOURCE_DATE_EPOCH is not a number of seconds since 1970: {text[:40]!r}",
            hint="set it to a whole number such as 1763840000, or unset it",
        )
    moment = datetime.fromtimestamp(int(text), UTC)
    if not however_far and abs(moment - today).total_seconds() > _FURTHEST:
        raise UsageError(
            f"SOURCE_DATE_EPOCH says {stamp(moment)}, the clock {stamp(today)}: "
            "certificates would be dated more than a day off",
            hint="unset it, or give --source-date if that is meant",
        )
    return moment
