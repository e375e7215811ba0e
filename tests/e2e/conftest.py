"""Fixtures of the end-to-end tests: hosts, bundles, and what plays Kubernetes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests import figures
from tests.e2e.clusters import Cluster
from tests.e2e.rig import binaries as rig_binaries
from tests.e2e.rig import images, machine
from tests.e2e.rig.binaries import Binaries
from tests.e2e.rig.host import Host, HostSpec
from tests.e2e.rig.rootfs import rootfs
from tests.e2e.rig.session import Session
from tests.e2e.running import Running, start

DEFAULT_VERSION = "v1.31.4"

# Lives of clusters with every run struck down, which take the better part of an hour: before a release.
collect_ignore = [] if figures.long else ["test_life.py", "test_life_ca.py"]

BootHosts = Callable[..., list[Host]]


@pytest.fixture(scope="session")
def session() -> Iterator[Session]:
    """Where hosts are booted; skips if this machine cannot."""
    if reason := machine.reason_against():
        pytest.skip(reason)
    with Session() as opened:
        yield opened


@pytest.fixture(scope="session")
def binaries() -> Binaries:
    """The stand-ins, or the real kubelet and kubeadm that the environment names."""
    return rig_binaries.from_environment(DEFAULT_VERSION)


@pytest.fixture(scope="session")
def kubernetes_version(binaries: Binaries) -> str:
    """The version every specification here asks for."""
    return binaries.version


@pytest.fixture(scope="session")
def layers(session: Session, binaries: Binaries) -> tuple[Path, ...]:
    """The file systems a host is made of."""
    return (binaries.layer(session.folder / "layer"), rootfs())


@pytest.fixture(scope="session")
def archives(binaries: Binaries) -> tuple[Path, ...]:
    """The images this Kubernetes version asks for, as docker-archives."""
    return (images.etcd_archive(binaries.etcd_image), images.pause_archive(binaries.pause_image))


@pytest.fixture(scope="module")
def boot(session: Session, layers: tuple[Path, ...], archives: tuple[Path, ...]) -> Iterator[BootHosts]:
    """Boot a cluster's hosts; they last until the module's end, or until the next call of this."""
    booted: list[Host] = []

    def boot_hosts(cluster: Cluster, *, with_images: bool = True, over: Sequence[Path] = ()) -> list[Host]:
        session.discard(booted)
        booted.clear()
        prefix = 64 if ":" in cluster.hosts[0].address else 24
        specs = [HostSpec(host.name, (f"{host.address}/{prefix}",)) for host in cluster.hosts]
        booted.extend(session.boot(specs, (*over, *layers), archives if with_images else ()))
        return list(booted)

    yield boot_hosts
    session.discard(booted)


@pytest.fixture(scope="session")
def make_cluster(tmp_path_factory: pytest.TempPathFactory, kubernetes_version: str) -> Callable[..., Cluster]:
    """Write a specification and build its bundles; keyword arguments as in clusters.make."""

    def make(name: str, **changes: Any) -> Cluster:
        return Cluster.make(tmp_path_factory.mktemp(name), name, kubernetes_version, **changes)

    return make


@pytest.fixture(scope="session")
def guide(make_cluster: Callable[..., Cluster]) -> Cluster:
    """The guide's three hosts with all defaults."""
    return make_cluster("guide")


@pytest.fixture(scope="session")
def single(make_cluster: Callable[..., Cluster]) -> Cluster:
    """One host, with keys that take no time: for tests that depend on neither."""
    return make_cluster("single", addresses=["10.0.0.6"], pki={"encryptionAlgorithm": "ECDSA-P256"})


@pytest.fixture(scope="module")
def module_host(single: Cluster, boot: BootHosts) -> Host:
    return boot(single)[0]


@pytest.fixture(scope="module")
def run_three(
    make_cluster: Callable[..., Cluster], boot: BootHosts, session: Session, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Running]:
    """Makes a cluster of three of this name, with keys that take no time, and has it run since its first day."""
    return lambda name: start(
        make_cluster(name, pki={"encryptionAlgorithm": "ECDSA-P256"}), boot, session, tmp_path_factory.mktemp("client")
    )


@pytest.fixture
def host(module_host: Host) -> Iterator[Host]:
    """The one host, as new for every test; spoiled by it."""
    yield module_host
    module_host.reset()
