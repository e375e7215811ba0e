"""One member becomes three, one after the other, while a client writes without a pause."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clusters import GUIDE_ADDRESSES, STICK, Cluster, Member, bundlegen, etcdctl, run_bundle
from tests.e2e.rig.host import Host, HostSpec
from tests.e2e.rig.session import Session
from tests.e2e.rig.tree import difference
from tests.e2e.rig.writer import Writer, keys_of
from tests.e2e.running import HEALTH

PREFLIGHT_FAILED = 11
STATE = "/var/lib/bundlegen/grown"


@dataclass
class Growing:
    cluster: Cluster
    hosts: dict[str, Host]
    session: Session
    credentials: Path

    def run(self, name: str, *words: str, expect: int | None = 0, **options: Any) -> Any:
        return run_bundle(self.hosts[name], self.cluster.bundle(name), *words, expect=expect, **options)

    def members(self) -> dict[str, bool]:
        """By name, as etcd lists them: is it a learner?"""
        told = etcdctl(
            self.session,
            self.cluster,
            *("--endpoints", self.cluster.endpoint(0), "member", "list", "--write-out=json"),
            keys_of=self.hosts["infra0"],
        )
        return {
            each.get("name", each["peerURLs"][0]): each.get("isLearner", False) for each in json.loads(told)["members"]
        }

    def writing(self) -> Writer:
        return Writer(self.session, [self.cluster.endpoint(0)], self.credentials)


@pytest.fixture(scope="module")
def growing(
    session: Session,
    layers: tuple[Path, ...],
    archives: tuple[Path, ...],
    kubernetes_version: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Growing]:
    names = [f"infra{number}" for number in range(3)]
    booted = session.boot(
        [HostSpec(name, (f"{address}/24",)) for name, address in zip(names, GUIDE_ADDRESSES, strict=True)],
        layers,
        archives,
    )
    hosts = {host.name: host for host in booted}
    pki = {"encryptionAlgorithm": "ECDSA-P256"}
    folder = tmp_path_factory.mktemp("grown")
    first = Cluster.make(folder, "grown", kubernetes_version, GUIDE_ADDRESSES[:1], pki=pki)
    run_bundle(hosts["infra0"], first.bundle(0))
    everybody = [{"name": name, "address": address} for name, address in zip(names, GUIDE_ADDRESSES, strict=True)]
    changed = first.change(hosts=everybody)
    members = tuple(Member(name, address) for name, address in zip(names, GUIDE_ADDRESSES, strict=True))
    yield Growing(
        replace(changed, hosts=members), hosts, session, keys_of(hosts["infra0"], tmp_path_factory.mktemp("client"))
    )
    session.discard(booted)


def test_one_becomes_three(growing: Growing) -> None:
    """Out of order it is refused; taken back in between, nothing is left over; killed, the same bundle goes on."""
    assert growing.cluster.change_name == "2-add"
    bundlegen(["verify", str(growing.cluster.out)], growing.cluster.folder)
    with growing.writing() as writer:
        early = growing.run("infra2", expect=PREFLIGHT_FAILED)
        assert "Run infra1.run on its host first: it is added before this one." in early.stderr
        before = growing.hosts["infra1"].snapshot(without=[STICK, STATE, "/var/lib/etcd"], times=False)
        done = growing.run("infra1")
        assert "infra1 is in the member list, as a learner" in done.stdout
        assert "infra1 has a vote" in done.stdout
        assert growing.members() == {"infra0": False, "infra1": False}
        told = growing.hosts["infra0"].exec([HEALTH])
        assert "members that this bundle does not know: infra1 (https://10.0.0.7:2380)" in told.stdout
        growing.run("infra1", "rollback")
        assert growing.members() == {"infra0": False}
        after = growing.hosts["infra1"].snapshot(without=[STICK, STATE, "/var/lib/etcd"], times=False)
        left = [line for line in difference(before, after) if " -> folder " not in line]
        assert [line for line in left if not line.startswith("/var/lib/etcd.bundlegen-")] == []
        growing.run("infra1")
        _killed_at(growing, "infra2", "is in the member list")
        again = growing.run("infra2")
        assert "going on from there" in again.stdout
        growing.run("infra0")
    print(f"one becomes three: {writer.report}")
    assert writer.report.harm() == "", writer.report
    assert growing.members() == {"infra0": False, "infra1": False, "infra2": False}
    for name, host in growing.hosts.items():
        host.exec([HEALTH, "--cluster", "--wait", "60"])
        assert "Already installed; nothing changed." in growing.run(name).stdout


def _killed_at(growing: Growing, name: str, words: str) -> None:
    """The run of this host's bundle is killed as soon as it says so."""
    host = growing.hosts[name]
    inside = host.put(growing.cluster.bundle(name), f"{STICK}/")
    script = (
        f"sh {inside} > /root/said 2>&1 & until grep -q '{words}' /root/said; do sleep 0.05; done; "
        "pkill -9 -f install.sh; wait"
    )
    host.exec(["bash", "-c", script], check=False, timeout=200)
