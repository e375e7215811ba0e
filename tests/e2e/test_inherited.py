"""Hosts on which version 0.1 has installed a cluster, and its store: this version goes on with both."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.e2e.clusters import STICK, Cluster, bundlegen, etcdctl, run_bundle
from tests.e2e.printed import printed, run_as_printed
from tests.e2e.rig.host import Host
from tests.e2e.rig.session import Session
from tests.e2e.rig.tree import Tree, difference
from tests.e2e.rig.writer import Writer, keys_of
from tests.older import VERSION, Older

HEALTH = "/usr/local/sbin/bundlegen-health"
FLAG = "--snapshot-count=20000"
KEYS = 20


@dataclass(frozen=True)
class Inherited:
    """A cluster of three as version 0.1 left it, with keys in it, and this version's first change of it."""

    first: Cluster
    change: Cluster
    hosts: dict[str, Host]
    session: Session
    credentials: Path

    def flags(self, name: str) -> list[str]:
        host = self.hosts[name]
        (etcd,) = host.exec(["pgrep", "--exact", "etcd"]).stdout.split()
        return host.exec(["cat", f"/proc/{etcd}/cmdline"]).stdout.split("\0")

    def keys(self) -> str:
        words = (f"--endpoints={self.first.endpoints}", "get", "--prefix", "kept/")
        return etcdctl(self.session, self.first, *words, keys_of=self.hosts["infra1"])

    def writing(self) -> Writer:
        return Writer(self.session, self.first.endpoints.split(","), self.credentials)

    def snapshot(self, name: str, *, times: bool) -> Tree:
        """All of the host but etcd's data, receipts and the stick."""
        without = [STICK, "/var/lib/etcd", f"/var/lib/bundlegen/{self.first.name}/receipts"]
        return self.hosts[name].snapshot(without=without, times=times)


@pytest.fixture(scope="module")
def inherited(
    make_cluster: Callable[..., Cluster],
    boot: Callable[..., list[Host]],
    session: Session,
    tmp_path_factory: pytest.TempPathFactory,
) -> Inherited:
    older = Older(tmp_path_factory.mktemp("older"))
    first = make_cluster("inherited", pki={"encryptionAlgorithm": "ECDSA-P256"}, built_by=older.run)
    assert json.loads((first.out / "change.json").read_text())["versions"]["bundlegen"] == VERSION
    hosts = {host.name: host for host in boot(first)}
    for name, host in hosts.items():
        run_bundle(host, first.bundle(name))
    for host in hosts.values():
        host.exec([HEALTH, "--cluster", "--wait", "60"])
    for number in range(KEYS):
        words = (f"--endpoints={first.endpoints}", "put", f"kept/{number:02}", f"value {number}")
        etcdctl(session, first, *words, keys_of=hosts["infra0"])
    # The first build of this version writes down what version 0.1 built from.
    bundlegen(["build", "cluster.yaml"], first.folder)
    change = first.change(etcd={"extraArgs": {"snapshot-count": "20000"}})
    assert change.change_name == "2-configure"
    return Inherited(first, change, hosts, session, keys_of(hosts["infra0"], tmp_path_factory.mktemp("client")))


def test_the_way_back_as_printed(inherited: Inherited) -> None:
    """Where the change ran, everything is as version 0.1 had left it; where it did not, nothing is touched."""
    change = inherited.change
    before = {name: inherited.snapshot(name, times=name == "infra2") for name in inherited.hosts}
    for name in ("infra1", "infra0"):
        run_bundle(inherited.hosts[name], change.bundle(name))
        assert FLAG in inherited.flags(name)
    inherited.hosts["infra2"].put(change.bundle("infra2"), f"{STICK}/")
    for command in printed(change):
        if command.text.endswith("-- rollback"):
            if command.host == "infra2":
                says = "…\nNothing to roll back: there is nothing on this host that this bundle did."
                command = replace(command, says=says)
            run_as_printed(command, change.out, inherited.hosts)
    for name, tree in before.items():
        assert difference(tree, inherited.snapshot(name, times=name == "infra2")) == []
        assert FLAG not in inherited.flags(name)
    for name, host in inherited.hosts.items():
        host.exec([HEALTH, "--cluster", "--wait", "60"])
        # and version 0.1 finds its own work in order
        again = run_bundle(host, inherited.first.bundle(name))
        assert "Already installed; nothing changed." in again.stdout
    assert inherited.keys().count("value ") == KEYS


def test_it_is_configured(inherited: Inherited) -> None:
    keys = inherited.keys()
    with inherited.writing() as writer:
        for name in ("infra2", "infra0", "infra1"):
            run_bundle(inherited.hosts[name], inherited.change.bundle(name))
    assert writer.report.harm() == "", writer.report
    assert keys.count("value ") == KEYS
    assert inherited.keys() == keys
    for name, host in inherited.hosts.items():
        assert FLAG in inherited.flags(name)
        host.exec([HEALTH, "--cluster"])
        before = inherited.snapshot(name, times=True)
        again = run_bundle(host, inherited.change.bundle(name))
        assert "Already installed; nothing changed." in again.stdout
        assert difference(before, inherited.snapshot(name, times=True)) == []


def test_its_receipts_are_taken_in(inherited: Inherited, tmp_path: Path) -> None:
    """Those of version 0.1 and of this one lie side by side on each host."""
    for name, host in inherited.hosts.items():
        for path in host.path(f"/var/lib/bundlegen/{inherited.first.name}/receipts").glob("*.json"):
            change = tmp_path / json.loads(path.read_text())["change"]
            change.mkdir(exist_ok=True)
            (change / f"{name}-{path.name}").write_bytes(path.read_bytes())
    for cluster in (inherited.first, inherited.change):
        receipts = tmp_path / cluster.change_name
        done = bundlegen(["reconcile", str(cluster.out), str(receipts), "--pki", "pki"], cluster.folder)
        assert f"3 of 3 hosts run the change {cluster.change_name} of inherited." in done.stdout
