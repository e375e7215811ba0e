"""The only reader of the clock.

Dates are inputs everywhere else, so that the same inputs give the same bytes.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

from bundlegen.errors import UsageError

_LATEST = 253402300799  # 9999-12-31T23:59:59Z, the last moment a certificate can name


def now() -> datetime:
    """The moment at which something new is dated: UTC, whole seconds.

    ``SOURCE_DATE_EPOCH`` (https://reproducible-builds.org/specs/source-date-epoch/) replaces the clock where it is set.
    Raises UsageError where it is not a number of seconds since 1970.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return datetime.fromtimestamp(int(time.time()), UTC)
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_LATEST)) and int(text) <= _LATEST):
        raise UsageError(
            f"SOURCE_DATE_EPOCH is not a number of seconds since 1970: {text[:40]!r}",
            hint="set it to a whole number such as 1763840000, or unset it",
        )
    return datetime.fromtimestamp(int(text), UTC)
