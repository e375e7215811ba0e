"""Certificates against kubeadm's own, and everything that can go wrong with a request."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bundlegen.errors import StoreError, UsageError
from bundlegen.pki import entropy
from bundlegen.pki.catalog import CATALOG, ca_request, host_requests
from bundlegen.pki.compare import differences, issue_time
from bundlegen.pki.issue import (
    CURVES,
    RSA_BITS,
    Pair,
    PrivateKey,
    algorithm_of,
    certificate_pem,
    issue,
    key_pem,
    request_digest,
)
from bundlegen.system import clock
from tests.pki_cases import FIXTURES, NOW, YEAR, assert_is_ca, assert_is_leaf, cluster, extension_of, fixture_key

REFERENCE = json.loads((FIXTURES / "kubeadm-v1.22-certs.json").read_text(encoding="utf-8"))


def certificate_authority(key: PrivateKey, when: datetime = NOW, **changes: Any) -> Pair:
    request = replace(ca_request(cluster()), **changes)
    return Pair(issue(request, key=key, serial=7, issued_at=when), key)


@pytest.fixture(scope="module")
def ca() -> Pair:
    return certificate_authority(fixture_key("ca"), algorithm="RSA-2048")


def described(certificate: x509.Certificate, ca: x509.Certificate) -> dict[str, Any]:
    """A certificate in the terms of the reference."""
    life = certificate.not_valid_after_utc - NOW
    assert certificate.signature_hash_algorithm is not None
    return {
        "subject": ", ".join(certificate.subject.rfc4514_string().split(",")[::-1]),
        "issuer": certificate.issuer.rfc4514_string(),
        "signature": certificate.signature_hash_algorithm.name,
        "key": algorithm_of(certificate.public_key()),
        "days": life // timedelta(days=1),
        "extensions": [[e.oid._name, e.critical, value_of(e.value, ca)] for e in certificate.extensions],
    }


def value_of(value: x509.ExtensionType, ca: x509.Certificate) -> object:
    match value:
        case x509.KeyUsage():
            names = (
                "digital_signature",
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
            )
            return [name for name in (*names, "key_cert_sign", "crl_sign") if getattr(value, name)]
        case x509.ExtendedKeyUsage():
            return [usage._name for usage in value]
        case x509.BasicConstraints():
            assert value.path_length is None
            return "CA:TRUE" if value.ca else "CA:FALSE"
        case x509.SubjectKeyIdentifier():
            point = ca.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
            return "sha1" if value.digest == hashlib.sha1(point, usedforsecurity=False).digest() else "?"
        case x509.AuthorityKeyIdentifier():
            assert value.authority_cert_issuer is None
            return value_of(x509.SubjectKeyIdentifier(value.key_identifier or b""), ca)
        case x509.SubjectAlternativeName():
            return [f"{'DNS' if isinstance(name, x509.DNSName) else 'IP'}:{name.value}" for name in value]
    raise AssertionError(value)


def test_every_certificate_is_what_kubeadm_1_22_made(ca: Pair) -> None:
    asked = cluster(version="v1.22.3", encryptionAlgorithm="RSA-2048")
    key = fixture_key("leaf")
    found = {}
    for host in asked.hosts:
        made = {"etcd/ca.crt": described(ca.certificate, ca.certificate)}
        for request in host_requests(asked, host):
            leaf = issue(request, key=key, serial=1, issued_at=NOW, issuer=ca)
            made[f"{request.base_name}.crt"] = described(leaf, ca.certificate)
        found[host.name] = made
    assert found == REFERENCE


@pytest.mark.parametrize("algorithm", [*CURVES, "RSA-2048"])
def test_invariants_hold_for_every_algorithm(algorithm: str) -> None:
    asked = cluster(version="v1.34.0", encryptionAlgorithm=algorithm)
    key = entropy.new_key(algorithm)
    ca = Pair(issue(ca_request(asked), key=key, serial=entropy.new_serial(), issued_at=NOW), key)
    assert_is_ca(ca.certificate)
    assert algorithm_of(key) == algorithm
    for request in host_requests(asked, asked.hosts[0]):
        leaf = issue(request, key=key, serial=entropy.new_serial(), issued_at=NOW, issuer=ca)
        assert_is_leaf(leaf, ca.certificate, server=len(request.usages) == 2)
        assert differences(request, leaf, ca.certificate) == ()
        hashed = leaf.signature_hash_algorithm
        assert hashed is not None
        assert hashed.name == ("sha384" if algorithm.endswith("P384") else "sha256")


def test_the_same_inputs_give_the_same_bytes(ca: Pair) -> None:
    request = host_requests(cluster(), cluster().hosts[0])[0]
    first, second = (issue(request, key=fixture_key("leaf"), serial=5, issued_at=NOW, issuer=ca) for _ in range(2))
    assert certificate_pem(first) == certificate_pem(second)


def test_keys_are_in_kubeadms_form() -> None:
    assert key_pem(fixture_key("leaf")) == (FIXTURES / "keys" / "leaf.key").read_bytes()
    assert key_pem(fixture_key("ecdsa")) == (FIXTURES / "keys" / "ecdsa.key").read_bytes()
    assert key_pem(fixture_key("leaf")).startswith(b"-----BEGIN RSA PRIVATE KEY-----\n")
    assert key_pem(fixture_key("ecdsa")).startswith(b"-----BEGIN EC PRIVATE KEY-----\n")


def test_a_leaf_starts_its_margin_before_it_is_issued_and_not_with_the_ca(ca: Pair) -> None:
    request = host_requests(cluster(), cluster().hosts[0])[0]
    later = NOW + timedelta(days=9, microseconds=999_999)
    leaf = issue(request, key=fixture_key("leaf"), serial=1, issued_at=later, issuer=ca)
    assert leaf.not_valid_before_utc == NOW + timedelta(days=9) - timedelta(minutes=5)
    assert leaf.not_valid_after_utc == NOW + timedelta(days=9) + YEAR
    assert issue_time(request, leaf) == NOW + timedelta(days=9)


def test_a_leaf_never_starts_before_its_ca(ca: Pair) -> None:
    request = replace(host_requests(cluster(), cluster().hosts[0])[0], margin=timedelta(hours=2))
    leaf = issue(request, key=fixture_key("leaf"), serial=1, issued_at=NOW, issuer=ca)
    assert leaf.not_valid_before_utc == ca.certificate.not_valid_before_utc == NOW - timedelta(minutes=5)


def test_a_leaf_that_would_outlive_its_ca_is_refused(ca: Pair) -> None:
    request = host_requests(cluster(), cluster().hosts[0])[0]
    when = ca.certificate.not_valid_after_utc - timedelta(hours=100, minutes=30)
    with pytest.raises(StoreError, match=r"infra0 etcd-server would be valid until .* beyond its CA's end") as refused:
        issue(request, key=fixture_key("leaf"), serial=1, issued_at=when, issuer=ca)
    assert "at most 100h" in refused.value.hint
    just = replace(request, validity=timedelta(hours=100, minutes=30))
    leaf = issue(just, key=fixture_key("leaf"), serial=1, issued_at=when, issuer=ca)
    assert leaf.not_valid_after_utc == ca.certificate.not_valid_after_utc


@pytest.mark.parametrize("when", [datetime(9999, 6, 1, tzinfo=UTC), datetime(1950, 1, 1, tzinfo=UTC)])
def test_dates_no_certificate_can_hold_are_refused(when: datetime) -> None:
    with pytest.raises(StoreError, match="outside the years 1950 to 9999"):
        certificate_authority(fixture_key("ca"), when)


def test_a_ca_without_identifier_is_not_named_by_one() -> None:
    key = fixture_key("ca")
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bare")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 3, NOW, NOW + 2 * YEAR)
    bare = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    signed = bare.sign(key, hashes.SHA256())
    request = host_requests(cluster(), cluster().hosts[0])[0]
    leaf = issue(request, key=fixture_key("leaf"), serial=1, issued_at=NOW, issuer=Pair(signed, key))
    assert extension_of(leaf, x509.AuthorityKeyIdentifier) is None
    leaf.verify_directly_issued_by(signed)


def test_every_fact_of_a_request_changes_its_digest(ca: Pair) -> None:
    request = host_requests(cluster(version="v1.22.0"), cluster().hosts[0])[2]
    changed = [
        replace(request, host="other"),
        replace(request, name="other"),
        replace(request, common_name="other"),
        replace(request, organization=None),
        replace(request, usages=()),
        replace(request, dns_names=("other",)),
        replace(request, ip_addresses=("192.0.2.1",)),
        replace(request, algorithm="RSA-3072"),
        replace(request, validity=timedelta(hours=1)),
        replace(request, margin=timedelta(hours=1)),
        replace(request, issue=1),
        replace(request, issue=2),
    ]
    digests = {request_digest(each, ca.certificate) for each in (request, *changed)} | {request_digest(request)}
    assert len(digests) == len(changed) + 2


def test_the_first_issue_has_the_digest_that_version_0_1_gave_it() -> None:
    """Otherwise a store of that version would seem to have no certificate."""
    first, *_, last = host_requests(cluster(), cluster().hosts[0])
    assert request_digest(first) == "6cdabe6dfc9813604742c121fa9177e71906f21fe6d26bb392bf689a82c797c7"
    assert request_digest(last) == "2407287222b6e3d87f5ff0113973bd362b59e610d7bb92f2b7e6106ed21a4640"


def test_differences_name_what_is_not_as_asked(ca: Pair) -> None:
    request = host_requests(cluster(version="v1.22.0"), cluster().hosts[0])[0]
    leaf = issue(request, key=fixture_key("leaf"), serial=1, issued_at=NOW, issuer=ca)
    request = replace(request, algorithm="RSA-2048")
    assert differences(request, leaf, ca.certificate) == ()
    for changes, word in (
        ({"common_name": "other"}, "subject"),
        ({"dns_names": ("other",)}, "SANs"),
        ({"usages": ("clientAuth",)}, "usages"),
        ({"algorithm": "RSA-4096"}, "kind of key"),
        ({"margin": timedelta(minutes=1)}, "period of validity"),
        ({"is_ca": True}, "other extensions"),
    ):
        found = differences(replace(request, **changes), leaf, ca.certificate)
        assert any(word in text for text in found), (changes, found)
    other = certificate_authority(fixture_key("ecdsa"))
    assert any("not signed by" in text for text in differences(request, leaf, other.certificate))


def test_no_representation_shows_a_key(ca: Pair) -> None:
    assert ca.key_pem.decode().splitlines()[1] not in repr(ca)


@pytest.mark.parametrize("algorithm", [*RSA_BITS, *CURVES])
def test_new_keys_are_of_the_kind_asked_for(algorithm: str) -> None:
    assert algorithm_of(entropy.new_key(algorithm)) == algorithm


def test_other_kinds_of_key_are_not_kubeadms() -> None:
    assert algorithm_of(ec.generate_private_key(ec.SECP521R1())) is None
    assert algorithm_of("text") is None


def test_serials_are_positive_and_of_63_bits() -> None:
    serials = {entropy.new_serial() for _ in range(200)}
    assert len(serials) == 200
    assert all(1 <= serial < 1 << 63 for serial in serials)
    assert max(serials) > 1 << 60


def test_the_catalogue_and_the_reference_name_the_same_files() -> None:
    assert set(REFERENCE["infra0"]) == {f"{spec.base_name}.crt" for spec in CATALOG}


@pytest.mark.parametrize("text", ["yesterday", "-1", "1.5", "253402300800", "\uff19", "1" * 5000, " 1"])
def test_a_wrong_source_date_epoch_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH is not a number of seconds") as refused:
        clock.dated(however_far=True)
    assert len(refused.value.message) < 120


@pytest.mark.parametrize("seconds", [-86390, -1, 0, 3600, 86400])
def test_source_date_epoch_dates_what_is_new_within_a_day(seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = clock.now() + timedelta(seconds=seconds)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(moment.timestamp())))
    assert clock.dated() == moment
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "")
    assert abs(clock.dated() - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize("text", ["0", "315532800", "1763840000", "4102444800", "253402300799"])
def test_source_date_epoch_further_off_counts_only_if_asked_for(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    with pytest.raises(UsageError, match="certificates would be dated more than a day off") as refused:
        clock.dated()
    assert "--source-date" in refused.value.hint
    assert clock.dated(however_far=True) == datetime.fromtimestamp(int(text), UTC)


def test_expiry_is_judged_by_the_clock_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "315532800")
    assert clock.now().microsecond == 0
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)
