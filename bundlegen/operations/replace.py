"""``replace``: a member whose disk, machine or address is another one comes back, anew if its data is lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bundlegen.operations.operation import Operation, Situation, same_issues
from bundlegen.operations.replace_story import STORY


def _hosts(situation: Situation) -> tuple[str, ...]:
    """The host; where its address is another one, also those that are to know it."""
    return (*situation.asked, *(name for name in situation.differing if name not in situation.asked))


def _issues(situation: Situation) -> Mapping[str, int]:
    return {**same_issues(situation), **situation.asked}


REPLACE: Final = Operation(
    name="replace",
    by_name=True,
    hosts=_hosts,
    issues=_issues,
    state="existing",
    makes_up=False,
    carrying="Check, carry and run, the replaced host first:",
    story=STORY,
    bears_anew=True,
)
