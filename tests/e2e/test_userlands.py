"""Hosts whose programs are others than Debian 12's: install, a second run, health, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.clusters import STICK, Cluster, run_bundle
from tests.e2e.rig import images
from tests.e2e.rig.binaries import Binaries
from tests.e2e.rig.commands import run
from tests.e2e.rig.host import Host, HostSpec
from tests.e2e.rig.rootfs import rootfs
from tests.e2e.rig.session import Session
from tests.e2e.rig.tree import difference
from tests.e2e.running import HEALTH


def uutils(target: Path) -> list[Path]:
    """Debian 13 with coreutils in Rust in the place of GNU's, as Ubuntu has them since 25.10."""
    target.mkdir()
    with images.extracted(target / "packages", "trixie", "rust-coreutils") as root:
        program = target / "usr/libexec/coreutils"
        program.parent.mkdir(parents=True)
        (root / "usr/bin/coreutils").rename(program)
        names = [path.name for path in (root / "usr/lib/cargo/bin/coreutils").iterdir()]
    names.remove("env")  # with which the rig itself starts what runs on a host
    _links(target / "usr/bin", "/usr/libexec/coreutils", names)
    return [target, rootfs("trixie")]


def busybox(target: Path) -> list[Path]:
    """Debian 12 with all that busybox has, where administrators put what is to be found first."""
    names = run([rootfs() / "usr/bin/busybox", "--list"]).stdout.split()
    _links(target / "usr/local/bin", "/usr/bin/busybox", names)
    return [target, rootfs()]


def bullseye(_: Path) -> list[Path]:
    """Debian 11: an older bash, systemd and coreutils, and a containerd for kubelets before 1.26."""
    return [rootfs("bullseye")]


def _links(folder: Path, program: str, names: list[str]) -> None:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).symlink_to(program)


DATA = "/var/lib/etcd"
OLDER = "v1.24.17"


@dataclass(frozen=True)
class Userland:
    host: Host
    cluster: Cluster


@pytest.fixture(scope="module", params=[uutils, busybox, bullseye])
def userland(
    request: pytest.FixtureRequest,
    session: Session,
    binaries: Binaries,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Userland]:
    make: Callable[[Path], list[Path]] = request.param
    binaries = Binaries(OLDER) if make is bullseye else binaries
    archives = (images.etcd_archive(binaries.etcd_image), images.pause_archive(binaries.pause_image))
    pki = {"encryptionAlgorithm": "ECDSA-P256"}
    cluster = Cluster.make(tmp_path_factory.mktemp("single"), "single", binaries.version, ["10.0.0.6"], pki=pki)
    programs = binaries.layer(session.folder / f"layer-{make.__name__}")
    # in memory, as the host itself is
    layers = make(session.folder / f"userland-{make.__name__}")
    hosts = session.boot([HostSpec("infra0", ("10.0.0.6/24",))], [programs, *layers], archives)
    yield Userland(hosts[0], cluster)
    session.discard(hosts)


def test_install_health_and_the_way_back(userland: Userland) -> None:
    host, bundle = userland.host, userland.cluster.bundle(0)
    without = [STICK, "/var/lib/bundlegen", DATA]
    before = host.snapshot(without=without, times=False)
    run_bundle(host, bundle, "preflight")
    done = run_bundle(host, bundle)
    print(done.stdout, done.stderr)
    assert "Already installed; nothing changed." in run_bundle(host, bundle).stdout
    said = host.exec([HEALTH, "--cluster", "--wait", "60"])
    print(said.stdout, said.stderr)
    assert said.stderr == ""
    host.exec(["sh", "-c", "bash /var/lib/bundlegen/single/bundle/install.sh snapshot --output /root/s.db"])
    host.exec(["rm", "/root/s.db"])
    run_bundle(host, bundle, "rollback")
    left = difference(before, host.snapshot(without=without, times=False))
    # etcd's data is moved aside, and never deleted
    assert [line for line in left if " -> folder " not in line and not line.startswith(f"{DATA}.bundlegen-")] == []


def test_less_than_is_needed_is_named(userland: Userland) -> None:
    """After the test above: where busybox alone is there, this is said before anything is done, not "damaged"."""
    host = userland.host
    script = "PATH=/usr/bin:/bin; ln -sf $(readlink -f $(command -v busybox))"
    for name in ("sha256sum", "stat"):
        host.exec(["/bin/bash", "-c", f"{script} $(command -v {name})"])
    refused = run_bundle(host, userland.cluster.bundle(0), expect=11)
    assert "these programs are those of busybox, which do less than is needed: sha256sum stat\n" in refused.stderr
