"""A CA brought along: what is refused and why, and what comes of a good one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bundlegen.errors import StoreError
from bundlegen.pki.issue import Pair, certificate_pem, fingerprint, key_pem
from bundlegen.pki.survey import survey
from tests.pki_cases import NOW, YEAR, assert_is_leaf, cluster, ensure, fixture_key

Extensions = list[tuple[x509.ExtensionType, bool]]
CA: Extensions = [(x509.BasicConstraints(ca=True, path_length=None), True)]


def usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def certificate(key: Any, extensions: Extensions, issuer: Pair | None = None, name: str = "Example CA") -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
    builder = x509.CertificateBuilder(
        issuer.certificate.subject if issuer else subject,
        subject,
        key.public_key(),
        99,
        NOW - timedelta(days=1),
        NOW + 2 * YEAR,
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    signer = issuer.key if issuer else key
    return certificate_pem(
        builder.sign(signer, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )


def pkcs8(key: Any, password: bytes | None = None) -> bytes:
    protection = BestAvailableEncryption(password) if password else NoEncryption()
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)
    return pem


KEY = fixture_key("ca")
GOOD = certificate(KEY, [*CA, (usage(sign=True), True)])


@pytest.fixture
def bring(tmp_path: Path) -> Callable[..., Any]:
    """Writes a CA's two files and runs over a store with it."""

    def run(crt: bytes = GOOD, key: bytes = key_pem(KEY), mode: int = 0o600, when: Any = NOW, **changes: Any) -> Any:
        paths = tmp_path / "ca.crt", tmp_path / "ca.key"
        for path, content in zip(paths, (crt, key), strict=True):
            path.write_bytes(content)
            path.chmod(mode)
        files = {"certificate": f"{paths[0]}", "key": f"{paths[1]}"}
        return ensure(tmp_path / "pki", cluster(2, ca=files, **changes), when)

    return run


def test_a_good_one_signs_and_stays_in_its_place(bring: Callable[..., Any], tmp_path: Path) -> None:
    issued = bring(b"some text before\n" + GOOD, pkcs8(KEY))
    assert issued.ca.certificate_pem == GOOD
    assert issued.ca.key_pem == key_pem(KEY)
    ca = x509.load_pem_x509_certificate(GOOD)
    assert len(issued.leaves) == 8
    for pair in issued.leaves.values():
        leaf = pair.certificate
        leaf.verify_directly_issued_by(ca)
        with pytest.raises(x509.ExtensionNotFound):
            leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    assert not any(KEY_LINE in path.read_bytes() for path in (tmp_path / "pki").rglob("*") if path.is_file())
    assert issued.new[0] == "infra0 etcd-server: new"
    again = bring(GOOD, key_pem(KEY))
    assert (again.new, again.leaves) == ((), issued.leaves)


KEY_LINE = key_pem(KEY).splitlines()[1]


def test_one_with_an_identifier_is_named_by_it(bring: Callable[..., Any]) -> None:
    identifier = x509.SubjectKeyIdentifier(b"any twenty bytes, ok")
    crt = certificate(KEY, [*CA, (usage(sign=True), True), (identifier, False)])
    ca = x509.load_pem_x509_certificate(crt)
    for (_, name), pair in bring(crt).leaves.items():
        leaf = pair.certificate
        assert_is_leaf(leaf, ca, server=name in ("etcd-server", "etcd-peer"))


def test_ec_parameters_before_the_key_are_passed_over(bring: Callable[..., Any]) -> None:
    key = fixture_key("ecdsa")
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    assert bring(certificate(key, CA), parameters + key_pem(key)).ca.key_pem == key_pem(key)


OTHER = ec.generate_private_key(ec.SECP256R1())
ROOT = Pair(x509.load_pem_x509_certificate(GOOD), KEY)
SMALL = rsa.generate_private_key(65537, 1024)
P521 = ec.generate_private_key(ec.SECP521R1())
ED = ed25519.Ed25519PrivateKey.generate()
LEAF: Extensions = [(x509.BasicConstraints(ca=False, path_length=None), True)]
SERVERS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
NAMES = x509.NameConstraints([x509.DNSName("example.net")], None)

BAD = {
    "no certificate": (b"nothing", key_pem(KEY), "ca.crt is not a PEM certificate"),
    "empty certificate": (b"", key_pem(KEY), "ca.crt is not a PEM certificate"),
    "DER": (
        x509.load_pem_x509_certificate(GOOD).public_bytes(Encoding.DER),
        key_pem(KEY),
        "ca.crt is not a PEM certificate",
    ),
    "chain": (GOOD + certificate(OTHER, CA), key_pem(KEY), "ca.crt holds 2 certificates"),
    "no CA": (certificate(KEY, LEAF), key_pem(KEY), "ca.crt is not a CA"),
    "no constraints": (certificate(KEY, []), key_pem(KEY), "ca.crt is not a CA"),
    "may not sign": (certificate(KEY, [*CA, (usage(sign=False), True)]), key_pem(KEY), "ca.crt may not sign"),
    "servers only": (certificate(KEY, [*CA, (SERVERS, False)]), key_pem(KEY), "not for servers and clients"),
    "limited": (certificate(KEY, [*CA, (NAMES, True)]), key_pem(KEY), "limited to certain names"),
    "nameless": (certificate(KEY, CA, name=""), key_pem(KEY), "ca.crt has no subject"),
    "intermediate": (certificate(OTHER, CA, ROOT, "Sub"), key_pem(OTHER), "ca.crt is not a root: CN=Example CA"),
    "other key": (GOOD, key_pem(OTHER), "ca.key is not the key of .*ca.crt"),
    "no key": (GOOD, b"nothing", "ca.key is not a private key"),
    "certificate as key": (GOOD, GOOD, "ca.key is not a private key"),
    "encrypted": (GOOD, pkcs8(KEY, b"secret"), "ca.key is encrypted"),
    "small": (certificate(SMALL, CA), pkcs8(SMALL), "ca.key is RSA of 1024 bits"),
    "P-521": (certificate(P521, CA), pkcs8(P521), "ca.key is of a kind that kubeadm cannot use"),
    "Ed25519": (certificate(ED, CA), pkcs8(ED), "ca.key is of a kind that kubeadm cannot use"),
}


@pytest.mark.parametrize("case", BAD)
def test_an_unfit_one_is_refused_with_a_hint(case: str, bring: Callable[..., Any], tmp_path: Path) -> None:
    crt, key, message = BAD[case]
    with pytest.raises(StoreError, match=message) as refused:
        bring(crt, key)
    assert refused.value.hint
    assert KEY_LINE.decode() not in "".join(refused.value.lines())
    assert not list((tmp_path / "pki").rglob("*.key"))


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o620])
def test_a_key_others_can_read_is_refused(mode: int, bring: Callable[..., Any]) -> None:
    with pytest.raises(StoreError, match=rf"ca.key is open to others \(mode 0{mode:o}\)") as refused:
        bring(mode=mode)
    assert "chmod 0600" in refused.value.hint


def test_a_key_a_group_may_read_is_taken(bring: Callable[..., Any]) -> None:
    assert len(bring(mode=0o640).leaves) == 8


def test_dates_are_checked(bring: Callable[..., Any]) -> None:
    with pytest.raises(StoreError, match=r"the CA .*ca.crt expired on"):
        bring(when=NOW + 3 * YEAR)
    with pytest.raises(StoreError, match=r"the CA .*ca.crt is not valid before"):
        bring(when=NOW - timedelta(days=2))
    with pytest.raises(StoreError, match="beyond its CA's end") as refused:
        bring(certificateValidityPeriod="17521h")
    assert "at most 17520h" in refused.value.hint
    assert len(bring(certificateValidityPeriod="17520h").leaves) == 8


def test_a_store_keeps_to_the_ca_it_was_made_with(bring: Callable[..., Any], tmp_path: Path) -> None:
    bring()
    with pytest.raises(StoreError, match=r"ca.crt is another CA than the one .*prod was made with") as refused:
        bring(certificate(OTHER, CA), key_pem(OTHER))
    assert "undo the change of pki.ca" in refused.value.hint
    with pytest.raises(StoreError, match="the specification names none"):
        ensure(tmp_path / "pki", cluster(2))
    assert bring().new == ()


def test_a_pinned_ca_has_to_be_there(bring: Callable[..., Any], tmp_path: Path) -> None:
    root = tmp_path / "pki"
    with pytest.raises(StoreError, match=r"prod holds no CA, and pki.ca.fingerprint demands the one"):
        ensure(root, cluster(2, ca={"fingerprint": "5c" * 32}))
    assert not (root / "prod" / "ca").exists()
    own = ensure(root, cluster(2)).ca.certificate
    pinned = cluster(2, ca={"fingerprint": fingerprint(own)})
    assert ensure(root, pinned).new == ()
    assert survey(root, pinned, clock=lambda: NOW).new == ()
    with pytest.raises(StoreError, match=f"fingerprint {fingerprint(own)}, and pki.ca.fingerprint demands {'5c' * 32}"):
        ensure(root, cluster(2, ca={"fingerprint": "5c" * 32}))


def test_a_ca_that_is_brought_may_be_pinned(bring: Callable[..., Any], tmp_path: Path) -> None:
    files = {"certificate": f"{tmp_path / 'ca.crt'}", "key": f"{tmp_path / 'ca.key'}"}
    bring()
    right = fingerprint(x509.load_pem_x509_certificate(GOOD))
    assert ensure(tmp_path / "pki", cluster(2, ca={**files, "fingerprint": right})).new == ()
    with pytest.raises(StoreError, match=r"pki.ca.fingerprint demands 5c5c"):
        ensure(tmp_path / "elsewhere", cluster(2, ca={**files, "fingerprint": "5c" * 32}))


def test_a_store_with_a_ca_of_its_own_takes_no_other(bring: Callable[..., Any], tmp_path: Path) -> None:
    ensure(tmp_path / "pki", cluster(2))
    with pytest.raises(StoreError, match="has a CA of its own, and the specification brings another"):
        bring()


def test_missing_files_are_named(bring: Callable[..., Any], tmp_path: Path) -> None:
    files = {"certificate": f"{tmp_path}/no.crt", "key": f"{tmp_path}/no.key"}
    with pytest.raises(StoreError, match=r"cannot read .*no.crt: no such file"):
        ensure(tmp_path / "pki", cluster(2, ca=files))
    files["certificate"] = f"{tmp_path}"
    with pytest.raises(StoreError, match="is not a PEM file"):
        ensure(tmp_path / "pki", cluster(2, ca=files))
