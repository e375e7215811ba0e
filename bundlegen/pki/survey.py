"""What a store would be asked for, and whether it is there: looked at without writing anything or taking its lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from bundlegen.errors import StoreError, UsageError
from bundlegen.pki import authorities, changes, pairs, state, store_json
from bundlegen.pki.cas import BEGINNING, Cas
from bundlegen.pki.catalog import CertRequest, ca_request
from bundlegen.pki.files import check_folder
from bundlegen.pki.issue import validity_window
from bundlegen.pki.ledger import Ledger
from bundlegen.pki.making import crossed
from bundlegen.system import clock as system_clock
from bundlegen.system.text import stamp

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster


@dataclass(frozen=True)
class Survey:
    """What would be issued, and what people should know: sentences."""

    new: tuple[str, ...]
    warnings: tuple[str, ...]


def demand(pki_root: Path, cluster: Cluster, *, existing: bool) -> None:
    """Raises StoreError where the store of ``cluster`` has to be there already and is not; makes nothing.

    It has to if ``existing`` says so, or if the specification pins its CA, which then has to be in it.
    """
    path = pki_root / cluster.name
    about = store_json.read(path / pairs.STORE_JSON, cluster.name)
    if about is not None or cluster.pki.ca_files is None:
        newest = None if about is None else changes.read(path).newest
        known = () if about is None else (about.ca_fingerprint,)
        authorities.check_pin(cluster, path, known if newest is None else newest.cas)
    if about is None and existing:
        raise StoreError(f"there is no store in {path}", hint="name the folder of this cluster's store with --pki")


def check_ca(pki_root: Path, cluster: Cluster) -> None:
    """Raises StoreError where the specification brings another CA than the one in force, or none though it has to."""
    path = pki_root / cluster.name
    about = store_json.read(path / pairs.STORE_JSON, cluster.name)
    newest = None if about is None else changes.read(path).newest
    if about is not None and newest is not None:
        authorities.check_named(path, cluster, about, newest.cas[-1])


def survey(
    pki_root: Path,
    cluster: Cluster,
    issues: Mapping[str, int] = MappingProxyType({}),
    *,
    cas: Cas = BEGINNING,
    needed: Container[str] | None = None,
    clock: Callable[[], datetime] = system_clock.dated,
    today: Callable[[], datetime] | None = None,
) -> Survey:
    """What :meth:`Store.ensure` would issue and warn of, in the same words; writes nothing and takes no lock.

    Raises StoreError and UsageError as ``ensure`` does.
    """
    path, now = pki_root / cluster.name, clock()
    if os.path.lexists(path):
        check_folder(path)
    before = state.read(path, cluster, now, issues, cas=cas, needed=needed)
    ledger = Ledger(before.past, now)
    asked = ca_request(cluster, cas.issue)
    refuse_expired(before.missing if before.signer else (asked, *before.missing), now, (today or clock)())
    if before.signer is None:
        validity_window(asked, now)
        ledger.wanted(asked, None)
    if before.trusted is not None and len(cas.fingerprints) > 1 and before.cross is None:
        brought = None if before.signer is None else before.signer.certificate
        trusted = before.trusted.certificate
        ledger.wanted(crossed(cluster, cas.issue, trusted, now, brought), trusted)
    for request in before.missing:
        issuer = before.signer.certificate if before.signer else None
        validity_window(request, now, issuer)
        ledger.wanted(request, issuer)
    return Survey(tuple(ledger.sentences), before.warnings)


def refuse_expired(wanted: Iterable[CertRequest], now: datetime, today: datetime) -> None:
    """Raises UsageError where a certificate that begins ``now`` would have ended before ``today``."""
    for request in wanted:
        _, end = validity_window(request, now)
        if end <= today:
            raise UsageError(
                f"{request.label} would have expired already: dated {stamp(now)}, it ends {stamp(end)}",
                hint="SOURCE_DATE_EPOCH gives that date: unset it",
            )
