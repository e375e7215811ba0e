"""The store: what it keeps, what it issues anew and why, and what it looks like on disk."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from bundlegen.errors import StoreError
from bundlegen.pki import entropy
from bundlegen.pki.catalog import CATALOG, LEAF_SPECS, host_requests
from bundlegen.pki.issue import PrivateKey
from bundlegen.pki.keys import make_keys
from bundlegen.pki.store import Store
from bundlegen.pki.survey import survey
from tests.pki_cases import NOW, YEAR, assert_is_ca, assert_is_leaf, cluster, ensure, with_hosts


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder and its content, the lock apart."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file() and file.name != ".lock")
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def entries(root: Path) -> list[dict[str, object]]:
    text = (root / "prod" / "issued.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_a_new_cluster_gets_everything(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    issued = ensure(tmp_path / "pki", cluster(), progress=lambda done, total: steps.append((done, total)))
    ca = issued.ca.certificate
    assert_is_ca(ca)
    assert set(issued.leaves) == {(f"infra{n}", spec.name) for n in range(3) for spec in LEAF_SPECS}
    for (host, name), pair in issued.leaves.items():
        leaf = pair.certificate
        assert_is_leaf(leaf, ca, server=name in ("etcd-server", "etcd-peer"))
        assert host in leaf.subject.rfc4514_string() or "client" in name
    assert len({pair.key_pem for pair in issued.leaves.values()}) == 12
    assert len({p.certificate.serial_number for p in issued.leaves.values()}) == 12
    assert issued.new[:2] == ("etcd-ca: new", "infra0 etcd-server: new")
    assert len(issued.new) == 1 + 3 * 4
    assert issued.warnings == ()
    assert issued.issued_at == {f"infra{n}": NOW for n in range(3)}
    assert issued.token.startswith("prod-")
    assert len(issued.token) == len("prod-") + 16
    assert steps == [(done, 12) for done in range(1, 13)]


def test_openssl_agrees(tmp_path: Path) -> None:
    for algorithm in ("ECDSA-P256", "RSA-2048"):
        root = tmp_path / algorithm
        ensure(root, cluster(1, version="v1.22.3", encryptionAlgorithm=algorithm))
        ca = root / "prod" / "ca" / "ca.crt"
        leaves = list((root / "prod" / "hosts").rglob("tls.crt"))
        assert len(leaves) == 4
        for leaf in leaves:
            purpose = "sslserver" if leaf.parent.name.startswith(("etcd-server-", "etcd-peer-")) else "sslclient"
            openssl(
                "verify",
                "-x509_strict",
                "-purpose",
                purpose,
                "-attime",
                f"{NOW.timestamp():.0f}",
                "-CAfile",
                f"{ca}",
                f"{leaf}",
            )
            public = openssl("x509", "-in", f"{leaf}", "-noout", "-pubkey")
            assert openssl("pkey", "-in", f"{leaf.with_suffix('.key')}", "-pubout") == public
            openssl("pkey", "-in", f"{leaf.with_suffix('.key')}", "-check", "-noout")
        server = next(leaf for leaf in leaves if leaf.parent.name.startswith("etcd-server-"))
        text = openssl("x509", "-in", f"{server}", "-noout", "-text")
        assert (
            "DNS:infra0, DNS:localhost, IP Address:10.0.0.6, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1" in text
        )
        client = next(leaf for leaf in leaves if leaf.parent.name.startswith("apiserver-"))
        # RFC 2253 is the same in every openssl; its own form is not
        subject = openssl("x509", "-in", f"{client}", "-noout", "-subject", "-nameopt", "RFC2253")
        assert subject == "subject=CN=kube-apiserver-etcd-client,O=system:masters\n"


def openssl(*arguments: str) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    first = ensure(tmp_path / "pki", cluster())
    before = tree(tmp_path)
    second = ensure(tmp_path / "pki", cluster(), NOW + timedelta(days=40))
    assert (second.ca, second.leaves, second.token, second.issued_at) == (
        first.ca,
        first.leaves,
        first.token,
        first.issued_at,
    )
    assert (second.new, second.warnings) == ((), ())
    assert tree(tmp_path) == before


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_everything_is_private_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        ensure(tmp_path / "deep" / "pki", cluster())
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    found = list((tmp_path / "deep").rglob("*"))
    assert len(found) > 30
    for path in found:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_keys_are_never_made_readable_not_even_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, int, int]] = []
    real = os.open

    def watched(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        descriptor = real(path, flags, mode, dir_fd=dir_fd)
        if flags & os.O_CREAT:
            made.append((f"{path}", flags, stat.S_IMODE(os.fstat(descriptor).st_mode)))
        return descriptor

    before = os.umask(0)
    try:
        monkeypatch.setattr(os, "open", watched)
        ensure(tmp_path / "pki", cluster())
    finally:
        monkeypatch.undo()
        os.umask(before)
    assert {mode for _, _, mode in made} == {0o600}
    keys = [flags for path, flags, _ in made if path.endswith(".key")]
    assert len(keys) == 13
    assert all(flags & os.O_EXCL for flags in keys)


def test_a_changed_address_issues_only_what_names_it(tmp_path: Path) -> None:
    hosts = [{"name": "infra0", "address": "10.0.0.6"}, {"name": "infra1", "address": "10.0.0.7"}]
    first = ensure(tmp_path, with_hosts(*hosts))
    hosts[1]["address"] = "10.0.0.17"
    later = NOW + timedelta(days=2)
    second = ensure(tmp_path, with_hosts(*hosts), later)
    reason = "new, SANs differ from the one issued 2026-11-22T20:00:00Z: added 10.0.0.17, removed 10.0.0.7"
    assert second.new == (f"infra1 etcd-server: {reason}", f"infra1 etcd-peer: {reason}")
    changed = {key for key in first.leaves if first.leaves[key] != second.leaves[key]}
    assert changed == {("infra1", "etcd-server"), ("infra1", "etcd-peer")}
    assert second.issued_at == {"infra0": NOW, "infra1": later}
    hosts[1]["address"] = "10.0.0.7"
    assert ensure(tmp_path, with_hosts(*hosts), later).leaves == first.leaves
    assert [entry["reason"] for entry in entries(tmp_path)[-2:]] == [reason, reason]


@pytest.mark.parametrize(
    ("changes", "version", "words"),
    [
        ({"certificateValidityPeriod": "100h"}, "v1.31.4", "validity period differs from"),
        ({"notBeforeMargin": "10m"}, "v1.31.4", "notBeforeMargin differs from"),
        ({"encryptionAlgorithm": "ECDSA-P384"}, "v1.34.0", "key algorithm differs from"),
        ({}, "v1.28.0", "subject differs from"),
    ],
)
def test_what_differs_is_said(changes: dict[str, str], version: str, words: str, tmp_path: Path) -> None:
    ensure(tmp_path, cluster(1))
    issued = ensure(tmp_path, cluster(1, version, **changes))
    assert issued.new
    assert all(words in sentence and "the one issued 2026-11-22T20:00:00Z" in sentence for sentence in issued.new)


def test_the_ca_is_kept_whatever_is_asked(tmp_path: Path) -> None:
    first = ensure(tmp_path, cluster(1))
    asked = cluster(1, "v1.34.0", encryptionAlgorithm="ECDSA-P384", caCertificateValidityPeriod="99999h")
    second = ensure(tmp_path, asked)
    assert second.ca == first.ca
    assert len(second.warnings) == 2
    assert "etcd-ca is ECDSA-P256, not ECDSA-P384" in second.warnings[0]
    assert "caCertificateValidityPeriod" in second.warnings[1]


def test_the_record_names_every_certificate(tmp_path: Path) -> None:
    issued = ensure(tmp_path, cluster())
    pairs = [issued.ca, *issued.leaves.values()]
    prints = {pair.certificate.fingerprint(SHA256()).hex() for pair in pairs}
    found = entries(tmp_path)
    assert {entry["fingerprint"] for entry in found} == prints
    assert [entry["name"] for entry in found[:5]] == [spec.name for spec in CATALOG]
    assert {entry["time"] for entry in found} == {"2026-11-22T20:00:00Z"}
    assert "PRIVATE" not in (tmp_path / "prod" / "issued.jsonl").read_text(encoding="utf-8")


def test_an_unfinished_line_of_the_record_is_cut_off(tmp_path: Path) -> None:
    ensure(tmp_path, cluster(1))
    record = tmp_path / "prod" / "issued.jsonl"
    whole = record.read_bytes()
    record.write_bytes(whole + b'{"time":"2026')
    assert ensure(tmp_path, cluster(1)).warnings == ()
    ensure(tmp_path, cluster(2))
    assert record.read_bytes().startswith(whole + b'{"time":"2026-11-22T20:00:00Z","host":"infra1"')
    assert len(entries(tmp_path)) == 9


def test_what_the_record_lacks_is_added_and_what_it_cannot_hold_is_named(tmp_path: Path) -> None:
    ensure(tmp_path, cluster(1))
    record = tmp_path / "prod" / "issued.jsonl"
    lines = record.read_bytes().splitlines(keepends=True)
    record.write_bytes(b"".join([lines[0], b"scribble\n", *lines[2:]]))
    issued = ensure(tmp_path, cluster(1))
    assert issued.new == ()
    assert issued.warnings == (f"{record}:2: not an entry of the record; it is left as it is",)
    added = json.loads(record.read_bytes().splitlines()[-1])
    assert (added["name"], added["reason"]) == ("etcd-server", "was in the store and not in the record")
    assert len(record.read_bytes().splitlines()) == 6


def test_a_pair_moved_away_is_issued_again(tmp_path: Path) -> None:
    first = ensure(tmp_path / "pki", cluster(1))
    pair = next((tmp_path / "pki" / "prod" / "hosts" / "infra0").glob("etcd-peer-*"))
    pair.rename(tmp_path / "away")
    second = ensure(tmp_path / "pki", cluster(1))
    assert second.new == ("infra0 etcd-peer: new, the one issued 2026-11-22T20:00:00Z is not in the store",)
    assert second.leaves["infra0", "etcd-peer"] != first.leaves["infra0", "etcd-peer"]


def test_expiry_is_foretold_and_then_refused(tmp_path: Path) -> None:
    ensure(tmp_path, cluster(1))
    soon = ensure(tmp_path, cluster(1), NOW + YEAR - timedelta(days=29))
    assert soon.warnings == (
        "4 certificates expire within 30 days, first infra0 apiserver-etcd-client on 2027-11-22T20:00:00Z",
    )
    assert ensure(tmp_path, cluster(1), NOW + YEAR).new == ()
    with pytest.raises(StoreError, match=r"tls.crt \(infra0 etcd-server\) expired on 2027-11-22T20:00:00Z") as refused:
        ensure(tmp_path, cluster(1), NOW + YEAR + timedelta(seconds=1))
    assert "bundlegen renew SPEC" in refused.value.hint
    with pytest.raises(StoreError, match=r"the CA .*ca/ca.crt expired on 2036"):
        ensure(tmp_path, cluster(1), NOW + 11 * YEAR)


def test_a_leaf_beyond_the_cas_end_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    ensure(tmp_path, cluster(1, caCertificateValidityPeriod="8760h"))
    before = tree(tmp_path)
    with pytest.raises(StoreError, match="infra1 etcd-server would be valid until") as refused:
        ensure(tmp_path, cluster(2, caCertificateValidityPeriod="8760h"), NOW + timedelta(days=1))
    assert "at most 8736h" in refused.value.hint
    assert tree(tmp_path) == before


def test_the_specifications_token_wins(tmp_path: Path) -> None:
    asked = cluster(1)
    own = ensure(tmp_path, asked).token
    named = asked.model_copy(update={"etcd": asked.etcd.model_copy(update={"initial_cluster_token": "mine"})})
    assert ensure(tmp_path, named).token == "mine"
    assert ensure(tmp_path, asked).token == own


def test_another_issue_is_another_certificate_and_the_first_one_stays(tmp_path: Path) -> None:
    asked = cluster(2)
    first = ensure(tmp_path, asked)
    second = ensure(tmp_path, asked, issues={"infra1": 1})
    assert [sentence.split(":")[0] for sentence in second.new] == [f"infra1 {spec.name}" for spec in LEAF_SPECS]
    assert second.new[0].endswith(": renewed")
    for spec in LEAF_SPECS:
        assert second.leaves["infra0", spec.name] == first.leaves["infra0", spec.name]
        assert second.leaves["infra1", spec.name].key_pem != first.leaves["infra1", spec.name].key_pem
    assert ensure(tmp_path, asked).leaves == first.leaves
    assert survey(tmp_path, asked, {"infra1": 1}, clock=lambda: NOW).new == ()
    assert len(survey(tmp_path, asked, {"infra1": 2}, clock=lambda: NOW).new) == len(LEAF_SPECS)
    said = [json.loads(line).get("issue") for line in (tmp_path / "prod" / "issued.jsonl").read_text().splitlines()]
    assert said == [None] * 9 + [1] * 4


def test_survey_says_the_same_and_writes_nothing(tmp_path: Path) -> None:
    root = tmp_path / "pki"
    said = survey(root, cluster(), clock=lambda: NOW)
    assert list(tmp_path.iterdir()) == []
    assert said.new == ensure(root, cluster()).new
    before = tree(tmp_path)
    said = survey(root, cluster(4), clock=lambda: NOW)
    assert tree(tmp_path) == before
    assert [sentence.split(":")[0] for sentence in said.new] == [f"infra3 {spec.name}" for spec in LEAF_SPECS]
    assert said.new == ensure(root, cluster(4)).new


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_rsa_keys_come_in_order_with_any_number_of_jobs(jobs: int) -> None:
    class Counting:
        def __init__(self) -> None:
            self.algorithms: list[str] = []

        def new_key(self, algorithm: str) -> PrivateKey:
            self.algorithms.append(algorithm)
            return entropy.new_key(algorithm)

        def new_serial(self) -> int:
            return entropy.new_serial()

        def new_token(self) -> str:
            return entropy.new_token()

    wanted = ["RSA-2048", "ECDSA-P256", "RSA-2048"]
    counting = Counting()
    kinds = [type(key).__name__ for key in make_keys(wanted, counting, jobs)]
    assert kinds == ["RSAPrivateKey", "ECPrivateKey", "RSAPrivateKey"]
    assert sorted(counting.algorithms) == sorted(wanted)


def test_a_hosts_requests_are_all_found_again(tmp_path: Path) -> None:
    asked = with_hosts({"name": "six", "address": "fd00::6", "extraSANs": ["*.example.net", "fd00::66"]})
    first = ensure(tmp_path, asked)
    with Store.open(tmp_path, asked.name, clock=lambda: NOW) as store:
        assert store.ensure(asked).leaves == first.leaves
    request = host_requests(asked, asked.hosts[0])[0]
    names = first.leaves["six", "etcd-server"].certificate.extensions
    found = names.get_extension_for_class(x509.SubjectAlternativeName).value
    assert tuple(str(name.value) for name in found) == (*request.dns_names, *request.ip_addresses)
