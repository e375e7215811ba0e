"""The verbs on a host that behaves: what they do, what they leave, what they say."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from bundlegen.bundle import effects
from tests.shell.payload import HEALTH, PKI, POD, STATE, Payload
from tests.shell.sandbox import Sandbox

THREE = {"infra0": "10.0.0.6", "infra1": "10.0.0.7", "infra2": "10.0.0.8"}
OUTCOMES = {"install": "installed", "rollback": "rolled-back", "uninstall": "uninstalled"}


@pytest.mark.parametrize("mode", ["kubeadm", "rendered"])
def test_everything_is_where_it_belongs(host: Sandbox, mode: str) -> None:
    payload = Payload(mode=mode)
    done = host.install(payload)
    assert done.returncode == 0, done.stderr
    assert "The cluster test is healthy: all 1 members answer." in done.stdout
    placed = {path: file for path, file in payload.files.items() if path.startswith("/")}
    for path, (file_mode, data) in placed.items():
        place = host.path(path)
        if path == POD:
            assert b"--initial-cluster=infra0=https://10.0.0.6:2380\n" in data
            data = data.replace(b"--initial-cluster-state=new", b"--initial-cluster-state=existing")
        assert place.read_bytes() == data
        assert f"0{place.stat().st_mode & 0o7777:o}" == file_mode
    assert host.path(POD).stat().st_mode & 0o7777 == 0o600
    assert host.path("/var/lib/etcd").stat().st_mode & 0o7777 == 0o700
    assert host.path("/etc/kubernetes/manifests").stat().st_mode & 0o7777 == 0o700
    assert host.path(PKI).stat().st_mode & 0o7777 == 0o755
    assert host.path(STATE).stat().st_mode & 0o7777 == 0o700
    assert host.settings().split("\n")[:2] == ["enabled", "active"]


@pytest.mark.parametrize("mode", ["kubeadm", "rendered"])
def test_a_second_run_changes_nothing(host: Sandbox, mode: str) -> None:
    folder = host.unpack(Payload(mode=mode))
    assert host.run(folder).returncode == 0
    before = host.tree(times=True, receipts=True)
    calls = host.stubbed("calls")
    kubeadm = host.stubbed("kubeadm-calls").count("init phase")
    done = host.run(folder)
    assert done.returncode == 0
    receipt = str(host.receipts()[0].relative_to(host.root))
    assert f"Already installed; nothing changed. Receipt: /{receipt}" in done.stdout
    assert host.tree(times=True, receipts=True) == before
    news = host.stubbed("calls").removeprefix(calls)
    assert [call for call in news.splitlines() if call.split()[0] not in ("is-enabled", "is-active", "show")] == []
    assert host.stubbed("kubeadm-calls").count("init phase") == kubeadm


def test_a_second_run_on_a_sick_member_says_so(host: Sandbox) -> None:
    folder = host.unpack(Payload())
    assert host.run(folder).returncode == 0
    host.stub("etcd-mode", "alarm")
    before = host.tree(times=True, receipts=True)
    done = host.run(folder, "install", "--wait", "1")
    assert done.returncode == 14
    assert "nothing changed, but not healthy: etcd reports: ALARM NOSPACE" in done.stderr
    assert host.tree(times=True, receipts=True) == before


def test_waiting_for_the_others_is_success(host: Sandbox) -> None:
    host.stub("etcd-mode", "waiting")
    done = host.install(Payload(members=THREE))
    assert done.returncode == 0, done.stderr
    assert "1 of 3 members run so far; etcd starts to serve when 2 do." in done.stdout
    assert "run infra1.run on infra1 (10.0.0.7) next" in done.stdout


def test_ipv6(tmp_path: Path) -> None:
    members = {"infra0": "fd00::6"}
    with Sandbox(tmp_path / "s", "infra0", "fd00::6") as host:
        done = host.install(Payload(members=members))
        assert done.returncode == 0, done.stderr
        done = host.run(f"{STATE}/bundle", "health", "--cluster")
        assert done.returncode == 0, done.stdout
        assert "this member serves at https://[fd00::6]:2379" in done.stdout
        other = host.install(Payload(members={"infra0": "fd00::7"}))
        assert other.returncode == 10


def test_a_new_ca_restarts_etcd(host: Sandbox) -> None:
    assert host.install(Payload()).returncode == 0
    pid = host.stubbed("etcd-pid")
    done = host.install(Payload(ca="two"))
    assert done.returncode == 0, done.stderr
    assert "restarted etcd, which reads its CA only when it starts" in done.stdout
    assert host.stubbed("etcd-pid") != pid
    assert host.execute(HEALTH, "--cluster", "--wait", "20").returncode == 0


def test_receipts(host: Sandbox) -> None:
    payload = Payload(mode="kubeadm")
    folder = host.unpack(payload)
    digest = hashlib.sha256(host.path(f"{folder}/MANIFEST").read_bytes()).hexdigest()
    previous = None
    for verb, outcome in OUTCOMES.items():
        if verb == "uninstall":
            assert host.run(folder, "install").returncode == 0
            previous = hashlib.sha256(host.receipts()[-1].read_bytes()).hexdigest()
        assert host.run(folder, verb).returncode == 0
        file = max(host.receipts(), key=lambda path: path.stat().st_mtime_ns)
        assert file.stat().st_mode & 0o7777 == 0o600
        receipt = json.loads(file.read_text())
        assert receipt["previousReceiptDigest"] == previous
        previous = hashlib.sha256(file.read_bytes()).hexdigest()
        assert (receipt["verb"], receipt["outcome"], receipt["exitCode"]) == (verb, outcome, 0)
        assert receipt["payloadDigest"] == digest
        assert (receipt["machineId"], receipt["hostname"]) == ("0123456789abcdef0123456789abcdef", "infra0")
        changed = {entry["path"]: entry for entry in receipt["changed"]}
        key = changed[f"{PKI}/etcd/server.key"]
        sum_ = hashlib.sha256(payload.files[f"{PKI}/etcd/server.key"][1]).hexdigest()
        expected = (None, sum_, "0600") if verb == "install" else (sum_, None, None)
        assert (key["before"], key["after"], key["mode"]) == expected
        assert "PRIVATE KEY" not in file.read_text()


def test_plan_shows_texts_as_a_diff_and_keys_as_fingerprints(host: Sandbox) -> None:
    assert host.install(Payload()).returncode == 0
    newer = Payload(etcd_argument="--snapshot-count=5000", days=100)
    before = host.tree(times=True)
    done = host.install(newer, "plan")
    assert done.returncode == 0
    assert host.tree(times=True) == before
    assert f"replace  {POD} (0600 root:root); the old one is kept; {effects.WORDS['pod']}" in done.stdout
    assert f"replace  {PKI}/etcd/server.crt (0644 root:root); the old one is kept; no restart" in done.stdout
    assert "restart  kubelet" not in done.stdout
    lines = [line.strip() for line in done.stdout.splitlines()]
    server = x509.load_pem_x509_certificate(newer.files[f"{PKI}/etcd/server.crt"][1])
    fingerprint = server.fingerprint(hashes.SHA256()).hex()
    assert [line.startswith("+ subject=") for line in lines if line.endswith(f"SHA-256 fingerprint {fingerprint}")] == [
        True
    ]
    assert "-     - --snapshot-count=10000" in lines
    assert "+     - --snapshot-count=5000" in lines
    assert len([line for line in lines if line.startswith("+ private key; its public key has SHA-256")]) >= 3
    assert "PRIVATE KEY" not in done.stdout + done.stderr
    for mode, data in newer.files.values():
        if mode == "0600" and b"PRIVATE KEY" in data:
            assert data.splitlines()[1].decode() not in done.stdout
