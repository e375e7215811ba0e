"""etcd 3.4 becomes etcd 3.5 on a cluster that runs, host by host, while a client writes without a pause."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.clusters import Cluster, etcdctl, run_bundle
from tests.e2e.rig import images
from tests.e2e.rig.binaries import Binaries
from tests.e2e.rig.host import Host, HostSpec
from tests.e2e.rig.session import Session
from tests.e2e.rig.tree import difference
from tests.e2e.running import HEALTH, Running, start

# kubeadm 1.31 and later probe what etcd 3.4 has not; so these hosts have the stand-ins of an earlier one. No image of
# etcd 3.4 has a name that a specification may ask for today: its name says 3.5.6.
VERSION, OLD_TAG, NEW_TAG = "v1.24.17", "3.5.6-0", "3.5.16-0"
OLD, NEW = "3.4.23", "3.5.16"
PREFLIGHT_FAILED = 11


def _image(tag: str) -> str:
    return f"{Binaries(VERSION).etcd_image.rpartition(':')[0]}:{tag}"


@pytest.fixture(scope="module")
def running(session: Session, layers: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    binaries = Binaries(VERSION)
    layer = binaries.layer(session.folder / "layer-of-1.24")
    archives = (images.etcd_archive(_image(OLD_TAG), images.OLD_ETCD_SUITE), images.pause_archive(binaries.pause_image))
    booted: list[Host] = []

    def boot_hosts(cluster: Cluster) -> list[Host]:
        specs = [HostSpec(host.name, (f"{host.address}/24",)) for host in cluster.hosts]
        booted.extend(session.boot(specs, (layer, layers[-1]), archives))
        return booted

    pki = {"encryptionAlgorithm": "ECDSA-P256"}
    cluster = Cluster.make(
        tmp_path_factory.mktemp("upgraded"), "upgraded", VERSION, pki=pki, etcd={"imageTag": OLD_TAG}
    )
    yield start(cluster, boot_hosts, session, tmp_path_factory.mktemp("client"))
    session.discard(booted)


def _versions(running: Running) -> list[str]:
    """What each member says that it runs, in the order of the hosts."""
    told = etcdctl(
        running.session,
        running.cluster,
        *("--endpoints", running.cluster.endpoints, "endpoint", "status", "--write-out=json"),
        keys_of=running.hosts["infra0"],
    )
    return [each["Status"]["version"] for each in json.loads(told)]


def _give(host: Host) -> None:
    inside = host.put(images.etcd_archive(_image(NEW_TAG)), "/root/etcd.tar")
    host.exec(["ctr", "--namespace", "k8s.io", "images", "import", inside])


def test_from_3_4_to_3_5(running: Running) -> None:
    """The leader last. A host without the image is found before anything stops; one goes back half-way."""
    change = running.cluster.change(etcd={"imageTag": NEW_TAG})
    assert change.change_name == "2-upgrade"
    leader = running.leader()
    first, second = sorted(set(running.hosts) - {leader})
    _give(running.hosts[first])
    before, pids = running.snapshot(second, times=True), running.pids()[second]
    with running.writing() as writer:
        done = running.run(change, first)
        assert f"etcd {NEW} serves now, and {OLD} did before; the cluster is at 3.4.0" in done.stdout
        refused = running.run(change, second, expect=PREFLIGHT_FAILED)
        assert f"the runtime does not have {_image(NEW_TAG)}, which the etcd Pod needs" in refused.stderr
        assert difference(before, running.snapshot(second, times=True)) == []
        assert running.pids()[second] == pids
        running.run(change, first, "rollback")
        assert _versions(running) == [OLD] * 3
        running.run(change, first)
        for name in (second, leader):
            _give(running.hosts[name])
        told = running.run(change, leader, "preflight")
        assert f"this member leads, and these have not been upgraded yet: {second}" in told.stdout + told.stderr
        running.run(change, second)
        done = running.run(change, leader)
        assert f"etcd {NEW} serves now" in done.stdout
    print(f"upgrade of three: {writer.report}")
    assert writer.report.harm() == "", writer.report
    assert _versions(running) == [NEW] * 3
    for host in running.hosts.values():
        host.exec([HEALTH, "--cluster", "--wait", "60"])


def test_there_is_no_way_back_any_more(running: Running) -> None:
    """After the test above: the cluster has gone up, and says so; nothing is touched."""
    change = replace(running.cluster, change_name="2-upgrade")
    before, pids = running.snapshot("infra1", times=True), running.pids()
    refused = run_bundle(running.hosts["infra1"], change.bundle("infra1"), "rollback", expect=PREFLIGHT_FAILED)
    assert f"the cluster has gone up to etcd 3.5.0, and etcd {OLD}, which would come back here" in refused.stderr
    assert difference(before, running.snapshot("infra1", times=True)) == []
    assert running.pids() == pids
    again = run_bundle(running.hosts["infra1"], change.bundle("infra1"))
    assert "Already installed; nothing changed." in again.stdout
