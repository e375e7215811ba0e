"""The places in a store and what is found there: every pair is checked against what was asked for before it is used."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509

from bundlegen.errors import StoreError
from bundlegen.pki.catalog import CertRequest
from bundlegen.pki.compare import DamagedError, belongs_to, differences, is_cross, read_chain, read_key
from bundlegen.pki.files import check_folder, failing_as, read_private
from bundlegen.pki.issue import Pair, request_digest

STORE_JSON: Final = "store.json"
RECORD: Final = "issued.jsonl"
LOCK: Final = ".lock"
CA_FOLDER: Final = "ca"
HOSTS: Final = "hosts"
CA_FILES: Final = ("ca.crt", "ca.key")
LEAF_FILES: Final = ("tls.crt", "tls.key")
_DIGITS: Final = 16  # of the request's digest in a folder's name: plenty, as a host has few of each certificate
_SHOWN: Final = 5


class Damage:
    """Collects what is wrong with a store, so that everything is said at once."""

    def __init__(self) -> None:
        self._found: list[StoreError] = []

    def add(self, error: StoreError) -> None:
        self._found.append(error)

    def raise_if_any(self) -> None:
        """Raises one StoreError for everything collected."""
        if not self._found:
            return
        if len(self._found) == 1:
            raise self._found[0]
        messages = [error.message for error in self._found[:_SHOWN]]
        if len(self._found) > _SHOWN:
            messages.append(f"and {len(self._found) - _SHOWN} more")
        hints = list(dict.fromkeys(error.hint for error in self._found if error.hint))
        raise StoreError("; ".join(messages), hint="; ".join(hints[:_SHOWN]))


def store_around(path: Path) -> Path | None:
    """The store that the file or folder at ``path`` is or would be in, links followed; None if it is in none."""
    real = path.resolve()
    for folder in (real, *real.parents):
        if (folder / RECORD).is_file() or ((folder / STORE_JSON).is_file() and (folder / HOSTS).is_dir()):
            return folder
    return None


def leaf_folder(store: Path, request: CertRequest, issuer: x509.Certificate) -> Path:
    """Where the pair for this request is: its name tells it from every other request of the host."""
    return leaf_place(store, str(request.host), request.name, request_digest(request, issuer))


def leaf_place(store: Path, host: str, name: str, digest: str) -> Path:
    """The same where only the digest of the request is at hand."""
    return store / HOSTS / host / f"{name}-{digest[:_DIGITS]}"


def files(pair: Pair, names: tuple[str, str]) -> dict[str, bytes]:
    """A pair as the two files that a store keeps of it."""
    return dict(zip(names, (pair.certificate_pem, pair.key_pem), strict=True))


def has_leaves(store: Path) -> bool:
    """Whether anything was issued for a host."""
    with failing_as("read", store / HOSTS):
        try:
            return any(any(host.iterdir()) for host in (store / HOSTS).iterdir() if host.is_dir())
        except FileNotFoundError:
            return False


def find_pair(folder: Path, names: tuple[str, str]) -> Pair | None:
    """The pair in ``folder``, its two halves fitting; None if there is none. Raises StoreError if it is damaged."""
    return _find(folder, names, None, None)


def find_leaves(
    store: Path, requests: Sequence[CertRequest], issuer: x509.Certificate, damage: Damage
) -> dict[CertRequest, Pair]:
    """The pairs the store has for these requests. What is wrong with any of them is added to ``damage``."""
    found = {}
    for place in sorted({store / HOSTS, *(store / HOSTS / str(request.host) for request in requests)}):
        if os.path.lexists(place):
            check_folder(place)
    for request in requests:
        try:
            pair = _find(leaf_folder(store, request, issuer), LEAF_FILES, request, issuer)
        except StoreError as error:
            damage.add(error)
            continue
        if pair is not None:
            found[request] = pair
    return found


def remedy(folder: Path, request: CertRequest | None) -> str:
    """What to do about a damaged pair; ``request`` None: about the CA."""
    if request is None:
        return f"restore {folder} from a backup: without its CA this cluster cannot be added to or renewed"
    return f"restore {folder} from a backup, or move it out of the store and build again to have a new one issued"


def _find(
    folder: Path, names: tuple[str, str], request: CertRequest | None, issuer: x509.Certificate | None
) -> Pair | None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise StoreError(f"{folder} is not a folder", hint=remedy(folder, request)) from error
        with failing_as("read", folder):
            raise
    try:
        return _read_pair(folder, descriptor, names, request, issuer)
    finally:
        os.close(descriptor)


def _read_pair(
    folder: Path, descriptor: int, names: tuple[str, str], request: CertRequest | None, issuer: x509.Certificate | None
) -> Pair:
    paths = folder / names[0], folder / names[1]
    contents = []
    for path in paths:
        try:
            contents.append(read_private(path, folder=descriptor))
        except FileNotFoundError:
            raise StoreError(f"{path} is missing", hint=remedy(folder, request)) from None
    certificate, chain = _certificate(paths[0], contents[0], request, issuer)
    try:
        key = read_key(contents[1])
    except DamagedError as error:
        raise StoreError(f"{paths[1]} {error}", hint=remedy(folder, request)) from None
    if not belongs_to(key, certificate):
        raise StoreError(f"{paths[1]} is not the key of {names[0]} beside it", hint=remedy(folder, request))
    return Pair(certificate, key, chain)


def _certificate(
    path: Path, content: bytes, request: CertRequest | None, issuer: x509.Certificate | None
) -> tuple[x509.Certificate, tuple[x509.Certificate, ...]]:
    try:
        certificate, *chain = read_chain(content)
    except DamagedError as error:
        raise StoreError(f"{path} {error}", hint=remedy(path.parent, request)) from None
    wrong = differences(request, certificate, issuer) if request else ()
    if len(chain) > 1 or any(issuer is None or not is_cross(each, issuer) for each in chain):
        wrong += ("is followed by a certificate that is not its CA's",)
    if wrong:
        raise StoreError(f"{path} {'; '.join(wrong)}", hint=remedy(path.parent, request))
    return certificate, tuple(chain)
