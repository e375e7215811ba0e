"""Hosts with an empty image store and bundles on a stick: all they have is that, and a code where keys are sealed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.clusters import Cluster, bundlegen, carry, run_bundle
from tests.e2e.rig.host import Host

USAGE = 2
PREFLIGHT_FAILED = 11
CODE_FILE = "/root/code"


@pytest.fixture(scope="module")
def carried(archives: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The images as a specification names them."""
    folder = tmp_path_factory.mktemp("images")
    for archive in archives:
        (folder / f"{archive.parent.name}.tar").symlink_to(archive)
    return f"{folder}/*.tar"


@pytest.fixture(scope="module")
def cluster(make_cluster: Callable[..., Cluster], carried: str) -> Cluster:
    return make_cluster("airgap", images=[carried], build_options=["--seal"])


@pytest.fixture(scope="module")
def hosts(cluster: Cluster, boot: Callable[..., list[Host]]) -> list[Host]:
    return boot(cluster, with_images=False)


@pytest.fixture(scope="module")
def codes(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    listed = tmp_path_factory.mktemp("codes") / "codes.txt"
    bundlegen(["unlock-codes", cluster.name, "--file", str(listed)], cluster.folder)
    return dict(line.split() for line in listed.read_text().splitlines()[1:])


def test_a_wrong_code_changes_nothing(cluster: Cluster, hosts: list[Host], codes: dict[str, str]) -> None:
    done = run_bundle(hosts[0], cluster.bundle(0), "--unlock-file", _code(hosts[0], codes["infra1"]), expect=USAGE)
    assert "that is not the unlock code of infra0" in done.stderr
    assert not hosts[0].path("/etc/kubernetes/pki").exists()


def test_images_and_keys_come_from_the_sealed_bundles_alone(
    cluster: Cluster, hosts: list[Host], codes: dict[str, str]
) -> None:
    for host in hosts:
        assert _images(host) == []
    for host in hosts:
        run_bundle(host, cluster.bundle(host.name), "--unlock-file", _code(host, codes[host.name]))
    for host in hosts:
        assert any("/etcd:" in image for image in _images(host))
        assert any("/pause:" in image for image in _images(host))
        host.exec(["/usr/local/sbin/bundlegen-health", "--cluster", "--wait", "60"])
        left = host.exec(
            ["sh", "-c", "ls -d /run/bundlegen-unpack.* /dev/shm/bundlegen-unpack.* /tmp/bundlegen-*"], check=False
        )
        assert left.stdout == ""


def test_running_it_again_needs_no_code(cluster: Cluster, hosts: list[Host]) -> None:
    assert "Already installed; nothing changed" in run_bundle(hosts[2], cluster.bundle(2)).stdout


def test_images_come_from_one_file_beside_the_bundles(
    make_cluster: Callable[..., Cluster], carried: str, boot: Callable[..., list[Host]]
) -> None:
    shared = make_cluster("shared", images=[carried], build_options=["--shared-images"])
    file = shared.out / "images.tar.gz"
    assert all(shared.bundle(member.name).stat().st_size < 200_000 for member in shared.hosts)
    hosts = boot(shared, with_images=False)
    done = run_bundle(hosts[0], shared.bundle(0), expect=PREFLIGHT_FAILED)
    assert "images.tar.gz is missing, which holds the images of this bundle" in done.stderr
    assert not hosts[0].path("/etc/kubernetes/pki").exists()
    for host in hosts:
        carry(host, file)
        run_bundle(host, shared.bundle(host.name))
    for host in hosts:
        assert any("/etcd:" in image for image in _images(host))
        host.exec(["/usr/local/sbin/bundlegen-health", "--cluster", "--wait", "60"])


def _code(host: Host, code: str) -> str:
    host.path(CODE_FILE).write_text(f"{code}\n")
    return CODE_FILE


def _images(host: Host) -> list[str]:
    listed = host.exec(["ctr", "-n", "k8s.io", "images", "list", "-q"]).stdout.split()
    return [name for name in listed if not name.startswith("sha256:")]
