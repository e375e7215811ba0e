"""From specification to healthy cluster: three hosts, bundles run one after the other, as an operator would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.e2e.clusters import Cluster, etcdctl, run_bundle
from tests.e2e.rig.host import Host
from tests.e2e.rig.session import Session
from tests.e2e.rig.tree import difference

KINDS: dict[str, dict[str, Any]] = {
    "kubeadm": {},
    "rendered": {"manifest": "rendered"},
    "ipv6-other-ports": {
        "addresses": ("fd00:10::6", "fd00:10::7", "fd00:10::8"),
        "ports": {"client": 12379, "peer": 12380, "metrics": 12381},
    },
}


@dataclass(frozen=True)
class Installed:
    """A cluster whose bundles have each run once, in order."""

    cluster: Cluster
    hosts: list[Host]
    runs: list[CompletedProcess[str]]


@pytest.fixture(scope="module", params=KINDS)
def installed(
    request: pytest.FixtureRequest, make_cluster: Callable[..., Cluster], boot: Callable[..., list[Host]]
) -> Installed:
    cluster = make_cluster(request.param, **KINDS[request.param])
    hosts = boot(cluster)
    if request.param == "rendered":
        for host in hosts:
            host.path("/usr/bin/kubeadm").unlink()
    runs = [run_bundle(host, cluster.bundle(host.name)) for host in hosts]
    return Installed(cluster, hosts, runs)


def test_the_first_host_waits_for_quorum_and_that_is_success(installed: Installed) -> None:
    said = installed.runs[0].stdout + installed.runs[0].stderr
    assert "1 of 3 members run so far; etcd starts to serve when 2 do" in said
    assert "run infra1.run on infra1" in said


def test_the_last_host_sees_three_healthy_members(installed: Installed) -> None:
    said = installed.runs[2].stdout + installed.runs[2].stderr
    assert "is healthy: all 3 members answer" in said


def test_health_says_so_on_every_host(installed: Installed) -> None:
    for host in installed.hosts:
        done = host.exec(["/usr/local/sbin/bundlegen-health", "--cluster", "--wait", "60"], check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_etcd_itself_agrees(installed: Installed, session: Session) -> None:
    cluster, host = installed.cluster, installed.hosts[0]
    listed = etcdctl(session, cluster, f"--endpoints={cluster.endpoint(0)}", "member", "list", keys_of=host)
    names = [line.split(", ")[2] for line in listed.splitlines()]
    assert sorted(names) == ["infra0", "infra1", "infra2"]
    assert listed.count("started") == 3
    etcdctl(session, cluster, f"--endpoints={cluster.endpoints}", "endpoint", "health", keys_of=host)


def test_a_key_written_through_one_member_is_read_through_another(installed: Installed, session: Session) -> None:
    cluster, hosts = installed.cluster, installed.hosts
    etcdctl(session, cluster, f"--endpoints={cluster.endpoint(0)}", "put", "where", "infra0", keys_of=hosts[0])
    read = etcdctl(session, cluster, f"--endpoints={cluster.endpoint(2)}", "get", "where", keys_of=hosts[1])
    assert read.split() == ["where", "infra0"]


def test_a_snapshot_is_what_etcdctl_takes(installed: Installed, session: Session, tmp_path: Path) -> None:
    cluster, host = installed.cluster, installed.hosts[1]
    installer = f"/var/lib/bundlegen/{cluster.name}/bundle/install.sh"
    host.exec(["bash", installer, "snapshot", "--output", "/root/own.db"])
    own, theirs = tmp_path / "own.db", tmp_path / "theirs.db"
    assert host.path("/root/own.db").stat().st_mode & 0o777 == 0o600
    own.write_bytes(host.path("/root/own.db").read_bytes())
    host.path("/root/own.db").unlink()
    etcdctl(session, cluster, f"--endpoints={cluster.endpoint(1)}", "snapshot", "save", str(theirs), keys_of=host)
    seen = [
        etcdctl(session, cluster, "snapshot", "status", str(path), keys_of=host).split(", ")[1:3]
        for path in (own, theirs)
    ]
    revision, keys = map(int, seen[0])
    assert revision > 1
    assert keys > 0
    assert seen[0] == seen[1]


def test_a_second_run_changes_nothing(installed: Installed) -> None:
    without = ["/var/lib/etcd", "/root/stick", f"/var/lib/bundlegen/{installed.cluster.name}/receipts"]
    for host in installed.hosts:
        before, processes = host.snapshot(without=without), _processes(host)
        run_bundle(host, installed.cluster.bundle(host.name))
        assert difference(before, host.snapshot(without=without)) == []
        assert _processes(host) == processes


def _processes(host: Host) -> list[str]:
    """Process numbers and start times of kubelet and etcd: another of either means a restart."""
    kubelet = host.exec(["systemctl", "show", "--property=MainPID,NRestarts", "kubelet"]).stdout.split()
    etcd = host.exec(["pgrep", "--exact", "etcd"]).stdout.split()
    assert len(etcd) == 1
    return [*kubelet, *etcd, host.exec(["ps", "-o", "lstart=", "-p", etcd[0]]).stdout.strip()]
