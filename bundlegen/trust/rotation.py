"""Two CAs in force: what the record says of them, and what control planes are given, against the bundles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from cryptography import x509

from bundlegen import layout
from bundlegen.errors import VerificationError
from bundlegen.pki import catalog
from bundlegen.pki.certinfo import CertInfo, describe
from bundlegen.pki.compare import is_cross
from bundlegen.pki.issue import certificate_pem
from bundlegen.record import schema
from bundlegen.system.files import file_sum
from bundlegen.trust import certs
from bundlegen.trust.bundle import Bundle
from bundlegen.trust.finding import Finding
from bundlegen.trust.remade import CA_CERTIFICATE
from bundlegen.trust.small_file import small_file

_CLIENT: Final = catalog.APISERVER_ETCD_CLIENT
CA: Final = f"{layout.CONTROL_PLANE}/ca.crt"
PAIR: Final = f"{layout.CONTROL_PLANE}/{_CLIENT}.crt"
KEY: Final = f"{layout.CONTROL_PLANE}/{_CLIENT}.key"


def cas(bundle: Bundle, given: schema.Change) -> list[CertInfo]:
    """The CAs in force, as the record has them: the one that signs first.

    Where two are, a bundle holds the second one's cross certificate alone; then what the record tells of it counts, if
    that can be. Raises ValueError, in words, where a certificate cannot be read.
    """
    trusted = _read(bundle, CA_CERTIFICATE)
    client = _read(bundle, layout.pki_path(f"{_CLIENT}.crt"))
    if not client.chain or is_cross(client.chain[0], trusted.x509):
        return [trusted.info]
    told = given.cas[0] if given.cas else given.ca
    cross = describe(certificate_pem(client.chain[0]))
    if (told.subject, told.issuer, told.algorithm, told.ca) != (cross.subject, cross.subject, cross.algorithm, True):
        return [cross, trusted.info]
    return [_info(told), trusted.info]


def wanted(bundles: Sequence[Bundle]) -> tuple[str, ...]:
    """The files for control planes that belong into the folder of these bundles."""
    if not any(bundle.conf["CA_ROUND"] in ("1", "now") for bundle in bundles):
        return ()
    sealed = any(bundle.conf["SEALED"] == "yes" for bundle in bundles)
    return (CA, PAIR) if sealed else (CA, PAIR, KEY)


def faults(folder: Path, sums: Mapping[str, str], bundles: Sequence[Bundle], given: schema.Change) -> Iterator[Finding]:
    """What is wrong with the files for control planes."""
    files = wanted(bundles)
    for name in files:
        if name not in sums:
            yield Finding(name, f"is not in {layout.SUMS}")
    # what is missing or altered has been said, and says nothing more
    if not files or any(file_sum(folder / name) != sums.get(name) for name in files):
        return
    first = next((each for each in bundles if each.owner == given.hosts[0].name), None)
    try:
        found = x509.load_pem_x509_certificates(small_file(folder / CA))
        pair = certs.certificate(small_file(folder / PAIR))
        key = certs.key_fingerprint(small_file(folder / KEY)) if KEY in files else pair.key_fingerprint
        if first is None:
            return
        own, trusted = _read(first, layout.pki_path(f"{_CLIENT}.crt")), _read(first, CA_CERTIFICATE)
    except (ValueError, VerificationError) as error:
        yield Finding(CA, f"or what is beside it cannot be read: {error}")
        return
    if (pair.x509, pair.chain, key) != (own.x509, own.chain, own.key_fingerprint):
        yield Finding(PAIR, f"is not the pair of {first.owner}")
    told = [each.sha256_fingerprint for each in given.cas]
    if [describe(certificate_pem(each)).fingerprint for each in found] != [*reversed(told)] or (
        found[0] != trusted.x509
    ):
        yield Finding(CA, "does not hold just the CAs in force")


def _read(bundle: Bundle, path: str) -> certs.Certificate:
    try:
        return certs.certificate(bundle.content(path) or b"")
    except ValueError as error:
        raise ValueError(f"is about a certificate that is {error}") from error


def _info(told: schema.Certificate) -> CertInfo:
    return CertInfo(
        subject=told.subject,
        issuer=told.issuer,
        serial=told.serial,
        not_before=told.not_before,
        not_after=told.not_after,
        sans=told.sans,
        usages=told.usages,
        is_ca=told.ca,
        algorithm=told.algorithm,
        fingerprint=told.sha256_fingerprint,
    )
