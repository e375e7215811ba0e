"""How the clusters of a store are, read without its locks: a build goes on meanwhile, and nothing is written.

A change is written down after its certificates are in the store, so what the history names is there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from bundlegen.errors import StoreError, UsageError
from bundlegen.pki import authorities, changes, ledger, pairs, store_json
from bundlegen.pki.catalog import host_requests
from bundlegen.pki.compare import DamagedError, read_chain
from bundlegen.pki.files import check_folder, check_shared_folder, failing_as, read_private
from bundlegen.pki.history import Change, History, Receipt
from bundlegen.pki.issue import digest_under
from bundlegen.pki.store_json import About
from bundlegen.record.status import ClusterStatus, HostStatus
from bundlegen.spec.model import Cluster, Host

_MARKS: Final = frozenset({pairs.STORE_JSON, pairs.RECORD, pairs.CA_FOLDER, pairs.HOSTS, changes.FILE})
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_BACKUP: Final = "restore it from a backup"


def names(pki: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The clusters with a store below ``pki``, and what else is there.

    Raises StoreError where there is no such folder, where it cannot be read, or others may write to it.
    """
    with failing_as("look at", pki):
        found = sorted(path.name for path in pki.iterdir())
    check_shared_folder(pki)
    stores = tuple(name for name in found if _is_store(pki / name))
    return stores, tuple(name for name in found if name not in stores)


def read(pki: Path, name: str) -> ClusterStatus:
    """How the cluster ``name`` is. One whose store is damaged, unreadable or missing has a ``problem``.

    Raises UsageError for what can be no cluster's name.
    """
    if name in ("", ".", "..") or "/" in name:
        raise UsageError(f"{name!r} is not a cluster's name", hint="it is the name: of its cluster.yaml")
    try:
        return _read(pki / name, name)
    except StoreError as error:
        return ClusterStatus(name, problem=error.lines()[0])
    except RecursionError:
        return ClusterStatus(name, problem=f"{pki / name} holds a file that is nested too deeply ({_BACKUP})")


def _is_store(path: Path) -> bool:
    """Whether it is, or was, a store; a folder that may not be looked into is taken for one."""
    try:
        return not _MARKS.isdisjoint(each.name for each in path.iterdir())
    except PermissionError:
        return True
    except OSError:
        return False


def _read(store: Path, name: str) -> ClusterStatus:
    if not os.path.lexists(store):
        raise StoreError(f"there is no store in {store}", hint="name the folder of this cluster's store with --pki")
    check_folder(store)
    history = changes.read(store)
    about = store_json.read(store / pairs.STORE_JSON, name)
    if about is None:
        raise StoreError(f"{store / pairs.STORE_JSON} is missing", hint=_BACKUP)
    newest = history.newest
    cas = (about.ca_fingerprint,) if newest is None else newest.cas
    places = (authorities.certificate_path(store, about, each) for each in cas)
    ca_expiry = min((_end(each) for each in places if each is not None), default=None)
    if newest is None:
        return ClusterStatus(name, ca_expiry=ca_expiry, hosts=tuple(_of_the_ledger(store)))
    return ClusterStatus(
        name=name,
        newest=newest.name,
        number=newest.number,
        made_at=newest.time,
        bundles=tuple(newest.hosts),
        ran=history.ran(newest),
        ca_expiry=ca_expiry,
        hosts=tuple(_of_the_history(store, about, history, newest)),
    )


def _of_the_history(store: Path, about: About, history: History, newest: Change) -> Iterator[HostStatus]:
    clusters = {newest.number: _cluster(store, newest)}
    ran: dict[str, Change] = {}
    for change in history.changes:
        ran |= dict.fromkeys(history.ran(change), change)
    when = {(each.number, each.host): each.ended_at for each in history.entries if isinstance(each, Receipt)}
    for host in clusters[newest.number].hosts:
        known, bundle = ran.get(host.name), history.last_of(host.name)
        counted, own = newest, host
        if known is not None:
            if known.number not in clusters:
                clusters[known.number] = _cluster(store, known)
            # The change that takes a host out has a bundle for it as well, and no certificates.
            before = next((each for each in clusters[known.number].hosts if each.name == host.name), None)
            if before is not None:
                counted, own = known, before
        end, certificate = min(_of_a_change(store, about, counted, clusters[counted.number], own))
        yield HostStatus(
            name=host.name,
            address=host.address,
            bundle=bundle.name if bundle else "",
            ran=known.name if known else "",
            ran_at=when.get((known.number, host.name)) if known else None,
            first_expiry=end,
            certificate=certificate,
        )


def _cluster(store: Path, change: Change) -> Cluster:
    try:
        return Cluster.model_validate(change.spec)
    except ValidationError as error:
        path = store / changes.FILE
        raise StoreError(f"{path}: the specification of {change.name} is damaged", hint=_BACKUP) from error


def _of_a_change(
    store: Path, about: About, change: Change, cluster: Cluster, host: Host
) -> Iterator[tuple[datetime, str]]:
    """When each certificate ends that ``change`` gave the host, and which one it is."""
    issuers = tuple(dict.fromkeys((*reversed(change.cas), about.ca_fingerprint)))
    for request in host_requests(cluster, host, change.issues.get(host.name, 0)):
        places = [pairs.leaf_place(store, host.name, request.name, digest_under(request, each)) for each in issuers]
        place = next((each for each in places if os.path.lexists(each)), places[0])
        yield _end(place / pairs.LEAF_FILES[0]), request.name


def _of_the_ledger(store: Path) -> Iterator[HostStatus]:
    """The hosts of a store that knows no change: of each certificate the one that was issued last."""
    found: dict[str, list[tuple[datetime, str]]] = {}
    for (host, name), entry in ledger.read(store / pairs.RECORD).newest.items():
        digest = entry.get("request")
        if host is None:
            continue
        if {"", ".", ".."} & {host, name} or "/" in host + name or not _DIGEST.fullmatch(str(digest)):
            raise StoreError(f"{store / pairs.RECORD} is damaged", hint=_BACKUP)
        path = pairs.leaf_place(store, host, name, str(digest)) / pairs.LEAF_FILES[0]
        found.setdefault(host, []).append((_end(path), name))
    for host, ends in found.items():
        end, certificate = min(ends)
        yield HostStatus(host, "", "", "", None, end, certificate)


def _end(path: Path) -> datetime:
    """When the certificate at ``path`` ends. Raises StoreError where it is damaged or missing."""
    try:
        return read_chain(read_private(path))[0].not_valid_after_utc
    except FileNotFoundError:
        raise StoreError(f"{path} is missing", hint=_BACKUP) from None
    except DamagedError as error:
        raise StoreError(f"{path} {error}", hint=_BACKUP) from None


def read_all(pki: Path, wanted: Iterable[str]) -> tuple[ClusterStatus, ...]:
    """How the clusters ``wanted`` are, each once. Raises UsageError as :func:`read`."""
    return tuple(read(pki, name) for name in dict.fromkeys(wanted))
