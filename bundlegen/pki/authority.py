"""The CA that signs: the store's own, or one that was brought along, which is checked first."""

from __future__ import annotations

import os
import stat
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from bundlegen.errors import StoreError
from bundlegen.pki import pairs
from bundlegen.pki.compare import belongs_to, signed_by
from bundlegen.pki.files import check_one_name, failing_as, open_to_others
from bundlegen.pki.issue import CURVES, Pair, PrivateKey
from bundlegen.system.text import stamp

_LEAST_RSA_BITS: Final = 2048
_LARGEST_FILE: Final = 1 << 20
_Kind = TypeVar("_Kind", bound=x509.ExtensionType)


def from_files(certificate_path: Path, key_path: Path) -> Pair:
    """The CA in the files a specification names, used from its place and never copied into the store.

    Hosts get both files rewritten in kubeadm's form (one PEM certificate; PKCS#1 or SEC1), so that the same CA gives
    the same bundles however its files are laid out. Raises StoreError saying which file is unfit, why, and what to do.
    """
    for path in (certificate_path, key_path):
        if (store := pairs.store_around(path)) is not None:
            raise StoreError(
                f"{path} is in {store}, the store of a cluster",
                hint="a store's CA is that cluster's alone: bring a CA of your own, or leave pki.ca out",
            )
    certificate = _certificate(certificate_path)
    _check_is_ca(certificate, certificate_path)
    key = _key(key_path)
    if not belongs_to(key, certificate):
        raise StoreError(
            f"{key_path} is not the key of {certificate_path}", hint="name the two files that belong together"
        )
    _check_strength(key, key_path)
    return Pair(certificate, key)


def check_dates(certificate: x509.Certificate, where: str, now: datetime) -> None:
    """Raises StoreError if the CA is not valid now."""
    if now > certificate.not_valid_after_utc:
        raise StoreError(
            f"the CA {where} expired on {stamp(certificate.not_valid_after_utc)}",
            hint="hosts trust it no longer; a new CA needs a new store: choose another cluster name or --pki folder",
        )
    if now < certificate.not_valid_before_utc:
        raise StoreError(
            f"the CA {where} is not valid before {stamp(certificate.not_valid_before_utc)}",
            hint=f"check this machine's clock, which says {stamp(now)}",
        )


def _certificate(path: Path) -> x509.Certificate:
    content = _read(path)[0]
    try:
        certificates = x509.load_pem_x509_certificates(content)
        if certificates:
            _ = certificates[0].extensions, certificates[0].public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise StoreError(
            f"{path} is not a PEM certificate",
            hint="it begins with -----BEGIN CERTIFICATE-----; convert DER with: openssl x509 -inform der",
        ) from None
    if len(certificates) > 1:
        raise StoreError(
            f"{path} holds {len(certificates)} certificates",
            hint="leave only the self-signed CA in it; etcd would trust every certificate of the file",
        )
    return certificates[0]


def _check_is_ca(certificate: x509.Certificate, path: Path) -> None:
    constraints = _extension(certificate, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise StoreError(f"{path} is not a CA (no basicConstraints CA:TRUE)", hint="name a CA's certificate")
    if not certificate.subject.rdns:
        raise StoreError(
            f"{path} has no subject", hint="certificates name their CA by its subject; name a CA that has one"
        )
    usage = _extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise StoreError(f"{path} may not sign certificates (keyUsage without keyCertSign)", hint="name a CA that may")
    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    enough = purposes is None or (
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in purposes
        or {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH} <= set(purposes)
    )
    if not enough:
        raise StoreError(
            f"{path} is not for servers and clients (extendedKeyUsage without serverAuth or clientAuth)",
            hint="name a CA without extendedKeyUsage",
        )
    if _extension(certificate, x509.NameConstraints) is not None:
        raise StoreError(
            f"{path} is limited to certain names (nameConstraints)",
            hint="the client certificates' names cannot satisfy that; name a CA without name constraints",
        )
    if not signed_by(certificate, certificate):
        raise StoreError(
            f"{path} is not a root: {certificate.issuer.rfc4514_string() or 'another CA'} issued it",
            hint="tools on the hosts do not trust a CA without its root; name a self-signed CA made for this cluster",
        )


def _key(path: Path) -> PrivateKey:
    content, status = _read(path)
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o027:
        raise open_to_others(path, mode, "0600")
    check_one_name(path, status)
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError:
        raise StoreError(
            f"{path} is encrypted",
            hint=f"make a copy that is not, in a private place: (umask 077; openssl pkey -in {path} -out ca-plain.key)",
        ) from None
    except ValueError:
        raise StoreError(f"{path} is not a private key in PEM", hint="it begins with -----BEGIN") from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise _unfit(path)
    return key


def _check_strength(key: PrivateKey, path: Path) -> None:
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < _LEAST_RSA_BITS:
            raise StoreError(f"{path} is RSA of {key.key_size} bits", hint=f"at least {_LEAST_RSA_BITS} are needed")
    elif not isinstance(key.curve, tuple(CURVES.values())):
        raise _unfit(path)


def _unfit(path: Path) -> StoreError:
    return StoreError(f"{path} is of a kind that kubeadm cannot use", hint="RSA, or ECDSA on P-256 or P-384")


def _extension(certificate: x509.Certificate, kind: type[_Kind]) -> _Kind | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _read(path: Path) -> tuple[bytes, os.stat_result]:
    with failing_as("read", path):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_FILE:
                raise StoreError(f"{path} is not a PEM file", hint="name the CA's file itself")
            return os.read(descriptor, _LARGEST_FILE), status
        finally:
            os.close(descriptor)
