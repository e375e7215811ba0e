"""The CAs of a store: the one it begins with, its own or one that was brought along, and one for each ``rotate-ca``.

While the cluster goes from one to the next, two are in force: hosts trust the old one, and the new one signs. Leaves
then travel with the cross certificate, which is the new CA's name and key, signed by the old CA: whoever
trusts either of the two accepts them (RFC 4949, cross-certificate).
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509

from bundlegen.errors import StoreError
from bundlegen.pki import authority, pairs
from bundlegen.pki.cas import NEW, Cas
from bundlegen.pki.catalog import ca_request
from bundlegen.pki.compare import DamagedError, differences, is_cross, read_certificate, signed_by
from bundlegen.pki.files import failing_as, read_private
from bundlegen.pki.issue import Pair, algorithm_of, fingerprint
from bundlegen.pki.store_json import About

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster

CROSS_FILE: Final = "cross.crt"
_FOLDER: Final = re.compile(rf"{pairs.CA_FOLDER}-[1-9][0-9]{{0,6}}", re.ASCII)
_OTHER_STORE: Final = (
    "a store keeps its CA until bundlegen rotate-ca: undo the change of pki.ca, or choose another cluster name or "
    "--pki folder"
)


@dataclass(frozen=True)
class InForce:
    """The CAs that are meant; None for one that is still to be made. ``cross``: None unless they are two."""

    trusted: Pair | None
    signer: Pair | None
    cross: x509.Certificate | None = None


def folder_of(store: Path, number: int) -> Path:
    """Where the CA is that the change ``number`` made."""
    return store / f"{pairs.CA_FOLDER}-{number}"


def read(store: Path, cluster: Cluster, about: About | None, cas: Cas) -> InForce:
    """The CAs that ``cas`` means, each after every check that it is this store's.

    Raises StoreError where one is damaged, missing, or not the one that the specification demands.
    """
    if not cas.fingerprints:
        first = _first(store, cluster, about)
        check_pin(cluster, store, () if first is None else (first.fingerprint,))
        return InForce(first, first)
    if NEW in cas.fingerprints and about is not None and about.ca_external:
        raise StoreError(
            f"{store} was made with a CA of your own, and bundlegen makes no new one for it",
            hint="adopt the cluster under its new CA once that is in force",
        )
    found = [_one(store, cluster, about, each, cas.number) for each in cas.fingerprints]
    trusted, signer = found[0], found[-1]
    cross = None
    if len(found) > 1 and trusted is not None and signer is not None:
        cross = _cross(_place(store, signer.fingerprint), signer, trusted)
    if trusted is not None:
        check_pin(cluster, store, (trusted.fingerprint,))
    return InForce(trusted, signer, cross)


def certificate_path(store: Path, about: About, wanted: str) -> Path | None:
    """Where the certificate of the CA with this fingerprint is; None for one that was brought along."""
    if wanted == about.ca_fingerprint:
        return None if about.ca_external else store / pairs.CA_FOLDER / pairs.CA_FILES[0]
    return _place(store, wanted) / pairs.CA_FILES[0]


def check_pin(cluster: Cluster, store: Path, fingerprints: Collection[str]) -> None:
    """Raises StoreError where none of the CAs with these fingerprints is the one that is demanded."""
    wanted = cluster.pki.ca_fingerprint
    if wanted is None or wanted in fingerprints:
        return
    if not fingerprints:
        raise StoreError(
            f"{store} holds no CA, and pki.ca.fingerprint demands the one with the fingerprint {wanted}",
            hint="bring this cluster's store here, or name its folder with --pki; without the field a new CA is made",
        )
    raise StoreError(
        f"the CA is the one with the fingerprint {' or '.join(fingerprints)}, and pki.ca.fingerprint demands {wanted}",
        hint="name the folder of this cluster's store with --pki, or correct the field",
    )


def _one(store: Path, cluster: Cluster, about: About | None, wanted: str, number: int) -> Pair | None:
    if wanted == NEW:
        folder = folder_of(store, number)
        return _of_a_change(folder, cluster) if os.path.lexists(folder) else None
    if about is not None and wanted == about.ca_fingerprint:
        return _first(store, cluster, about)
    return _of_a_change(_place(store, wanted), cluster)


def _place(store: Path, wanted: str) -> Path:
    """The folder of the CA with this fingerprint, among those that changes made."""
    for folder in _folders(store):
        found = pairs.find_pair(folder, pairs.CA_FILES)
        if found is not None and found.fingerprint == wanted:
            return folder
    raise StoreError(
        f"{store} holds no CA with the fingerprint {wanted}, which this cluster has", hint="restore it from a backup"
    )


def _folders(store: Path) -> Iterator[Path]:
    with failing_as("read", store):
        names = sorted(each.name for each in store.iterdir())
    yield from (store / name for name in names if _FOLDER.fullmatch(name))


def _of_a_change(folder: Path, cluster: Cluster) -> Pair:
    found = pairs.find_pair(folder, pairs.CA_FILES)
    if found is None:
        raise StoreError(f"{folder} is missing", hint=pairs.remedy(folder, None))
    _check_own(folder, found, cluster, ())
    return found


def _first(store: Path, cluster: Cluster, about: About | None) -> Pair | None:
    """The CA that the store begins with; None if that is still to be made."""
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
        return signer
    own = pairs.find_pair(folder, pairs.CA_FILES)
    if own is None:
        if about is not None:
            raise StoreError(f"{folder} is missing", hint=pairs.remedy(folder, None))
        return None
    other = about is not None and about.ca_fingerprint != own.fingerprint
    _check_own(folder, own, cluster, ("is another CA than the one this store was made with",) if other else ())
    return own


def _check_own(folder: Path, own: Pair, cluster: Cluster, wrong: tuple[str, ...]) -> None:
    """Raises StoreError for what bundlegen has not made so; the CA stays where pki.encryptionAlgorithm changes."""
    expected = replace(ca_request(cluster), algorithm=algorithm_of(own.certificate.public_key()) or "none")
    wrong += differences(expected, own.certificate, None)
    if wrong:
        raise StoreError(f"{folder / pairs.CA_FILES[0]} {'; '.join(wrong)}", hint=pairs.remedy(folder, None))


def _cross(folder: Path, signer: Pair, trusted: Pair) -> x509.Certificate:
    path = folder / CROSS_FILE
    try:
        found = read_certificate(read_private(path))
    except FileNotFoundError:
        raise StoreError(f"{path} is missing", hint=pairs.remedy(folder, None)) from None
    except DamagedError as error:
        raise StoreError(f"{path} {error}", hint=pairs.remedy(folder, None)) from None
    if not is_cross(found, signer.certificate) or not signed_by(found, trusted.certificate):
        raise StoreError(
            f"{path} is not the new CA {fingerprint(signer.certificate)[:16]}…, signed by the old one",
            hint=pairs.remedy(folder, None),
        )
    return found
