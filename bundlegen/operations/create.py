"""``create``: the cluster's first day. Every host gets its bundle, and etcd starts as a new cluster."""

from __future__ import annotations

from typing import Final

from bundlegen.operations.create_story import STORY
from bundlegen.operations.operation import Operation, Situation, same_issues


def _everyone(situation: Situation) -> tuple[str, ...]:
    return tuple(host.name for host in situation.after.hosts)


CREATE: Final = Operation(
    name="create",
    by_name=False,
    hosts=_everyone,
    issues=same_issues,
    state="new",
    makes_up=False,
    carrying="Check, carry and run, one host after the other:",
    story=STORY,
)
