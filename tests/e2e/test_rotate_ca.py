"""A cluster that runs goes over to another CA, in two rounds, while a client writes without a pause."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from cryptography import x509

from tests.e2e.clusters import etcdctl
from tests.e2e.rig.tree import difference
from tests.e2e.rig.writer import keys_of
from tests.e2e.running import HEALTH, READY, Running

PKI = "/etc/kubernetes/pki"
PREFLIGHT_FAILED = 11


@pytest.fixture(scope="module")
def running(run_three: Callable[[str], Running]) -> Running:
    return run_three("rotated")


def is_refused(running: Running, credentials: Path, index: int) -> bool:
    """Whether a client with these credentials gets no answer."""
    client = [f"--cacert={credentials}/ca.crt", f"--cert={credentials}/client.crt", f"--key={credentials}/client.key"]
    words = ["etcdctl", "--endpoints", running.cluster.endpoint(index), *client, "--command-timeout=5s", "get", "x"]
    host = next(iter(running.hosts.values()))
    done: CompletedProcess[str] = host.exec(words, check=False)
    return done.returncode != 0


def certificates(path: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(path.read_bytes())


def test_two_rounds(running: Running, tmp_path: Path) -> None:
    """Round 2 waits for a host that was forgotten in round 1, and for the control planes. Nobody notices anything."""
    (old,) = certificates(running.hosts["infra0"].path(f"{PKI}/etcd/ca.crt"))
    past = keys_of(running.hosts["infra0"], running.hosts["infra0"].path("/root/past"))
    first = running.cluster.rotate_ca()
    pids = running.pids()
    order = random.sample(sorted(running.hosts), 3)
    print(f"order of hosts: {order}")
    with running.writing() as writer:
        for name in order[:2]:
            done = running.run(first, name)
            assert "etcd shows the new certificates on ports 2379 and 2380, and accepts them" in done.stdout
            assert "The cluster rotated is healthy: all 3 members answer." in done.stdout
        second = running.cluster.rotate_ca()
        before = running.snapshot(order[0], times=True)
        refused = running.run(second, order[0], READY, expect=PREFLIGHT_FAILED)
        assert f" {order[2]} (" in refused.stderr
        assert "shows one of another CA on port 2379" in refused.stderr
        assert order[1] not in refused.stderr
        refused = running.run(second, order[2], READY, expect=PREFLIGHT_FAILED)
        assert "2-rotate-ca must run on this host before 3-rotate-ca" in refused.stderr
        assert difference(before, running.snapshot(order[0], times=True)) == []
        running.run(first, order[2])
        assert running.pids() == pids
        refused = running.run(second, order[0], expect=PREFLIGHT_FAILED)
        assert "nobody has confirmed that control planes have their new pair" in refused.stderr
        assert "--control-planes-ready" in refused.stderr
        running.give(first)
        leader = running.leader()
        for name in [*(each for each in order if each != leader), leader]:
            done = running.run(second, name, READY)
            assert "restarted etcd, which reads its CA only when it starts" in done.stdout
            assert "The cluster rotated is healthy: all 3 members answer." in done.stdout
    print(f"two rounds: {writer.report}")
    assert writer.report.harm() == "", writer.report
    for index, host in enumerate(running.hosts.values()):
        (trusted,) = certificates(host.path(f"{PKI}/etcd/ca.crt"))
        assert trusted.subject == old.subject
        assert trusted != old
        certificates(host.path(f"{PKI}/etcd/peer.crt"))[0].verify_directly_issued_by(trusted)
        host.exec([HEALTH, "--cluster", "--wait", "60"])
        assert is_refused(running, Path("/root/past"), index)
    assert past.exists()
    again = running.run(second, order[0], READY)
    assert "Already installed; nothing changed." in again.stdout


def test_back_and_on(running: Running) -> None:
    """After the test above. Round 2 is taken back on one host, which is well with the others; then it comes again."""
    second = running.cluster.named("3-rotate-ca")
    first = running.cluster.named("2-rotate-ca")
    (new,) = certificates(running.hosts["infra1"].path(f"{PKI}/etcd/ca.crt"))
    with running.writing() as writer:
        running.run(second, "infra1", "rollback")
        assert certificates(running.hosts["infra1"].path(f"{PKI}/etcd/ca.crt")) != [new]
        running.hosts["infra1"].exec([HEALTH, "--cluster", "--wait", "60"])
        before = running.snapshot("infra1", times=True)
        refused = running.run(first, "infra1", "rollback", expect=PREFLIGHT_FAILED)
        assert "these members do not accept them any more: infra0 infra2" in refused.stderr
        assert difference(before, running.snapshot("infra1", times=True)) == []
        running.run(second, "infra1", READY)
    assert writer.report.harm() == "", writer.report


def test_the_cross_certificate_goes_with_the_next_renewal(running: Running) -> None:
    """After the test above; and the record's own commands are those that work."""
    change = running.cluster.renew()
    with running.writing() as writer:
        for name in running.hosts:
            running.run(change, name)
    assert writer.report.harm() == "", writer.report
    for host in running.hosts.values():
        assert len(certificates(host.path(f"{PKI}/etcd/server.crt"))) == 1
    change.take_in(running.hosts)
    told = etcdctl(running.session, running.cluster, "--endpoints", running.cluster.endpoints, "endpoint", "health",
                   "--write-out=json", keys_of=running.hosts["infra2"])  # fmt: skip
    assert [each["health"] for each in json.loads(told)] == [True] * 3


def test_at_once(running: Running) -> None:
    """After the test above: the cluster is away, says so, and comes back with all that was in it."""
    etcdctl(running.session, running.cluster, "--endpoints", running.cluster.endpoint(0), "put", "kept", "yes",
            keys_of=running.hosts["infra0"])  # fmt: skip
    change = running.cluster.rotate_ca("--now")
    assert "DOES NOT SERVE WHILE THIS CHANGE IS CARRIED OUT" in (change.out / "CHANGE.md").read_text()
    refused = running.run(change, "infra0", expect=PREFLIGHT_FAILED)
    assert "nobody has confirmed that" in refused.stderr
    first = running.run(change, "infra2", "--accept-downtime")
    assert "1 of 3 members show certificates of the new CA so far; etcd serves when 2 do." in first.stdout, first.stdout
    for name in ("infra0", "infra1"):
        running.run(change, name, "--accept-downtime")
    for host in running.hosts.values():
        host.exec([HEALTH, "--cluster", "--wait", "60"])
    assert "yes" in etcdctl(running.session, running.cluster, "--endpoints", running.cluster.endpoints, "get", "kept",
                            keys_of=running.hosts["infra0"])  # fmt: skip
