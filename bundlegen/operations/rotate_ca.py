"""``rotate-ca``: another CA, in two rounds, and etcd restarted once on each host.

Round 1 gives every host certificates of the new CA, each followed by the cross certificate, so that members that trust
the old CA accept them as well as members that trust the new one. Round 2 makes the new CA the one that hosts trust.
"""

from __future__ import annotations

from typing import Final

from bundlegen.operations.operation import Operation, Situation, same_issues
from bundlegen.operations.rotate_ca_story import CONFIRMS, STORY
from bundlegen.pki.cas import NEW


def _all(situation: Situation) -> tuple[str, ...]:
    return tuple(host.name for host in situation.after.hosts)


def _cas(situation: Situation) -> tuple[str, ...]:
    begun = len(situation.cas) > 1
    if begun:
        return situation.cas[1:]
    return (NEW,) if situation.at_once else (situation.cas[0], NEW)


ROTATE_CA: Final = Operation(
    name="rotate-ca",
    by_name=True,
    hosts=_all,
    issues=same_issues,
    state="existing",
    makes_up=False,
    carrying="Check, carry and run, each when the one before has ended with exit code 0; CHANGE.md says what is "
    "confirmed "
    "and in which order:",
    story=STORY,
    turns_ca=True,
    confirms=CONFIRMS,
    cas=_cas,
)
