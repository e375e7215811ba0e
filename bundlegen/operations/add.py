"""``add``: new members for a cluster that runs, one after the other; the others learn of them, and nothing restarts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bundlegen.operations.add_story import STORY
from bundlegen.operations.operation import Operation, Situation, same_issues


def _hosts(situation: Situation) -> tuple[str, ...]:
    """The new ones first; then those that are to know of them."""
    return (*situation.coming, *situation.differing)


def _issues(situation: Situation) -> Mapping[str, int]:
    """A host that was a member once comes back with keys that are new."""
    return {**same_issues(situation), **{name: situation.unused[name] for name in situation.coming}}


ADD: Final = Operation(
    name="add",
    by_name=False,
    hosts=_hosts,
    issues=_issues,
    state="existing",
    makes_up=True,
    carrying="Check, carry and run, one host after the other in this order, each when the one before has ended with "
    "exit code 0:",
    story=STORY,
)
