"""The CAs of a store: the one it begins with, its own or one that was brought along, and one for each ``rotate-ca``.

While the cluster goes from one to the next, two are in force: hosts trust the old one, and the new one signs. Leaves
then travel with the cross certificate, which is the new CA's name and key, signed by the old CA: whoever
trusts either of the two accepts them (RFC 4949, cross-certificate).

A CA that was brought along stays where the specification says. Of one that ``rotate-ca`` turned to, the store keeps the
certificate, to know it by, and the cross certificate.
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
from bundlegen.pki.issue import Pair, algorithm_of, fingerprint, issuer_key_identifier
from bundlegen.pki.store_json import About

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster

CROSS_FILE: Final = "cross.crt"
BROUGHT_FILE: Final = "brought.crt"
"""The certificate of a CA that was brought along for ``rotate-ca``, in the folder of its change."""
_FOLDER: Final = re.compile(rf"{pairs.CA_FOLDER}-[1-9][0-9]{{0,6}}", re.ASCII)
_OTHER_STORE: Final = (
    "a store keeps its CA until bundlegen rotate-ca: undo the change of pki.ca, or choose another cluster name or "
    "--pki folder"
)
_NAME_IT: Final = (
    "name its certificate and key as pki.ca, or as pki.ca.previous while bundlegen rotate-ca turns from it to another"
)


@dataclass(frozen=True)
class InForce:
    """The CAs that are meant; None for one that is still to be made. ``cross``: None unless they are two."""

    trusted: Pair | None
    signer: Pair | None
    cross: x509.Certificate | None = None


def folder_of(store: Path, number: int) -> Path:
    """Where the CA is that the change ``number`` made, or what is kept of one that was brought along for it."""
    return store / f"{pairs.CA_FOLDER}-{number}"


def read(store: Path, cluster: Cluster, about: About | None, cas: Cas) -> InForce:
    """The CAs that ``cas`` means, each after every check that it is this store's.

    Raises StoreError where one is damaged, missing, or not the one that the specification demands.
    """
    if not cas.fingerprints:
        first = _first(store, cluster, about)
        check_pin(cluster, store, () if first is None else (first.fingerprint,))
        return InForce(first, first)
    found = [_one(store, cluster, about, each, cas.number) for each in cas.fingerprints]
    trusted, signer = found[0], found[-1]
    cross = None
    if len(found) > 1 and trusted is not None:
        made = folder_of(store, cas.number) if cas.issue or signer is None else _place(store, signer.fingerprint)
        if cas.issue and not os.path.lexists(made):
            _check_turn(signer, trusted)
        elif signer is not None:
            cross = _cross(made, signer, trusted)
    if trusted is not None:
        check_pin(cluster, store, (trusted.fingerprint,))
    return InForce(trusted, signer, cross)


def certificate_path(store: Path, about: About, wanted: str) -> Path | None:
    """Where the certificate of the CA with this fingerprint is; None for one that was brought along at first."""
    if wanted == about.ca_fingerprint:
        return None if about.ca_external else store / pairs.CA_FOLDER / pairs.CA_FILES[0]
    folder = _place(store, wanted)
    return folder / (BROUGHT_FILE if _brought(folder) else pairs.CA_FILES[0])


def check_new(cluster: Cluster, in_force: str) -> None:
    """Raises StoreError where the CA that is brought along to turn to is the one in force."""
    files = cluster.pki.ca_files
    if files is not None and authority.from_files(Path(files.certificate), Path(files.key)).fingerprint == in_force:
        raise StoreError(
            f"{files.certificate} is the CA in force",
            hint="name the new CA as pki.ca, and this one as pki.ca.previous; or leave pki.ca.certificate and "
            "pki.ca.key out, and bundlegen makes a new CA",
        )


def check_named(store: Path, cluster: Cluster, about: About, wanted: str) -> None:
    """Raises StoreError where the specification brings another CA than the one that signs, ``wanted``, or brings none
    though that was brought along: no change but ``rotate-ca`` makes that so."""
    files = cluster.pki.ca_files
    if files is not None:
        if authority.from_files(Path(files.certificate), Path(files.key)).fingerprint != wanted:
            raise StoreError(
                f"{files.certificate} is another CA than the one that {store} has in force", hint=_OTHER_STORE
            )
    elif about.ca_external if wanted == about.ca_fingerprint else _brought(_place(store, wanted)):
        raise StoreError(f"{store} has a CA of your own in force, and the specification names none", hint=_OTHER_STORE)


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
        return _new(cluster, folder_of(store, number))
    for files in cluster.pki.known_ca_files:
        brought = authority.from_files(Path(files.certificate), Path(files.key))
        if brought.fingerprint == wanted:
            return brought
    if about is not None and wanted == about.ca_fingerprint:
        if about.ca_external:
            raise _not_named(store, wanted)
        return _own_first(store, cluster, about)
    folder = _place(store, wanted)
    if _brought(folder):
        raise _not_named(store, wanted)
    return _of_a_change(folder, cluster)


def _not_named(store: Path, wanted: str) -> StoreError:
    return StoreError(
        f"{store} needs the CA of your own with the fingerprint {wanted}, and the specification does not name it",
        hint=_NAME_IT,
    )


def _new(cluster: Cluster, folder: Path) -> Pair | None:
    """The CA that a change turns to; None if that is still to be made."""
    files = cluster.pki.ca_files
    if files is None:
        return _of_a_change(folder, cluster) if os.path.lexists(folder) else None
    brought = authority.from_files(Path(files.certificate), Path(files.key))
    if os.path.lexists(folder) and _fingerprint(folder) != brought.fingerprint:
        raise StoreError(
            f"{folder} was begun with another CA than {files.certificate}",
            hint=f"name that one, or move {folder} out of the store, if nothing of it has left this machine",
        )
    return brought


def _check_turn(signer: Pair | None, trusted: Pair) -> None:
    """Raises StoreError where no cross certificate can lead from the one to the other.

    RFC 5280 4.2.1.9 has no CA below one with a path length of 0. Names alone tell CAs apart where no identifier does.
    """
    constraints = trusted.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    if constraints.path_length == 0:
        raise StoreError(
            "the CA in force may sign no other CA (basicConstraints with a path length of 0), so no cross certificate",
            hint="only rotate-ca --now can take another CA: the cluster does not serve meanwhile",
        )
    if signer is None:
        return
    if signer.key.public_key() == trusted.key.public_key():
        raise StoreError(
            "the CA that pki.ca names has the key of the one in force", hint="a new CA needs a key of its own"
        )
    same = signer.certificate.subject == trusted.certificate.subject
    if same and None in (issuer_key_identifier(each.certificate) for each in (signer, trusted)):
        raise StoreError(
            "the CA that pki.ca names has the subject of the one in force, and one of them has no subject key "
            "identifier: hosts could not tell them apart",
            hint="give the new one another subject",
        )


def _brought(folder: Path) -> bool:
    return os.path.lexists(folder / BROUGHT_FILE)


def _fingerprint(folder: Path) -> str:
    """That of the CA in the folder of a change; empty if there is none."""
    if not _brought(folder):
        found = pairs.find_pair(folder, pairs.CA_FILES)
        return "" if found is None else found.fingerprint
    path = folder / BROUGHT_FILE
    try:
        return fingerprint(read_certificate(read_private(path)))
    except DamagedError as error:
        raise StoreError(f"{path} {error}", hint=pairs.remedy(folder, None)) from None


def _place(store: Path, wanted: str) -> Path:
    """The folder of the CA with this fingerprint, among those that changes made."""
    for folder in _folders(store):
        if _fingerprint(folder) == wanted:
            return folder
    raise StoreError(
        f"{store} holds no CA with the fingerprint {wanted}, which this cluster has", hint="restore it from a backup"
    )


def _folders(store: Path) -> Iterator[Path]:
    """The newest first."""
    with failing_as("read", store):
        names = [each.name for each in store.iterdir() if _FOLDER.fullmatch(each.name)]
    yield from (store / name for name in sorted(names, key=lambda name: -int(name.rpartition("-")[2])))


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
    return _own_first(store, cluster, about)


def _own_first(store: Path, cluster: Cluster, about: About | None) -> Pair | None:
    folder = store / pairs.CA_FOLDER
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
