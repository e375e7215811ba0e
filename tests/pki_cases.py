"""What tests of keys and certificates share: clusters to ask for, and what must hold of a certificate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bundlegen.pki import entropy
from bundlegen.pki.issue import Pair, PrivateKey
from bundlegen.pki.store import Issued, Progress, Store
from bundlegen.spec import check
from bundlegen.spec.model import Cluster

FIXTURES = Path(__file__).parent / "fixtures"
NOW = datetime(2026, 11, 22, 20, 0, 0, tzinfo=UTC)


def cluster(hosts: int = 3, version: str = "v1.31.4", **changes: Any) -> Cluster:
    """The guide's cluster with ECDSA keys, which take no time to make; ``changes`` go into its pki section."""
    names = [{"name": f"infra{number}", "address": f"10.0.0.{6 + number}"} for number in range(hosts)]
    pki = {"encryptionAlgorithm": "ECDSA-P256", **changes}
    return check.parse({"name": "prod", "kubernetesVersion": version, "hosts": names, "pki": pki})


def with_hosts(*hosts: Mapping[str, Any], **changes: Any) -> Cluster:
    """The same with other hosts."""
    pki = {"encryptionAlgorithm": "ECDSA-P256", **changes}
    return check.parse({"name": "prod", "kubernetesVersion": "v1.31.4", "hosts": [*hosts], "pki": pki})


def fixture_key(name: str) -> PrivateKey:
    key = load_pem_private_key((FIXTURES / "keys" / f"{name}.key").read_bytes(), None)
    assert isinstance(key, PrivateKey)
    return key


def own_ca(
    key: PrivateKey, name: str, identifier: x509.SubjectKeyIdentifier | None, path_length: int | None = None
) -> Pair:
    """A CA as somebody else made it, valid today."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.now(UTC) - timedelta(days=1)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 99, start, start + 5 * YEAR)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    if identifier is not None:
        builder = builder.add_extension(identifier, critical=False)
    return Pair(builder.sign(key, hashes.SHA256()), key)


def at(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment


def ensure(
    root: Path,
    asked: Cluster,
    now: datetime = NOW,
    *,
    issues: Mapping[str, int] = MappingProxyType({}),
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Issued:
    """One run over the store below ``root``."""
    with Store.open(root, asked.name, clock=at(now), entropy=entropy) as store:
        return store.ensure(asked, issues, jobs=jobs, progress=progress)


def extension_of(certificate: x509.Certificate, kind: type[x509.ExtensionType]) -> x509.Extension[Any] | None:
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def assert_is_ca(certificate: x509.Certificate) -> None:
    """Everything that makes a certificate a CA like kubeadm's, criticality included."""
    constraints = extension_of(certificate, x509.BasicConstraints)
    assert constraints is not None
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, None)
    usage = extension_of(certificate, x509.KeyUsage)
    assert usage is not None
    assert usage.critical
    assert (usage.value.key_cert_sign, usage.value.crl_sign, usage.value.digital_signature) == (True, False, True)
    assert extension_of(certificate, x509.ExtendedKeyUsage) is None
    assert extension_of(certificate, x509.AuthorityKeyIdentifier) is None
    assert extension_of(certificate, x509.SubjectKeyIdentifier) is not None
    certificate.verify_directly_issued_by(certificate)


def assert_is_leaf(certificate: x509.Certificate, ca: x509.Certificate, *, server: bool) -> None:
    """Everything that makes a certificate a member's or client's like kubeadm's, signed by ``ca``."""
    constraints = extension_of(certificate, x509.BasicConstraints)
    assert constraints is not None
    assert constraints.critical
    assert not constraints.value.ca
    usage = extension_of(certificate, x509.KeyUsage)
    assert usage is not None
    assert usage.critical
    assert (usage.value.key_cert_sign, usage.value.digital_signature, usage.value.key_encipherment) == (
        False,
        True,
        True,
    )
    purposes = extension_of(certificate, x509.ExtendedKeyUsage)
    assert purposes is not None
    assert not purposes.critical
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    assert list(purposes.value) == (both if server else both[1:])
    identifier, issuer = (
        extension_of(certificate, x509.AuthorityKeyIdentifier),
        extension_of(ca, x509.SubjectKeyIdentifier),
    )
    assert identifier is not None
    assert issuer is not None
    assert identifier.value == x509.AuthorityKeyIdentifier(issuer.value.digest, None, None)
    assert extension_of(certificate, x509.SubjectKeyIdentifier) is None
    names = extension_of(certificate, x509.SubjectAlternativeName)
    assert (names is not None) == server
    assert certificate.serial_number >= 1
    assert certificate.not_valid_before_utc >= ca.not_valid_before_utc
    assert certificate.not_valid_after_utc <= ca.not_valid_after_utc
    certificate.verify_directly_issued_by(ca)


YEAR = timedelta(hours=8760)
