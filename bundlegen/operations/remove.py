"""``remove``: members that leave a cluster that runs, one after the other; nothing restarts on the others."""

from __future__ import annotations

from typing import Final

from bundlegen.operations.operation import Operation, Situation, same_issues
from bundlegen.operations.remove_story import STORY


def _hosts(situation: Situation) -> tuple[str, ...]:
    """Those that go first; if they are gone already, the one that takes them out."""
    first = (situation.by,) if situation.by else situation.going
    return (*first, *(name for name in situation.differing if name not in first))


REMOVE: Final = Operation(
    name="remove",
    by_name=False,
    hosts=_hosts,
    issues=same_issues,
    state="existing",
    makes_up=True,
    carrying="Check, carry and run, one host after the other in this order, each when the one before has ended with "
    "exit code 0:",
    story=STORY,
    takes_out=True,
)
