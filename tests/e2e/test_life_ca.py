"""Another CA again and again, in random orders of hosts, while a client writes; at last every run is killed as well.

Only with --long: see conftest.py.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509

from tests.e2e.clusters import Cluster
from tests.e2e.rig.host import Host
from tests.e2e.rig.session import Session
from tests.e2e.rig.writer import CREDENTIALS, Writer
from tests.e2e.running import HEALTH, READY, Running, start
from tests.e2e.struck import kill, run_struck

PKI = "/etc/kubernetes/pki"
PAST = "/root/past"
ROUNDS = 5
ADDRESSES = [f"10.0.0.{number}" for number in range(6, 11)]


@pytest.fixture(scope="module", params=[3, 5])
def running(
    request: pytest.FixtureRequest,
    make_cluster: Callable[..., Cluster],
    boot: Callable[..., list[Host]],
    session: Session,
    tmp_path_factory: pytest.TempPathFactory,
) -> Running:
    size: int = request.param
    pki = {"encryptionAlgorithm": "ECDSA-P256"}
    cluster = make_cluster(f"turned{size}", addresses=ADDRESSES[:size], pki=pki)
    return start(cluster, boot, session, tmp_path_factory.mktemp("client"))


@contextmanager
def writing(running: Running, what: str) -> Iterator[Writer]:
    """A writer meanwhile: nothing it was told is lost, and at most an election is without a taker."""
    with running.writing() as writer:
        yield writer
    report = writer.report
    print(f"{what}: {report.acknowledged} acknowledged, {len(report.lost)} lost, {len(report.idle)} idle ticks, "
          f"slowest {report.slowest} s")  # fmt: skip
    assert report.harm() == "", report


def shuffled(running: Running, last: str = "") -> list[str]:
    names = random.sample(sorted(running.hosts), len(running.hosts))
    return [*(name for name in names if name != last), *[last] * bool(last)]


def keep(running: Running, index: int) -> str:
    """The control planes' credentials as they are now, on a host; returns their folder there."""
    folder = f"{PAST}{index}"
    host = running.hosts["infra0"]
    host.exec(["mkdir", "-p", folder])
    for name in CREDENTIALS:
        host.put(running.credentials / name, f"{folder}/")
    return folder


def refused(running: Running, past: str) -> None:
    """No member answers a client with these credentials."""
    client = [f"--cacert={past}/ca.crt", f"--cert={past}/client.crt", f"--key={past}/client.key"]
    for endpoint in running.cluster.endpoints.split(","):
        words = ["etcdctl", "--endpoints", endpoint, *client, "--command-timeout=3s", "get", "x"]
        assert running.hosts["infra0"].exec(words, check=False).returncode != 0


def gone(running: Running, old: x509.Certificate) -> None:
    """No file that etcd or a client of it reads has the CA of before, and every handshake is without it."""
    addresses = {each.name: each.address for each in running.cluster.hosts}
    for name, host in running.hosts.items():
        for file in host.path(PKI).rglob("*.crt"):
            assert old not in x509.load_pem_x509_certificates(file.read_bytes()), (name, file)
        host.exec([HEALTH, "--cluster", "--wait", "90"], timeout=120)
        for port in (2379, 2380):
            shown = host.exec(
                ["openssl", "s_client", "-connect", f"{addresses[name]}:{port}", "-CAfile", f"{PKI}/etcd/ca.crt",
                 "-cert", f"{PKI}/etcd/peer.crt", "-key", f"{PKI}/etcd/peer.key"],
                stdin="", check=False,
            )  # fmt: skip
            assert "Verify return code: 0 (ok)" in shown.stdout, shown.stdout + shown.stderr
        (etcd,) = host.exec(["pgrep", "-x", "etcd"]).stdout.split()
        since = float(host.exec(["stat", "-c", "%Y", f"/proc/{etcd}"]).stdout)
        assert since >= host.path(f"{PKI}/etcd/ca.crt").stat().st_mtime - 1, "etcd has not read its CA anew"


def authority(running: Running) -> x509.Certificate:
    (found,) = x509.load_pem_x509_certificates(running.hosts["infra0"].path(f"{PKI}/etcd/ca.crt").read_bytes())
    return found


def through(running: Running, change: Cluster, name: str, *words: str, struck: bool) -> None:
    if struck:
        points = run_struck(running.hosts[name], change.bundle(name), *words, strikes=[kill])
        print(f"{change.change_name} on {name}: killed {len(points)} times\n  " + "\n  ".join(points))
        assert points
    else:
        running.run(change, name, *words)


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_two_rounds_in_any_order(running: Running, turn: int) -> None:
    """The last time, every run of both rounds is killed at every step."""
    struck = turn == ROUNDS - 1
    old, past = authority(running), keep(running, turn)
    with writing(running, f"{len(running.hosts)} members, turn {turn}{', killed' * struck}"):
        first, pids = running.cluster.rotate_ca(), running.pids()
        for name in shuffled(running):
            through(running, first, name, struck=struck)
        assert running.pids() == pids
        first.take_in(running.hosts)
        second = running.cluster.rotate_ca()
        running.give(first)
        for name in shuffled(running, last=running.leader()):
            before = running.pids()
            through(running, second, name, READY, struck=struck)
            after = running.pids()
            assert [each for each in before if before[each] != after[each]] == [name]
        second.take_in(running.hosts)
    assert authority(running) != old
    gone(running, old)
    refused(running, past)


def test_the_cross_certificates_go(running: Running) -> None:
    """After the test above."""
    change = running.cluster.renew()
    with writing(running, "renewed"):
        for name in shuffled(running):
            running.run(change, name)
    for host in running.hosts.values():
        for file in (host.path(PKI) / "etcd/server.crt", host.path(PKI) / "etcd/peer.crt"):
            (leaf,) = x509.load_pem_x509_certificates(Path(file).read_bytes())
            leaf.verify_directly_issued_by(authority(running))
