"""An operation that is asked for by its name: for which hosts it is done, and which issue of certificates that takes.

Looks into the store, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from bundlegen.errors import UsageError
from bundlegen.operations import table
from bundlegen.pki import authorities, pairs, state
from bundlegen.pki.cas import Cas
from bundlegen.pki.catalog import host_requests
from bundlegen.pki.history import Change, History
from bundlegen.pki.state import State
from bundlegen.spec.finding import closest
from bundlegen.spec.model import Cluster, Host
from bundlegen.system.text import stamp

JUST_MADE: Final = timedelta(days=1)
"""A change that is asked for again so soon, and that no host is known to have run, is still the same one."""


@dataclass(frozen=True)
class Asked:
    """What the user asks for. ``hosts``: none means all; ``within``: only those with a certificate ending so soon;
    ``at_once``: in one round; ``snapshot``: the SHA-256 of the one that the cluster begins with."""

    operation: str
    hosts: tuple[str, ...] = ()
    within: timedelta | None = None
    at_once: bool = False
    snapshot: str = ""

    @property
    def turns_ca(self) -> bool:
        """Whether the CA that the specification brings may be another one than until then."""
        operation = table.named(self.operation)
        return operation is not None and operation.turns_ca


class NothingDueError(Exception):
    """No host needs what is asked for; the text says why, in a sentence."""


def chosen(asked: Asked, store: Path, cluster: Cluster, history: History, now: datetime) -> dict[str, int]:
    """The hosts of ``cluster`` that are meant, in its order, each with the number of an issue that was never used.

    ``cluster`` is as the newest change of ``history`` made it. Raises UsageError for a host that there is not,
    StoreError where the store is damaged, NothingDueError where none is meant.
    """
    _check_known(asked, cluster)
    settled = history
    if (just := made_just_now(history, (), asked.operation, now)) is not None:
        # What it has issued is not yet in force anywhere.
        settled = history.before(just.number)
    newest = settled.newest
    issues, cas = ({}, ()) if newest is None else (newest.issues, newest.cas)
    if asked.turns_ca and len(cas) == 1:
        authorities.check_new(cluster, cas[0])
    kept = state.read(store, _unpinned(cluster), now, issues, cas=Cas(cas), expired=True)
    meant = [host for host in cluster.hosts if not asked.hosts or host.name in asked.hosts]
    if asked.within is not None:
        meant = _due(meant, kept, now + asked.within)
    return {host.name: _unused(host, store, cluster, history, kept) for host in meant}


def _unpinned(cluster: Cluster) -> Cluster:
    """``cluster`` without the CA that it demands: what is asked for may be to make that so."""
    ca = cluster.pki.ca and cluster.pki.ca.model_copy(update={"fingerprint": None})
    return cluster.model_copy(update={"pki": cluster.pki.model_copy(update={"ca": ca})})


def made_just_now(history: History, wanted: Iterable[str], operation: str, now: datetime) -> Change | None:
    """The newest change, if it is this very one: a run that was stopped, or repeated, does not make another."""
    newest = history.newest
    if newest is None or newest.operation != operation or history.ran(newest):
        return None
    return newest if newest.hosts.keys() >= {*wanted} and abs(now - newest.time) < JUST_MADE else None


def _check_known(asked: Asked, cluster: Cluster) -> None:
    known = [host.name for host in cluster.hosts]
    for name in asked.hosts:
        if name not in known:
            near = closest(name, known)
            hint = f"did you mean {near}?" if near else f"there are {', '.join(known[:7])}"
            raise UsageError(f"{cluster.name} has no host {name!r}", hint=hint)


def _due(hosts: Iterable[Host], kept: State, until: datetime) -> list[Host]:
    """Those of which a certificate ends by then; also one of which the store has lost a certificate."""
    hosts = list(hosts)
    ends: dict[str, datetime] = {}
    for request, pair in kept.found.items():
        end, name = pair.certificate.not_valid_after_utc, str(request.host)
        ends[name] = min(end, ends.get(name, end))
    lost = {str(request.host) for request in kept.missing}
    due = [host for host in hosts if host.name in lost or ends[host.name] <= until]
    if not due:
        first, name = min((ends[host.name], host.name) for host in hosts)
        raise NothingDueError(f"the first certificate to expire is of {name}, on {stamp(first)}")
    return due


def _unused(host: Host, store: Path, cluster: Cluster, history: History, kept: State) -> int:
    """Never used by a change, also not by one that was withdrawn, and not by a run that was killed before its change
    was written down: what such a one has issued may be old by now."""
    used = [entry.issues.get(host.name, 0) for entry in history.entries if isinstance(entry, Change)]
    number = max(used, default=0) + 1
    while kept.signer is not None and any(
        pairs.leaf_folder(store, request, kept.signer.certificate).exists()
        for request in host_requests(cluster, host, number)
    ):
        number += 1
    return number
