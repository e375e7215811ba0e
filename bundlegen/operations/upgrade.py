"""``upgrade``: another version of Kubernetes or another etcd image on a cluster that runs, host by host."""

from __future__ import annotations

from typing import Final

from bundlegen.operations import upgrade_path
from bundlegen.operations.operation import Operation, Situation, same_issues
from bundlegen.operations.upgrade_story import STORY


def _differing(situation: Situation) -> tuple[str, ...]:
    return situation.differing


UPGRADE: Final = Operation(
    name="upgrade",
    by_name=False,
    hosts=_differing,
    issues=same_issues,
    state="existing",
    makes_up=False,
    carrying="Check, carry and run, one host after the other, each when the one before has ended with exit code 0; the "
    "leader last:",
    story=STORY,
    refusals=upgrade_path.refusals,
)
