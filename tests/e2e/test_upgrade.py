"""etcd 3.4 becomes 3.5, and with --long 3.5.16 the newest in Debian, host by host, while a client writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests import figures
from tests.e2e.clusters import Cluster, etcdctl, run_bundle
from tests.e2e.rig import images
from tests.e2e.rig.binaries import Binaries
from tests.e2e.rig.host import Host, HostSpec
from tests.e2e.rig.session import Session
from tests.e2e.rig.tree import difference
from tests.e2e.running import HEALTH, Running, start

# kubeadm 1.31 and later probe what etcd 3.4 has not; so these hosts have the stand-ins of an earlier one.
VERSION = "v1.24.17"
PREFLIGHT_FAILED = 11


@dataclass(frozen=True)
class Step:
    """From one etcd to another: their versions, the tags of their images, and the suites that they come from."""

    old: str
    new: str
    tags: tuple[str, str]
    suites: tuple[str, str]


# No image of etcd 3.4 has a name that a specification may ask for today: its name says 3.5.6.
MINOR = Step("3.4.23", "3.5.16", ("3.5.6-0", "3.5.16-0"), (images.OLD_ETCD_SUITE, "trixie"))
PATCH = Step("3.5.16", "3.5.30", ("3.5.16-0", "3.5.30-0"), ("trixie", "sid"))


def _image(tag: str) -> str:
    return f"{Binaries(VERSION).etcd_image.rpartition(':')[0]}:{tag}"


@pytest.fixture(scope="module", params=figures.of([MINOR], [MINOR, PATCH]), ids=lambda step: f"{step.old}-{step.new}")
def step(request: pytest.FixtureRequest) -> Step:
    chosen: Step = request.param
    return chosen


@pytest.fixture(scope="module")
def running(
    step: Step, session: Session, layers: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    binaries = Binaries(VERSION)
    layer = binaries.layer(session.folder / f"layer-of-1.24-{step.old}")
    archives = (images.etcd_archive(_image(step.tags[0]), step.suites[0]), images.pause_archive(binaries.pause_image))
    booted: list[Host] = []

    def boot_hosts(cluster: Cluster) -> list[Host]:
        specs = [HostSpec(host.name, (f"{host.address}/24",)) for host in cluster.hosts]
        booted.extend(session.boot(specs, (layer, layers[-1]), archives))
        return booted

    pki = {"encryptionAlgorithm": "ECDSA-P256"}
    cluster = Cluster.make(
        tmp_path_factory.mktemp("upgraded"), "upgraded", VERSION, pki=pki, etcd={"imageTag": step.tags[0]}
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


def _give(host: Host, step: Step) -> None:
    inside = host.put(images.etcd_archive(_image(step.tags[1]), step.suites[1]), "/root/etcd.tar")
    host.exec(["ctr", "--namespace", "k8s.io", "images", "import", inside])


def test_host_by_host(running: Running, step: Step) -> None:
    """The leader last. A host without the image is found before anything stops; one goes back half-way."""
    change = running.cluster.change(etcd={"imageTag": step.tags[1]})
    assert change.change_name == "2-upgrade"
    leader = running.leader()
    first, second = sorted(set(running.hosts) - {leader})
    _give(running.hosts[first], step)
    before, pids = running.snapshot(second, times=True), running.pids()[second]
    with running.writing() as writer:
        done = running.run(change, first)
        assert (
            f"etcd {step.new} serves now, and {step.old} did before; the cluster is at {step.old.rpartition('.')[0]}.0"
            in done.stdout
        )
        refused = running.run(change, second, expect=PREFLIGHT_FAILED)
        assert f"the runtime does not have {_image(step.tags[1])}, which the etcd Pod needs" in refused.stderr
        assert difference(before, running.snapshot(second, times=True)) == []
        assert running.pids()[second] == pids
        running.run(change, first, "rollback")
        assert _versions(running) == [step.old] * 3
        running.run(change, first)
        for name in (second, leader):
            _give(running.hosts[name], step)
        told = running.run(change, leader, "preflight")
        assert f"this member leads, and these have not been upgraded yet: {second}" in told.stdout + told.stderr
        running.run(change, second)
        done = running.run(change, leader)
        assert f"etcd {step.new} serves now" in done.stdout
    print(f"upgrade of three: {writer.report}")
    assert writer.report.harm() == "", writer.report
    assert _versions(running) == [step.new] * 3
    for host in running.hosts.values():
        host.exec([HEALTH, "--cluster", "--wait", "60"])


def test_the_way_back(running: Running, step: Step) -> None:
    """After the test above: none from a minor, for the cluster has gone up, and says so; a patch can be taken back."""
    change = replace(running.cluster, change_name="2-upgrade")
    if step is PATCH:
        with running.writing() as writer:
            running.run(change, "infra1", "rollback")
            assert sorted(_versions(running)) == [step.old, step.new, step.new]
            running.run(change, "infra1")
        assert writer.report.lost == [], writer.report
        return
    before, pids = running.snapshot("infra1", times=True), running.pids()
    refused = run_bundle(running.hosts["infra1"], change.bundle("infra1"), "rollback", expect=PREFLIGHT_FAILED)
    told = f"the cluster has gone up to etcd 3.5.0, and etcd {step.old}, which would come back here"
    assert told in refused.stderr
    assert difference(before, running.snapshot("infra1", times=True)) == []
    assert running.pids() == pids
    again = run_bundle(running.hosts["infra1"], change.bundle("infra1"))
    assert "Already installed; nothing changed." in again.stdout
