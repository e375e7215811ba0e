"""A change before anything is made: which one it is, who gets a bundle, and which certificates it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bundlegen.change import decision as deciding
from bundlegen.change.decision import Decision, Where
from bundlegen.change.differing import differing
from bundlegen.change.plans import births
from bundlegen.operations.operation import Situation
from bundlegen.pki.history import History
from bundlegen.spec.model import Cluster
from bundlegen.system import resources


@dataclass(frozen=True)
class Prepared:
    """``hosts``: who gets a bundle, in order. ``issues``: by host, the issue of its certificates."""

    decision: Decision
    hosts: tuple[str, ...]
    issues: Mapping[str, int]


def prepare(history: History, wanted: Cluster, where: Where, name: str | None) -> Prepared:
    """The next change, or the change ``name`` again. The newest again where no host would notice a difference.

    Raises as :func:`bundlegen.change.decision.decide` and :func:`bundlegen.change.decision.named`.
    """
    decided = deciding.decide(history, wanted, where) if name is None else deciding.named(history, name, wanted)
    if decided.made is not None:
        return _again(decided)
    felt: tuple[str, ...] = ()
    if decided.before is not None:
        felt = differing(decided.before, decided.cluster, births(decided.members), resources.template_text)
    situation = Situation(decided.before, decided.cluster, felt, decided.issues)
    hosts = decided.operation.hosts(situation)
    if not hosts and history.newest is not None:
        return _again(deciding.again(history, history.newest, wanted))
    return Prepared(decided, hosts, decided.operation.issues(situation))


def _again(decided: Decision) -> Prepared:
    made = decided.made
    return Prepared(decided, tuple(made.hosts) if made else (), made.issues if made else {})
