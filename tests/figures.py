"""How many cases a test of many takes: a choice for every day, the full figure with --long, before a release."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")

long = False  # set by tests/conftest.py before any test module is imported


def of(ordinary: T, full: T) -> T:
    """The figure of this run, or its cases."""
    return full if long else ordinary
