"""How many cases a test of many takes: a choice for every day, the full figure with --long, before a release."""

from __future__ import annotations

long = False  # set by tests/conftest.py before any test module is imported


def of(ordinary: int, full: int) -> int:
    """The figure of this run."""
    return full if long else ordinary
