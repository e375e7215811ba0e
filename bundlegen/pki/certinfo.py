"""What people want to know of a certificate, read from its PEM. Pure; never sees a key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

_REMEMBERED: Final = 64
"""Certificates: those of a host are read when its bundle is planned, and again when it is packed."""
_USAGES = {ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth", ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth"}


@dataclass(frozen=True)
class CertInfo:
    """One certificate in words. ``serial`` and ``fingerprint`` (SHA-256 of the DER form) are hexadecimal."""

    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime
    sans: tuple[str, ...]
    usages: tuple[str, ...]
    is_ca: bool
    algorithm: str
    fingerprint: str


@lru_cache(maxsize=_REMEMBERED)
def describe(pem: bytes) -> CertInfo:
    """What the one certificate in ``pem`` says. Raises ValueError if there is none that can be read."""
    certificate = x509.load_pem_x509_certificate(pem)
    try:
        return CertInfo(
            subject=_name(certificate.subject),
            issuer=_name(certificate.issuer),
            serial=f"{certificate.serial_number:x}",
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            sans=_sans(certificate),
            usages=_usages(certificate),
            is_ca=_is_ca(certificate),
            algorithm=_algorithm(certificate),
            fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        )
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise ValueError("a certificate with extensions that cannot be read") from error


def _name(name: x509.Name) -> str:
    """As openssl prints it: in the order of the certificate."""
    return ", ".join(f"{part.rfc4514_attribute_name}={part.value!s}" for rdn in name.rdns for part in rdn)


def _sans(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(_san(each) for each in names)


def _san(name: x509.GeneralName) -> str:
    match name:
        case x509.DNSName():
            return f"DNS:{name.value}"
        case x509.IPAddress():
            return f"IP:{name.value}"
        case _:
            return f"{type(name).__name__}:{name.value}"


def _usages(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(_USAGES.get(each, each.dotted_string) for each in usages)


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _algorithm(certificate: x509.Certificate) -> str:
    try:
        key = certificate.public_key()
    except Exception as error:
        raise ValueError("a certificate with a public key that cannot be read") from error
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA-{key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return {"secp256r1": "ECDSA-P256", "secp384r1": "ECDSA-P384"}.get(key.curve.name, key.curve.name)
    return type(key).__name__
