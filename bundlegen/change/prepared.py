"""A change before anything is made: which one it is, who gets a bundle, and which certificates it asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from bundlegen.change import decision as deciding
from bundlegen.change.asked import Asked, made_just_now
from bundlegen.change.decided import Decision, How
from bundlegen.change.decision import Where
from bundlegen.change.differing import differing
from bundlegen.change.plans import births
from bundlegen.errors import ConflictError, UsageError
from bundlegen.operations.operation import Situation
from bundlegen.pki.cas import BEGINNING, Cas
from bundlegen.pki.history import Change, History
from bundlegen.spec.model import Cluster
from bundlegen.system import resources


@dataclass(frozen=True)
class Prepared:
    """``hosts``: who gets a bundle, in order. ``issues``: by host, the issue of its certificates. ``cas``: the CAs."""

    decision: Decision
    hosts: tuple[str, ...]
    issues: Mapping[str, int]
    cas: Cas = BEGINNING

    @property
    def going(self) -> tuple[str, ...]:
        """Those of ``hosts`` that are no members any more, in order: their bundles are made as of before."""
        known = {host.name for host in self.decision.cluster.hosts}
        return tuple(name for name in self.hosts if name not in known)


Choose: TypeAlias = Callable[[Cluster], Mapping[str, int]]
"""Says for which hosts of a cluster what is asked for is meant, and which issue of certificates each then has."""


def prepare(history: History, wanted: Cluster, where: Where, name: str | None, by: str = "") -> Prepared:
    """The next change, or the change ``name`` again. The newest again where no host would notice a difference.

    ``by``: the host that takes out members whose hosts are gone. Raises UsageError where that cannot be, and else as
    :func:`bundlegen.change.decision.decide` and :func:`bundlegen.change.decision.named`.
    """
    decided = deciding.decide(history, wanted, where) if name is None else deciding.named(history, name, wanted)
    _check_by(decided, by)
    if decided.made is not None:
        return _again(decided)
    felt: tuple[str, ...] = ()
    if decided.before is not None:
        felt = differing(decided.before, decided.cluster, births(decided.members), resources.template_text)
    unused = {host.name: decided.earlier.unused_issue(host.name) for host in decided.cluster.hosts}
    situation = Situation(decided.before, decided.cluster, felt, decided.issues, unused=unused, by=by, cas=decided.cas)
    hosts = decided.operation.hosts(situation)
    if not hosts and history.newest is not None:
        return _again(deciding.again(history, history.newest, wanted))
    return Prepared(decided, hosts, decided.operation.issues(situation), _cas(decided, situation))


def prepare_asked(
    history: History,
    wanted: Cluster,
    where: Where,
    asked: Asked,
    choose: Choose,
    now: datetime,
    finished: Callable[[Change], bool] = lambda _change: True,
) -> Prepared:
    """The change that is asked for by name; the newest again where it was made just now, for these hosts.

    But not where it is one of several rounds, and ``finished``: then the next round is asked for. Raises as
    :func:`bundlegen.change.decision.asked`, and what ``choose`` raises.
    """
    decided = deciding.asked(history, wanted, where, asked.operation, How(asked.hosts, asked.at_once, asked.snapshot))
    issues = choose(decided.cluster)
    just = made_just_now(history, issues, asked.operation, now)
    if just is not None and just.options.snapshot != asked.snapshot:
        raise ConflictError(
            f"{just.name} was made within a day from another snapshot, and no receipt says that a host has run it",
            hint="if none has, take it back: bundlegen withdraw",
        )
    if just is not None and not (decided.operation.turns_ca and len(just.cas) > 1 and finished(just)):
        return _again(deciding.again(history, just, wanted))
    felt: tuple[str, ...] = ()
    if decided.before is not None and decided.differences:
        felt = differing(decided.before, decided.cluster, births(decided.members), resources.template_text)
    situation = Situation(
        decided.before, decided.cluster, felt, decided.issues, issues, cas=decided.cas, at_once=asked.at_once
    )
    operation = decided.operation
    return Prepared(decided, operation.hosts(situation), operation.issues(situation), _cas(decided, situation))


def _check_by(decided: Decision, by: str) -> None:
    if not by:
        return
    known = [host.name for host in decided.cluster.hosts]
    if not decided.operation.takes_out:
        raise UsageError(f"--by {by}: no member leaves in {decided.name}", hint="leave it out")
    if by not in known:
        raise UsageError(f"--by {by}: that is no host that stays", hint=f"there are {', '.join(known[:7])}")
    if decided.made is not None and decided.made.options.by != by:
        how = f"with --by {decided.made.options.by}" if decided.made.options.by else "without --by"
        raise ConflictError(f"{decided.name} was built {how}", hint="if no host has run it: bundlegen withdraw")


def _again(decided: Decision) -> Prepared:
    made = decided.made
    if made is None:
        return Prepared(decided, (), {})
    return Prepared(decided, tuple(made.hosts), made.issues, Cas(made.cas, made.number))


def _cas(decided: Decision, situation: Situation) -> Cas:
    return Cas(decided.operation.cas(situation), decided.number)
