"""Keys and certificates are renewed under members that run on, while a client writes without a pause; and after all of
them have expired."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path

import pytest
from cryptography import x509

from tests.e2e.clusters import STICK, Cluster, etcdctl
from tests.e2e.printed import printed, run_as_printed
from tests.e2e.rig.host import Host
from tests.e2e.rig.session import Session
from tests.e2e.rig.tree import difference
from tests.e2e.rig.writer import keys_of
from tests.e2e.running import HEALTH, Running, start

PKI = "/etc/kubernetes/pki"
PORTS = {2379: "server", 2380: "peer"}
LEFT = timedelta(minutes=4)  # of the first certificates' validity, from when they are made
PEER = f"-cert {PKI}/etcd/peer.crt -key {PKI}/etcd/peer.key"


@pytest.fixture(scope="module")
def running(
    make_cluster: Callable[..., Cluster],
    boot: Callable[..., list[Host]],
    session: Session,
    tmp_path_factory: pytest.TempPathFactory,
) -> Running:
    """Its certificates end some minutes after they were made: they were made out for an hour that is nearly over."""
    moment = int((datetime.now(UTC) - timedelta(hours=24) + LEFT).timestamp())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", str(moment))
        cluster = make_cluster(
            "renewed",
            pki={"encryptionAlgorithm": "ECDSA-P256", "certificateValidityPeriod": "24h"},
            build_options=["--source-date"],
        )
    return start(cluster, boot, session, tmp_path_factory.mktemp("client"))


def shown(host: Host) -> dict[int, int]:
    """The serial number that is shown on each port."""
    address = host.spec.addresses[0].partition("/")[0]
    found = {}
    for port in PORTS:
        words = f"openssl s_client -connect {address}:{port} {PEER} < /dev/null 2> /dev/null | openssl x509"
        pem = host.exec(["bash", "-c", words]).stdout
        found[port] = x509.load_pem_x509_certificate(pem.encode()).serial_number
    return found


def on_disk(host: Host) -> dict[int, int]:
    return {
        port: x509.load_pem_x509_certificate(host.read(f"{PKI}/etcd/{name}.crt").encode()).serial_number
        for port, name in PORTS.items()
    }


def test_after_all_have_expired(running: Running, tmp_path: Path) -> None:
    """Two members restarted since: no quorum. The first host waits, with the second the cluster serves again."""
    etcdctl(running.session, running.cluster, "--endpoints", running.cluster.endpoint(0), "put", "kept", "yes",
            keys_of=running.hosts["infra0"])  # fmt: skip
    ends = x509.load_pem_x509_certificate(running.hosts["infra0"].read(f"{PKI}/etcd/peer.crt").encode())
    time.sleep(max(0, (ends.not_valid_after_utc - datetime.now(UTC)).total_seconds() + 2))
    for name in ("infra1", "infra2"):
        host = running.hosts[name]
        _restart_etcd(host)
    said = running.hosts["infra0"].exec([HEALTH], check=False).stdout
    assert "Renew them: bundlegen renew SPEC, where bundles are made" in said
    pids = running.pids()
    change = running.cluster.renew()
    assert "Certificates have expired already." in (change.out / "CHANGE.md").read_text()
    first = running.run(change, "infra1")
    assert "1 of 3 members run with valid certificates so far; etcd serves when 2 do." in first.stdout, first.stdout
    again = running.run(change, "infra1")
    assert "Already installed; nothing changed." in again.stdout
    second = running.run(change, "infra2")
    assert "This member is healthy; 2 of 3 members answer so far." in second.stdout, second.stdout
    third = running.run(change, "infra0")
    assert "The cluster renewed is healthy: all 3 members answer." in third.stdout
    assert running.pids() == pids
    for host in running.hosts.values():
        assert shown(host) == on_disk(host)
        host.exec([HEALTH, "--cluster"])
    assert "yes" in etcdctl(running.session, running.cluster, "--endpoints", running.cluster.endpoints, "get", "kept",
                            keys_of=running.hosts["infra0"])  # fmt: skip
    change.take_in(running.hosts)
    keys_of(running.hosts["infra0"], running.credentials)


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=lambda order: "".join(map(str, order)))
def test_in_any_order_of_hosts(running: Running, order: tuple[int, ...]) -> None:
    """Nobody notices: no write is lost or waits, no process is another; the client goes on with its old pair."""
    change = running.cluster.renew()
    pids, before = running.pids(), {name: shown(host) for name, host in running.hosts.items()}
    with running.writing() as writer:
        for index in order:
            done = running.run(change, f"infra{index}")
            assert "etcd shows the new certificates on ports 2379 and 2380, and accepts them" in done.stdout
            assert "The cluster renewed is healthy: all 3 members answer." in done.stdout
    assert writer.report.harm() == "", writer.report
    assert running.pids() == pids
    for name, host in running.hosts.items():
        assert shown(host) == on_disk(host)
        assert not set(shown(host).values()) & set(before[name].values())
    change.take_in(running.hosts)


def test_as_printed_and_back(running: Running) -> None:
    """Every command of the record; a second run changes nothing; the way back brings back the old pairs."""
    change = running.cluster.renew("infra0", "infra2")
    names = ("infra0", "infra2")
    before, pids = {name: running.snapshot(name, times=False) for name in running.hosts}, running.pids()
    old = {name: shown(running.hosts[name]) for name in running.hosts}
    commands = printed(change)
    back = [each for each in commands if each.text.endswith("-- rollback")]
    with running.writing() as writer:
        for name in names:
            running.hosts[name].put(change.bundle(name), f"{STICK}/")
            running.hosts[name].put(change.out / "SHA256SUMS", f"{STICK}/")
        for command in commands[: commands.index(back[0])]:
            run_as_printed(command, change.out, running.hosts)
        for name in names:
            tree = running.snapshot(name, times=True)
            assert "Already installed; nothing changed." in running.run(change, name).stdout
            assert difference(tree, running.snapshot(name, times=True)) == []
            assert shown(running.hosts[name]) == on_disk(running.hosts[name]) != old[name]
        for command in back:
            run_as_printed(command, change.out, running.hosts)
    assert writer.report.harm() == "", writer.report
    assert running.pids() == pids
    for name, host in running.hosts.items():
        assert difference(before[name], running.snapshot(name, times=False)) == []
        assert shown(host) == old[name]


def _restart_etcd(host: Host) -> None:
    """It ends as asked, and kubelet starts it again."""
    (old,) = host.exec(["pgrep", "--exact", "etcd"]).stdout.split()
    host.exec(["kill", old])

    def again() -> bool:
        now = host.exec(["pgrep", "--exact", "etcd"], check=False).stdout.split()
        return len(now) == 1 and now != [old]

    _until(again)


def _until(true: Callable[[], bool], patience: float = 120) -> None:
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.1)
