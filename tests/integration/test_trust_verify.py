"""verify and audit: a good change is good, and each thing that can be wrong with one has a sentence of its own."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from bundlegen import layout
from bundlegen.bundle import plan
from bundlegen.bundle.stub import make_stub
from bundlegen.change import plans as recipe
from bundlegen.errors import VerificationError
from bundlegen.system.clock import now
from bundlegen.trust import known
from bundlegen.trust.bundle import read
from tests.building import main
from tests.trust_cases import SPEC, Entries, findings, make, put, repack, replace_bundle, sentences, sum_up

PKI = "/etc/kubernetes/pki"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("verify")).folder


@pytest.fixture
def change(built: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(built, tmp_path / "change"))


def spoil(change: Path, how, name: str = "infra1.run") -> list[str]:
    replace_bundle(change, name, repack(change / name, how))
    return sentences(change)


def test_a_good_change_is_good(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert findings(built) == []
    assert all(findings(path) == [] for path in built.glob("*.run"))
    assert main(["verify", str(built)]) == 0
    assert capsys.readouterr().out == f"{built}: good\n"


def test_the_stub_is_known_without_makeself(built: Path) -> None:
    assert known.stub_fault(read(built / "infra0.run")) == ""
    assert set(known.STUBS.values()) == {"2.4.5", "2.5.0"}


def test_the_stub_of_this_makeself_is_in_the_table() -> None:
    stub = make_stub()
    digest = hashlib.sha256(stub.template.encode()).hexdigest()
    assert known.STUBS.get(digest) == stub.version, f"stub.py makes another stub now: add {digest} to STUBS"


def test_a_planted_key_has_its_sentence(change: Path) -> None:
    key = read(change / "infra0.run").content(f"{PKI}/etcd/server.key") or b""
    assert spoil(change, lambda entries: put(entries, f"{PKI}/sa.key", key.replace(b"A", b"B"), 0o600)) == [
        f"infra1.run: holds a private key that a bundle of this host does not have: {PKI}/sa.key"
    ]


def test_a_key_in_two_bundles_has_its_sentence(change: Path) -> None:
    donor = read(change / "infra0.run")

    def swap(entries: Entries) -> None:
        for end, mode in (("crt", 0o644), ("key", 0o600)):
            path = f"{PKI}/apiserver-etcd-client.{end}"
            put(entries, path, donor.content(path) or b"", mode)

    [found] = [each for each in spoil(change, swap) if each.startswith("private keys: the key ")]
    assert found.endswith(f"({PKI}/apiserver-etcd-client.key) is in more than one bundle: infra0.run and infra1.run")


def test_a_world_readable_key_has_its_sentence(change: Path) -> None:
    path = f"{PKI}/etcd/peer.key"
    key = read(change / "infra1.run").content(path) or b""
    assert spoil(change, lambda entries: put(entries, path, key, 0o644)) == [
        f"infra1.run: {path} would be readable by others on the host: mode 0644, not 0600"
    ]


def test_the_ca_key_is_only_where_the_specification_says(change: Path) -> None:
    path = f"{PKI}/etcd/ca.key"
    key = read(change / "infra0.run").content(path) or b""
    found = spoil(change, lambda entries: put(entries, path, key, 0o600))
    assert f"infra1.run: holds a private key that a bundle of this host does not have: {path}" in found
    assert any("is in more than one bundle: infra0.run and infra1.run" in each for each in found)
    lacking = spoil(change, lambda entries: entries.pop(path) and None, "infra0.run")
    assert f"infra0.run: {path} is missing" in lacking


def other(path: str, of: str):
    return lambda change, entries: put(
        entries, path, read(change / "infra0.run").content(of) or b"", entries[path].mode
    )


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (
            other(f"{PKI}/etcd/server.crt", f"{PKI}/etcd/server.crt"),
            f"{PKI}/etcd/server.crt is for another subject: CN=infra0, not CN=infra1",
        ),
        (
            other(f"{PKI}/etcd/server.crt", f"{PKI}/etcd/server.crt"),
            f"{PKI}/etcd/server.crt has other names or addresses (SANs) than asked for",
        ),
        (
            other(f"{PKI}/etcd/server.crt", f"{PKI}/apiserver-etcd-client.crt"),
            f"{PKI}/etcd/server.crt is for another subject: CN=kube-apiserver-etcd-client, not CN=infra1",
        ),
        (
            other(f"{PKI}/etcd/server.key", f"{PKI}/etcd/peer.key"),
            f"{PKI}/etcd/server.key is not the key of the certificate beside it",
        ),
        (
            other(f"{PKI}/etcd/ca.crt", f"{PKI}/etcd/peer.crt"),
            f"{PKI}/etcd/peer.crt is not signed by this cluster's CA",
        ),
        (
            other(f"{PKI}/etcd/ca.crt", f"{PKI}/etcd/peer.crt"),
            f"{PKI}/etcd/ca.crt is not a certificate of an authority",
        ),
        (other(f"{PKI}/etcd/ca.crt", f"{PKI}/etcd/peer.crt"), "has another CA than infra0.run"),
        (
            lambda _, entries: put(entries, f"{PKI}/etcd/peer.crt", b"-----BEGIN CERTIFICATE-----\n"),
            f"{PKI}/etcd/peer.crt is not a certificate that can be read",
        ),
        (
            lambda _, entries: put(entries, f"{PKI}/etcd/ca.crt", (entries[f"{PKI}/etcd/ca.crt"].content or b"") * 2),
            f"{PKI}/etcd/ca.crt holds more than one certificate",
        ),
        (
            lambda _, entries: put(entries, layout.INSTALLER, b"#!/bin/bash\nid\n", 0o755),
            "install.sh is not the one of any bundlegen known here (the bundle says 0.2.0)",
        ),
        (
            lambda _, entries: put(entries, layout.IMAGE_SCRIPT, b"id\n", 0o644),
            "image.sh is not the one of this bundlegen",
        ),
        (lambda _, entries: entries.pop(layout.IMAGE_SCRIPT), "image.sh is missing"),
        (
            lambda _, entries: put(entries, "/etc/cron.d/x", b"* * * * * root id\n"),
            "holds a file that a bundle of this host does not have: /etc/cron.d/x",
        ),
        (
            lambda _, entries: put(
                entries, layout.HEALTH_COMMAND, entries[layout.HEALTH_COMMAND].content or b"", 0o777
            ),
            f"{layout.HEALTH_COMMAND} has mode 0777, not 0755",
        ),
        (
            lambda _, entries: put(
                entries, layout.KUBELET_DROPIN, b"# -----BEGIN EC PRIVATE KEY-----\n", layout.MODE_PLAIN
            ),
            f"files{layout.KUBELET_DROPIN} holds a private key, which does not belong there",
        ),
        (lambda _, entries: entries.pop(layout.KUBELET_DROPIN), f"{layout.KUBELET_DROPIN} is missing"),
        (
            lambda _, entries: put(
                entries,
                layout.CONF,
                (entries[layout.CONF].content or b"").replace(b"10.0.0.7'", b"10.0.0.9'"),
                layout.MODE_SECRET,
            ),
            "bundle.conf has ADDRESS='10.0.0.9', and '10.0.0.7' follows from what it holds",
        ),
        (
            lambda _, entries: put(
                entries,
                layout.CONF,
                (entries[layout.CONF].content or b"").replace(b"STATE_DIR='/var/lib", b"STATE_DIR='/opt"),
                layout.MODE_SECRET,
            ),
            (
                "bundle.conf has STATE_DIR='/opt/bundlegen/prod', and '/var/lib/bundlegen/prod' follows "
                "from what it holds"
            ),
        ),
        (
            lambda _, entries: put(
                entries,
                layout.CONF,
                (entries[layout.CONF].content or b"").replace(b"NOT_AFTER='1", b"NOT_AFTER='2"),
                layout.MODE_SECRET,
            ),
            "bundle.conf has NOT_AFTER=",
        ),
    ],
)
def test_each_fault_has_its_sentence(change: Path, how, expected: str) -> None:
    found = spoil(change, lambda entries: how(change, entries) and None)
    assert [each for each in found if each.startswith(f"infra1.run: {expected}")], found


def test_dates(built: Path) -> None:
    later = sentences(built / "infra0.run", at=now() + timedelta(days=366))
    assert len(later) == 4
    assert all(" expired on " in each for each in later)
    earlier = sentences(built / "infra0.run", at=now() - timedelta(days=1))
    assert len(earlier) == 5
    assert all(" is not valid before " in each for each in earlier)
    assert main(["verify", str(built), "--at", "2100-01-01"]) == 6
    assert main(["verify", str(built), "--at", "soon"]) == 2


def test_what_lies_about(change: Path) -> None:
    (change / "extra.txt").write_text("x")
    assert sentences(change) == [f"extra.txt: is not in {layout.SUMS}"]
    (change / "extra.txt").unlink()
    (change / "infra2.run").unlink()
    assert sentences(change) == [f"infra2.run: is missing, though {layout.SUMS} lists it"]
    sum_up(change)
    assert f"infra2.run: is missing, though {layout.RECORD} lists it" in sentences(change)
    (change / layout.SUMS).unlink()
    assert sentences(change) == [f"{change}: {layout.SUMS} is missing"]


def test_a_record_of_something_else(change: Path) -> None:
    found = json.loads((change / layout.RECORD).read_bytes())
    found["hosts"][1]["address"] = "10.9.9.9"
    (change / layout.RECORD).write_text(json.dumps(found))
    sum_up(change)
    assert sentences(change) == [f"infra1.run: is not as {layout.RECORD} says: address"]
    (change / layout.RECORD).write_text("[" * 100_000)
    sum_up(change)
    [found] = sentences(change)
    assert found.startswith(f"{layout.RECORD}: cannot be understood: ")


def test_swapped_bundles(change: Path) -> None:
    first, second = ((change / name).read_bytes() for name in ("infra0.run", "infra1.run"))
    (change / "infra0.run").write_bytes(second)
    (change / "infra1.run").write_bytes(first)
    assert len(sentences(change)) == 2
    sum_up(change)
    assert "infra0.run: is not as change.json says: it is the bundle of infra1" in sentences(change)


def test_build_verifies_before_the_folder_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = plan.plan_host
    first: list = []

    def careless(cluster, host, **rest):
        """Every host gets the first one's keys."""
        first.append(rest["leaves"])
        return real(cluster, host, **(rest | {"leaves": first[0]}))

    monkeypatch.setattr(recipe, "plan_host", careless)
    with pytest.raises(VerificationError, match=r"what was built is not as it should be: infra1\.run: "):
        make(tmp_path)
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_audit(built: Path, change: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(built)]) == 0
    assert "13 private keys in 3 bundles; none is on more than one host" in capsys.readouterr().out
    path = f"{PKI}/etcd/ca.key"
    key = read(change / "infra0.run").content(path) or b""
    spoil(change, lambda entries: put(entries, path, key, 0o600))
    assert main(["audit", str(change), "--json"]) == 6
    found = json.loads(capsys.readouterr().out)
    assert [each["bundles"] for each in found["keys"] if len(each["bundles"]) > 1] == [["infra0.run", "infra1.run"]]
    assert not found["good"]
    assert len(SPEC["hosts"]) == len(found["bundles"])
