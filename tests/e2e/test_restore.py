"""A cluster begins anew from a snapshot: on the same hosts, on one of them, and on others."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.clusters import STICK, Cluster, Member, etcdctl, run_bundle
from tests.e2e.rig.host import Host
from tests.e2e.rig.writer import keys_of
from tests.e2e.running import HEALTH, Running

PREFLIGHT_FAILED = 11
SNAPSHOT = f"{STICK}/snap.db"
INSTALLED = "/var/lib/bundlegen/restored/bundle/install.sh"


@pytest.fixture(scope="module")
def running(run_three: Callable[[str], Running]) -> Running:
    return run_three("restored")


def ask(running: Running, *words: str, index: int = 0) -> str:
    host = list(running.hosts.values())[index]
    return etcdctl(
        running.session, running.cluster, *("--endpoints", running.cluster.endpoint(index), *words), keys_of=host
    )


def keys(running: Running, index: int = 0) -> dict[str, str]:
    lines = ask(running, "get", "", "--prefix", index=index).splitlines()
    return dict(zip(lines[::2], lines[1::2], strict=True))


def members(running: Running) -> dict[str, int]:
    told = json.loads(ask(running, "member", "list", "--write-out=json"))
    return {each["name"]: each["ID"] for each in told["members"]}


def revision(running: Running) -> int:
    found: int = json.loads(ask(running, "get", "x", "--write-out=json"))["header"]["revision"]
    return found


def snapshot(running: Running, folder: Path, name: str = "infra1") -> Path:
    """Taken on a host, and carried away."""
    host = running.hosts[name]
    host.exec(["bash", INSTALLED, "snapshot", "--output", "/root/s.db"])
    file = folder / "snap.db"
    file.write_bytes(host.path("/root/s.db").read_bytes())
    host.path("/root/s.db").unlink()
    return file


def carry(hosts: dict[str, Host], file: Path) -> None:
    for host in hosts.values():
        host.exec(["mkdir", "-p", STICK])
        host.put(file, SNAPSHOT)


def test_after_a_wrong_write(running: Running, tmp_path: Path) -> None:
    """All of the snapshot is there, and nothing after it; members are others; nobody of before comes in."""
    for number in range(50):
        ask(running, "put", f"key{number:02}", f"value {number}")
    before, old, reached = keys(running), members(running), revision(running)
    file = snapshot(running, tmp_path)
    ask(running, "del", "key0", "--prefix")
    ask(running, "put", "wrong", "yes")
    change = running.cluster.restore(file)
    carry(running.hosts, file)
    pids = running.pids()
    refused = running.run(change, "infra0", expect=PREFLIGHT_FAILED)
    assert "these members of before still run: infra0 (" in refused.stderr
    assert running.pids() == pids
    for name in ("infra0", "infra1"):
        assert "etcd is stopped here, and its data is where it was." in running.run(change, name, "stop").stdout
    refused = running.run(change, "infra0", expect=PREFLIGHT_FAILED)
    assert "these members of before still run: infra2 (" in refused.stderr
    running.run(change, "infra2", "stop")
    done = running.run(change, "infra0")
    assert "1 of 3 members are restored so far; etcd serves when 2 do." in done.stdout, done.stdout
    for name in ("infra1", "infra2"):
        done = running.run(change, name)
        assert f"{name} begins with the snapshot" in done.stdout
    for name, host in running.hosts.items():
        host.exec([HEALTH, "--cluster", "--wait", "60"])
        assert "Already installed; nothing changed." in running.run(change, name).stdout
    for index in range(3):
        assert keys(running, index) == before
    assert not set(members(running).values()) & set(old.values())
    assert revision(running) > reached + 900_000_000
    change.take_in(running.hosts)


def test_it_lives_on(running: Running) -> None:
    """After the test above: later changes are made for the restored cluster."""
    change = running.cluster.renew("infra2")
    assert "etcd shows the new certificates" in running.run(change, "infra2").stdout
    change = running.change(**{"snapshot-count": "9999"})
    for name in running.hosts:
        assert "healthy: all 3 members answer" in running.run(change, name).stdout


def test_the_data_of_before_harms_nobody(running: Running) -> None:
    """An old member that is started by mistake serves nobody, and the others go on."""
    host = running.hosts["infra2"]
    (aside,) = host.exec(["bash", "-c", "echo /var/lib/etcd/member.bundlegen-*"]).stdout.split()
    with running.writing() as writer:
        host.exec(["systemctl", "stop", "kubelet"])
        host.exec(["pkill", "-x", "etcd"])
        host.exec(["mv", "/var/lib/etcd/member", "/root/restored"])
        host.exec(["mv", aside, "/var/lib/etcd/member"])
        # the guard knows that this is another member's data
        assert host.exec(["systemctl", "start", "kubelet"], check=False).returncode != 0
        host.exec(["mv", "/var/lib/etcd/member", aside])
        host.exec(["mv", "/root/restored", "/var/lib/etcd/member"])
        host.exec(["systemctl", "reset-failed", "kubelet"], check=False)
        host.exec(["systemctl", "start", "kubelet"])
        host.exec([HEALTH, "--cluster", "--wait", "60"])
    assert writer.report.harm() == "", writer.report


def test_onto_one_host_after_all_data_is_lost(running: Running) -> None:
    """After the tests above. Two hosts are gone for good, and the third has lost its disk, but not its snapshots."""
    before = keys(running)
    said = running.hosts["infra0"].exec(["bash", INSTALLED, "snapshot"]).stdout
    (total,) = (line.split()[1] for line in said.splitlines() if line.startswith("SHA-256:"))
    for host in running.hosts.values():
        host.exec(["systemctl", "stop", "kubelet"])
        host.exec(["bash", "-c", "pkill -x etcd; while pgrep -x etcd; do sleep 0.2; done"])
        host.exec(["rm", "-rf", "/var/lib/etcd/member"])
    cluster = replace(running.cluster, hosts=running.cluster.hosts[:1])
    cluster.edit(hosts=[{"name": "infra0", "address": cluster.hosts[0].address}])
    change = cluster.restore(f"sha256:{total}")
    running.hosts["infra0"].exec(["rm", "-f", SNAPSHOT])
    run_bundle(running.hosts["infra0"], change.bundle("infra0"))
    one = replace(running, cluster=cluster, hosts={"infra0": running.hosts["infra0"]})
    keys_of(running.hosts["infra0"], running.credentials)
    assert keys(one) == before
    assert set(members(one)) == {"infra0"}
    running.hosts["infra0"].exec([HEALTH, "--cluster", "--wait", "60"])


def test_onto_five_fresh_hosts(running: Running, boot: Callable[[Cluster], list[Host]], tmp_path: Path) -> None:
    """After the test above: other machines, and more of them. What was left is switched off for good."""
    left = running.hosts["infra0"]
    one = replace(running, cluster=replace(running.cluster, hosts=running.cluster.hosts[:1]), hosts={"infra0": left})
    before, file = keys(one), snapshot(one, tmp_path, "infra0")
    cluster = replace(running.cluster, hosts=tuple(Member(f"new{n}", f"10.0.0.{20 + n}") for n in range(5)))
    cluster.edit(hosts=[{"name": each.name, "address": each.address} for each in cluster.hosts])
    change = cluster.restore(file)
    hosts = {host.name: host for host in boot(cluster)}
    carry(hosts, file)
    told = (change.out / "CHANGE.md").read_text()
    assert f"bash /var/lib/bundlegen/{cluster.name}/bundle/install.sh uninstall" in told
    for name, host in hosts.items():
        run_bundle(host, change.bundle(name))
    for host in hosts.values():
        host.exec([HEALTH, "--cluster", "--wait", "60"])
    five = replace(running, cluster=cluster, hosts=hosts)
    assert [keys(five, index) for index in range(5)] == [before] * 5
    assert set(members(five)) == set(hosts)
