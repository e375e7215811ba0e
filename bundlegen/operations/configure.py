"""``configure``: other flags, kubelet fields, names or validity on a cluster that runs, host by host."""

from __future__ import annotations

from typing import Final

from bundlegen.operations.configure_story import STORY
from bundlegen.operations.operation import Operation, Situation, same_issues


def _differing(situation: Situation) -> tuple[str, ...]:
    return situation.differing


CONFIGURE: Final = Operation(
    name="configure",
    by_name=False,
    hosts=_differing,
    issues=same_issues,
    state="existing",
    makes_up=True,
    carrying="Check, carry and run, one host after the other, each when the one before has ended with exit code 0:",
    story=STORY,
)
