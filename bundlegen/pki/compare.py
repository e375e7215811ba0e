"""Is what a store holds what was asked for? Pure: bytes in, what is wrong with them out, in words."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bundlegen.pki.catalog import CertRequest
from bundlegen.pki.issue import PrivateKey, algorithm_of, certificate_pem, extensions, key_pem, subject_name
from bundlegen.system.text import stamp


class DamagedError(ValueError):
    """What was read is not what bundlegen wrote; the text says in what way, and holds nothing of a key."""


def read_certificate(content: bytes) -> x509.Certificate:
    """The certificate in a file that bundlegen wrote: one, PEM, nothing else. Raises DamagedError."""
    certificate, *more = read_chain(content)
    if more:
        raise DamagedError("is not as bundlegen wrote it")
    return certificate


def read_chain(content: bytes) -> list[x509.Certificate]:
    """The certificates in a file that bundlegen wrote: at least one, PEM, nothing else. Raises DamagedError."""
    try:
        found = x509.load_pem_x509_certificates(content)
    except ValueError:
        raise DamagedError("is not a PEM certificate") from None
    if not found or b"".join(map(certificate_pem, found)) != content:
        raise DamagedError("is not as bundlegen wrote it")
    return found


def read_key(content: bytes) -> PrivateKey:
    """The private key in a file that bundlegen wrote: one, its parts consistent. Raises DamagedError."""
    try:
        # OpenSSL's own validation proves the primes again: 45 ms for each key of a host. bundlegen made this key, so
        # only damage has to be found, which the arithmetic below does.
        key = load_pem_private_key(content, password=None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError):
        raise DamagedError("is not a private key in PEM") from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise DamagedError("is a kind of key that bundlegen does not make")
    if key_pem(key) != content:
        raise DamagedError("is not as bundlegen wrote it")
    if isinstance(key, rsa.RSAPrivateKey) and not _consistent(key):
        raise DamagedError("holds a damaged key")
    return key


def differences(
    request: CertRequest, certificate: x509.Certificate, issuer: x509.Certificate | None
) -> tuple[str, ...]:
    """In what a certificate is not the one asked for; empty if it is. ``issuer`` None: self-signed."""
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return ("is for a kind of key that bundlegen does not make",)
    found = []
    if certificate.subject != subject_name(request):
        found.append(f"is for another subject: {certificate.subject.rfc4514_string()}, not {request.subject}")
    if algorithm_of(key) != request.algorithm:
        found.append(f"is for another kind of key: {algorithm_of(key)}, not {request.algorithm}")
    found += _extension_differences(certificate, extensions(request, key, issuer))
    if not signed_by(certificate, issuer or certificate):
        found.append("is not signed by this cluster's CA")
    elif issuer is not None:
        found += _date_differences(request, certificate, issuer)
    return tuple(found)


def signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer's name and signature are on the certificate."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def is_cross(found: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether it has the name and the key of the CA ``issuer``, whoever signed it."""
    return found.subject == issuer.subject and found.public_key() == issuer.public_key()


def belongs_to(key: PrivateKey, certificate: x509.Certificate) -> bool:
    """Whether it is the certificate's key."""
    return key.public_key() == certificate.public_key()


def issue_time(request: CertRequest, certificate: x509.Certificate) -> datetime:
    """When the certificate was issued. Its end is counted from that moment, while its start is back-dated."""
    return certificate.not_valid_after_utc - request.validity


def _extension_differences(
    certificate: x509.Certificate, wanted: tuple[tuple[x509.ExtensionType, bool], ...]
) -> list[str]:
    try:
        found = tuple((extension.value, extension.critical) for extension in certificate.extensions)
    except ValueError:
        return ["has extensions that cannot be read"]
    if found == wanted:
        return []
    labels: dict[type[x509.ExtensionType], str] = {
        x509.SubjectAlternativeName: "names or addresses (SANs)",
        x509.ExtendedKeyUsage: "usages",
    }
    for kind, label in labels.items():
        here, there = (next((pair for pair in pairs if isinstance(pair[0], kind)), None) for pairs in (found, wanted))
        if here != there:
            return [f"has other {label} than asked for"]
    return ["has other extensions than bundlegen gives"]


def _date_differences(request: CertRequest, certificate: x509.Certificate, issuer: x509.Certificate) -> list[str]:
    start = max(issue_time(request, certificate) - request.margin, issuer.not_valid_before_utc)
    if certificate.not_valid_before_utc == start:
        return []
    window = f"{stamp(certificate.not_valid_before_utc)} to {stamp(certificate.not_valid_after_utc)}"
    return [f"has another period of validity than asked for: {window}"]


def _consistent(key: rsa.RSAPrivateKey) -> bool:
    """Whether every part of an RSA key fits the others (RFC 8017, 3.2), primality apart."""
    numbers = key.private_numbers()
    p, q, d, public = numbers.p, numbers.q, numbers.d, numbers.public_numbers
    return (
        p > 1
        and q > 1
        and p * q == public.n
        and d * public.e % (p - 1) == 1
        and d * public.e % (q - 1) == 1
        and numbers.dmp1 == d % (p - 1)
        and numbers.dmq1 == d % (q - 1)
        and numbers.iqmp * q % p == 1
    )
