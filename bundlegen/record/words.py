"""Words that the record is made of. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def plural(count: int, noun: str) -> str:
    """``1 host``, ``3 hosts``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listed(names: Sequence[str]) -> str:
    """``infra0``, ``infra0 and infra1``, ``infra0, infra1 and infra2``."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def quorum(members: int) -> int:
    """How many of ``members`` must serve for the cluster to work."""
    return members // 2 + 1


def plain(text: str) -> str:
    """Text that was made elsewhere, in one line and without what would be taken for code."""
    return " ".join(text.replace("`", "'").split())
