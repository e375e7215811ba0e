"""What a store has, against what a specification asks for.

Reads only: whether anything is then issued is the caller's choice.
"""

from __future__ import annotations

import os
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from cryptography import x509

from bundlegen.errors import StoreError
from bundlegen.pki import authorities, authority, ledger, pairs, store_json
from bundlegen.pki.cas import BEGINNING, Cas
from bundlegen.pki.catalog import ETCD_CA, CertRequest, ca_request, host_requests
from bundlegen.pki.issue import Pair, algorithm_of
from bundlegen.pki.ledger import Record
from bundlegen.pki.pairs import Damage
from bundlegen.pki.store_json import About
from bundlegen.system.text import stamp

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster

SOON: Final = timedelta(days=30)


@dataclass(frozen=True)
class State:
    """``about`` and ``signer`` are None where they are still to be made.

    ``trusted``: the CA that hosts trust, and ``cross`` the cross certificate, where that is not the signer. ``found``
    holds what fits, in the order asked for. ``brings``: a CA was brought along for this change, and the store does not
    know it yet.
    """

    about: About | None
    trusted: Pair | None
    signer: Pair | None
    cross: x509.Certificate | None
    requests: tuple[CertRequest, ...]
    found: dict[CertRequest, Pair]
    past: Record
    warnings: tuple[str, ...]
    brings: bool = False

    @property
    def missing(self) -> tuple[CertRequest, ...]:
        """What has to be issued, in the order asked for; the CA apart."""
        return tuple(request for request in self.requests if request not in self.found)


def read(
    store: Path,
    cluster: Cluster,
    now: datetime,
    issues: Mapping[str, int] = MappingProxyType({}),
    *,
    cas: Cas = BEGINNING,
    expired: bool = False,
    needed: Container[str] | None = None,
) -> State:
    """Everything the store at this path has for the cluster, checked. A store that is not there has nothing.

    ``issues``: by host, the number of the issue of its certificates; absent: the first. ``cas``: which CAs are in
    force. ``expired``: those that have
    expired are found as well; else they must be valid, but for those of hosts that are not ``needed`` (None: all are).
    Raises StoreError where the store is damaged, expired, or in conflict with the
    specification.
    """
    about = store_json.read(store / pairs.STORE_JSON, cluster.name)
    force = authorities.read(store, cluster, about, cas)
    signer = force.signer
    requests = tuple(
        request for host in cluster.hosts for request in host_requests(cluster, host, issues.get(host.name, 0))
    )
    past = ledger.read(store / pairs.RECORD)
    if (
        not past.fingerprints
        and not past.warnings
        and (os.path.lexists(store / pairs.CA_FOLDER) or pairs.has_leaves(store))
    ):
        # An entry is written before its certificate appears.
        raise StoreError(
            f"{store / pairs.RECORD} is empty or missing, and the store has certificates",
            hint="restore it from a backup",
        )
    if signer is None:
        return State(about, force.trusted, None, None, requests, {}, past, past.warnings)
    if not expired:
        authority.check_dates(signer.certificate, _place(store, cluster), now)
    damage = Damage()
    found = pairs.find_leaves(store, requests, signer.certificate, damage)
    for request, pair in found.items():
        if expired or (needed is not None and request.host not in needed):
            continue
        if now > pair.certificate.not_valid_after_utc:
            damage.add(_expired(pairs.leaf_folder(store, request, signer.certificate), request, pair))
    damage.raise_if_any()
    warnings = (*past.warnings, *_kept(cluster, signer, about), *_worries(found, signer, now))
    brings = bool(cas.issue) and not os.path.lexists(authorities.folder_of(store, cas.issue))
    return State(about, force.trusted, signer, force.cross, requests, found, past, warnings, brings)


def _place(store: Path, cluster: Cluster) -> str:
    brought = cluster.pki.ca_files
    return str(store / pairs.CA_FOLDER / pairs.CA_FILES[0]) if brought is None else brought.certificate


def _expired(folder: Path, request: CertRequest, pair: Pair) -> StoreError:
    return StoreError(
        f"{folder / pairs.LEAF_FILES[0]} ({request.label}) expired on {stamp(pair.certificate.not_valid_after_utc)}",
        hint="new ones are made by: bundlegen renew SPEC",
    )


def _kept(cluster: Cluster, signer: Pair, about: About | None) -> list[str]:
    """What the specification asks of the CA that the store's CA, which is never replaced, is not."""
    if cluster.pki.ca_files is not None:
        return []
    asked = ca_request(cluster)
    kept = "; the store's CA is kept, because replacing it would cut off every host"
    warnings = []
    algorithm = algorithm_of(signer.certificate.public_key())
    if algorithm != asked.algorithm:
        warnings.append(f"{ETCD_CA} is {algorithm}, not {asked.algorithm} as pki.encryptionAlgorithm asks{kept}")
    seconds = int(asked.validity.total_seconds())
    if about is not None and about.ca_validity not in (None, seconds):
        warnings.append(
            f"{ETCD_CA} is valid until {stamp(signer.certificate.not_valid_after_utc)}, "
            f"not as long as pki.caCertificateValidityPeriod asks{kept}"
        )
    return warnings


def _worries(found: dict[CertRequest, Pair], signer: Pair, now: datetime) -> list[str]:
    warnings = []
    soon = sorted(
        (pair.certificate.not_valid_after_utc, request.label)
        for request, pair in found.items()
        if pair.certificate.not_valid_after_utc - now < SOON
    )
    if soon:
        end, label = soon[0]
        many = f"{len(soon)} certificates expire" if len(soon) > 1 else "a certificate expires"
        when = f"within {SOON.days} days" if end > now else "or have expired" if len(soon) > 1 else "or has expired"
        warnings.append(f"{many} {when}, first {label} on {stamp(end)}")
    if signer.certificate.not_valid_after_utc - now < SOON:
        warnings.append(f"the CA expires within {SOON.days} days, on {stamp(signer.certificate.not_valid_after_utc)}")
    early = max((pair.certificate.not_valid_before_utc for pair in found.values()), default=now)
    if early > now:
        warnings.append(
            f"some certificates are not valid before {stamp(early)}; this machine's clock says {stamp(now)}"
        )
    return warnings
