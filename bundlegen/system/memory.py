"""How often Python looks for garbage: rarely, as a command ends soon and what it makes is needed until then."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_THRESHOLDS: Final = (20_000, 20, 50)
"""New objects before a look, and looks before older ones are looked at again. With Python's own figures a build of 300
hosts spends a tenth of its time looking, and finds next to nothing."""


@contextmanager
def seldom_searched() -> Iterator[None]:
    """Inside, what is there already is not looked at, and what is new seldom."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
