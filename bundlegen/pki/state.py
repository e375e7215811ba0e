"""What a store has, against what a specification asks for.

Reads only: whether anything is then issued is the caller's choice.
"""

from __future__ import annotations

import os
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from bundlegen.errors import StoreError
from bundlegen.pki import authority, ledger, pairs, store_json
from bundlegen.pki.catalog import ETCD_CA, CertRequest, ca_request, host_requests
from bundlegen.pki.compare import differences
from bundlegen.pki.issue import Pair, algorithm_of
from bundlegen.pki.ledger import Record
from bundlegen.pki.pairs import Damage
from bundlegen.pki.store_json import About
from bundlegen.system.text import stamp

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster

SOON: Final = timedelta(days=30)
_OTHER_STORE: Final = (
    "a cluster keeps its CA for life: undo the change of pki.ca, or choose another cluster name or --pki folder"
)


@dataclass(frozen=True)
class State:
    """``about`` and ``signer`` are None where they are still to be made.

    ``found`` holds what fits, in the order asked for.
    """

    about: About | None
    signer: Pair | None
    requests: tuple[CertRequest, ...]
    found: dict[CertRequest, Pair]
    past: Record
    warnings: tuple[str, ...]

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
    expired: bool = False,
    needed: Container[str] | None = None,
) -> State:
    """Everything the store at this path has for the cluster, checked. A store that is not there has nothing.

    ``issues``: by host, the number of the issue of its certificates; absent: the first. ``expired``: those that have
    expired are found as well; else they must be valid, but for those of hosts that are not ``needed`` (None: all are).
    Raises StoreError where the store is damaged, expired, or in conflict with the
    specification.
    """
    about = store_json.read(store / pairs.STORE_JSON, cluster.name)
    signer = _signer(store, cluster, about)
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
        return State(about, None, requests, {}, past, past.warnings)
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
    return State(about, signer, requests, found, past, warnings)


def _signer(store: Path, cluster: Cluster, about: About | None) -> Pair | None:
    """The CA to sign with, after every check that it is this store's."""
    brought = cluster.pki.ca_files
    folder = store / pairs.CA_FOLDER
    if about is None:
        if pairs.has_leaves(store):
            raise StoreError(f"{store / pairs.STORE_JSON} is missing", hint="restore it from a backup")
    elif about.ca_external and brought is None:
        raise StoreError(f"{store} was made with a CA of your own, and the specification names none", hint=_OTHER_STORE)
    elif not about.ca_external and brought is not None:
        raise StoreError(f"{store} has a CA of its own, and the specification brings another", hint=_OTHER_STORE)
    if brought is not None:
        signer = authority.from_files(Path(brought.certificate), Path(brought.key))
        if about is None and os.path.lexists(folder):
            raise StoreError(f"{folder} is there, though the specification brings another CA", hint=_OTHER_STORE)
        if about is not None and about.ca_fingerprint != signer.fingerprint:
            raise StoreError(
                f"{brought.certificate} is another CA than the one {store} was made with", hint=_OTHER_STORE
            )
        check_pin(cluster, store, signer.fingerprint)
        return signer
    own = pairs.find_ca(store)
    if own is None:
        if about is not None:
            raise StoreError(f"{folder} is missing", hint=pairs.remedy(folder, None))
        check_pin(cluster, store, None)
        return None
    certificate = own.certificate
    expected = replace(ca_request(cluster), algorithm=algorithm_of(certificate.public_key()) or "none")
    wrong = differences(expected, certificate, None)
    if about is not None and about.ca_fingerprint != own.fingerprint:
        wrong = ("is another CA than the one this store was made with", *wrong)
    if wrong:
        raise StoreError(f"{folder / pairs.CA_FILES[0]} {'; '.join(wrong)}", hint=pairs.remedy(folder, None))
    check_pin(cluster, store, own.fingerprint)
    return own


def check_pin(cluster: Cluster, store: Path, fingerprint: str | None) -> None:
    """Raises StoreError where the CA of this fingerprint (None: there is none yet) is not the one that is demanded."""
    wanted = cluster.pki.ca_fingerprint
    if wanted is None or wanted == fingerprint:
        return
    if fingerprint is None:
        raise StoreError(
            f"{store} holds no CA, and pki.ca.fingerprint demands the one with the fingerprint {wanted}",
            hint="bring this cluster's store here, or name its folder with --pki; without the field a new CA is made",
        )
    raise StoreError(
        f"the CA is the one with the fingerprint {fingerprint}, and pki.ca.fingerprint demands {wanted}",
        hint="name the folder of this cluster's store with --pki, or correct the field",
    )


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
