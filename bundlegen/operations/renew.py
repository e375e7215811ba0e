"""``renew``: new keys and certificates under the same CA. Nothing is restarted: etcd reads them at each handshake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bundlegen.operations.operation import Operation, Situation, same_issues
from bundlegen.operations.renew_story import STORY


def _asked(situation: Situation) -> tuple[str, ...]:
    return tuple(host.name for host in situation.after.hosts if host.name in situation.asked)


def _issues(situation: Situation) -> Mapping[str, int]:
    return {**same_issues(situation), **situation.asked}


RENEW: Final = Operation(
    name="renew",
    by_name=True,
    hosts=_asked,
    issues=_issues,
    state="existing",
    makes_up=True,
    carrying="Check, carry and run, in any order; nothing is restarted:",
    story=STORY,
)
