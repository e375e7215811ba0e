"""A request, a key, a serial number, a moment and an issuer make a certificate: nothing else does.

No clock, no disk, no randomness: the same inputs give the same certificate (ECDSA signatures apart, which OpenSSL
salts). The extensions, their order and their criticality are those of kubeadm ``pkiutil/pki_helpers.go NewSignedCert``
and ``client-go/util/cert NewSelfSignedCACert``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bundlegen.errors import StoreError
from bundlegen.pki.catalog import CLIENT_AUTH, SERVER_AUTH, CertRequest
from bundlegen.system.text import stamp

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

RSA_BITS: Final = {"RSA-2048": 2048, "RSA-3072": 3072, "RSA-4096": 4096}
CURVES: Final[dict[str, type[ec.EllipticCurve]]] = {"ECDSA-P256": ec.SECP256R1, "ECDSA-P384": ec.SECP384R1}
USAGE_OIDS: Final = {SERVER_AUTH: ExtendedKeyUsageOID.SERVER_AUTH, CLIENT_AUTH: ExtendedKeyUsageOID.CLIENT_AUTH}

_EARLIEST: Final = datetime(1950, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key: a leaf, or a CA that can sign. The certificates alone tell pairs apart.

    ``chain``: what follows the certificate in its file: nothing, or the cross certificate of its CA.
    """

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False, compare=False)
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def certificate_pem(self) -> bytes:
        return b"".join(map(certificate_pem, (self.certificate, *self.chain)))

    @property
    def key_pem(self) -> bytes:
        return key_pem(self.key)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.certificate)


def issue(
    request: CertRequest,
    *,
    key: PrivateKey,
    serial: int,
    issued_at: datetime,
    issuer: Pair | None = None,
    named: x509.Certificate | None = None,
) -> x509.Certificate:
    """The certificate asked for, signed by ``issuer`` or, for a CA, by itself.

    ``named``: the CA, made elsewhere, whose subject and key identifier it has in place of those asked for.
    Raises StoreError if it would outlive its issuer or leave the range of dates a certificate can hold.
    """
    not_before, not_after = validity_window(request, issued_at, issuer.certificate if issuer else None)
    subject = named.subject if named else subject_name(request)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    for extension, critical in extensions(request, key.public_key(), issuer.certificate if issuer else None):
        wanted: x509.ExtensionType | None = extension
        if named and isinstance(extension, x509.SubjectKeyIdentifier):
            identifier = issuer_key_identifier(named)
            wanted = None if identifier is None else x509.SubjectKeyIdentifier(identifier)
        if wanted is not None:
            builder = builder.add_extension(wanted, critical)
    signer = issuer.key if issuer else key
    return builder.sign(signer, signature_hash(signer))


def validity_window(
    request: CertRequest, issued_at: datetime, issuer: x509.Certificate | None = None
) -> tuple[datetime, datetime]:
    """From when until when the certificate is valid, in whole seconds.

    kubeadm dates a leaf's start with the CA's (kubernetes#113618); here it is the moment of issue less the margin,
    though never before the CA's own. Raises StoreError as :func:`issue`.
    """
    start = issued_at.astimezone(UTC).replace(microsecond=0)
    try:
        not_before, not_after = start - request.margin, start + request.validity
    except OverflowError as error:
        raise _out_of_range(request) from error
    if not_before < _EARLIEST:
        raise _out_of_range(request)
    if issuer is not None:
        not_before = max(not_before, issuer.not_valid_before_utc)
        if not_after > issuer.not_valid_after_utc:
            hours = (issuer.not_valid_after_utc - start) // timedelta(hours=1)
            raise StoreError(
                f"{request.label} would be valid until {stamp(not_after)}, "
                f"beyond its CA's end, {stamp(issuer.not_valid_after_utc)}",
                hint=f"pki.certificateValidityPeriod can be at most {max(0, hours)}h for this CA",
            )
    return not_before.replace(microsecond=0), not_after.replace(microsecond=0)


def request_digest(request: CertRequest, issuer: x509.Certificate | None = None) -> str:
    """What tells one request from another: SHA-256 over all of it and the issuer's fingerprint, in hex."""
    return digest_under(request, fingerprint(issuer) if issuer else "")


def digest_under(request: CertRequest, issuer: str) -> str:
    """The same for an issuer of which only the fingerprint is at hand; empty: none."""
    facts: dict[str, object] = {
        "host": request.host,
        "name": request.name,
        "subject": request.subject,
        "sans": request.sans,
        "usages": request.usages,
        "algorithm": request.algorithm,
        "validity": request.validity.total_seconds(),
        "margin": request.margin.total_seconds(),
        "issuer": issuer,
    }
    # The first issue has the digest that it had before there were others.
    if request.issue:
        facts["issue"] = request.issue
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def subject_name(request: CertRequest) -> x509.Name:
    """Organization, then common name, each in a part of its own: the order Go's ``pkix.Name`` writes."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, request.common_name)]
    if request.organization is not None:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, request.organization))
    return x509.Name(attributes)


def alternative_names(request: CertRequest) -> tuple[x509.GeneralName, ...]:
    """The subject alternative names in the certificate's order: DNS names, then addresses."""
    addresses = (x509.IPAddress(ip_address(address)) for address in request.ip_addresses)
    return (*(x509.DNSName(name) for name in request.dns_names), *addresses)


def key_usage(*, is_ca: bool) -> x509.KeyUsage:
    """kubeadm's key usages: the same for RSA and ECDSA, and no cRLSign for the CA."""
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=is_ca,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def signature_hash(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384:
    """What Go's x509 package hashes with for a key: SHA-384 for P-384, else SHA-256."""
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP384R1):
        return hashes.SHA384()
    return hashes.SHA256()


def algorithm_of(key: object) -> str | None:
    """kubeadm's name for the kind of a public or private key; None for a kind that is not one of kubeadm's."""
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        return next((name for name, bits in RSA_BITS.items() if key.key_size == bits), None)
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return next((name for name, curve in CURVES.items() if isinstance(key.curve, curve)), None)
    return None


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def key_pem(key: PrivateKey) -> bytes:
    """PKCS#1 or SEC1, as kubeadm writes them (``RSA PRIVATE KEY``, ``EC PRIVATE KEY``)."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the whole certificate, 64 hex digits."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def issuer_key_identifier(certificate: x509.Certificate) -> bytes | None:
    """The identifier leaves name their CA by; None if the CA has none, as Go then leaves it out."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return None


def extensions(
    request: CertRequest, key: PublicKey, issuer: x509.Certificate | None
) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    """The extensions the certificate has, each with whether it is critical, in order."""
    made: list[tuple[x509.ExtensionType, bool]] = [(key_usage(is_ca=request.is_ca), True)]
    if request.usages:
        made.append((x509.ExtendedKeyUsage([USAGE_OIDS[usage] for usage in request.usages]), False))
    made.append((x509.BasicConstraints(ca=request.is_ca, path_length=None), True))
    if request.is_ca:
        made.append((x509.SubjectKeyIdentifier.from_public_key(key), False))
    if issuer is not None:
        identifier = issuer_key_identifier(issuer)
        if identifier is not None:
            made.append((x509.AuthorityKeyIdentifier(identifier, None, None), False))
    names = alternative_names(request)
    if names:
        made.append((x509.SubjectAlternativeName(names), False))
    return tuple(made)


def _out_of_range(request: CertRequest) -> StoreError:
    return StoreError(
        f"{request.label} would be valid outside the years 1950 to 9999",
        hint="shorten its validity period or pki.notBeforeMargin",
    )
