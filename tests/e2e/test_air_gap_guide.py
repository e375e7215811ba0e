"""docs/air-gap.md, done as it is written: every command in it runs here, from fetching images to a healthy cluster.

What it calls a machine with a network is this one with a registry of its own, in the test's network namespace; skopeo
is told to find registry.k8s.io there, which has what k8s.gcr.io had. The one-file program is this checkout under that
name; that the real one does the same is the packaging tests' business.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bundlegen import __version__
from tests.building import BUNDLEGEN
from tests.e2e.clusters import Cluster, Member, carry
from tests.e2e.conftest import BootHosts
from tests.e2e.rig import images, machine
from tests.e2e.rig.binaries import Binaries
from tests.e2e.rig.session import Session

GUIDE = Path(__file__).parents[2] / "docs" / "air-gap.md"
ONE_FILE = f"bundlegen-{__version__}-linux-x86_64"
UPSTREAM, REGISTRY = "registry.k8s.io", "127.0.0.1:5000"
WRITTEN_FOR = "v1.31.4"


def blocks(section: str) -> list[str]:
    """The indented or fenced code of the section of that number, without its fences."""
    text = GUIDE.read_text()
    found = re.search(rf"^## {section}\..*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"docs/air-gap.md has no section {section}"
    return re.findall(r"^```[a-z]*\n(.*?)^```$", found[0], re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the guide's reader works, with the one-file program in it."""
    made = tmp_path_factory.mktemp("guide")
    given = f'exec {shlex.join(BUNDLEGEN)} "$@"'
    root = shlex.quote(str(GUIDE.parents[1]))
    for name in (ONE_FILE, "bundlegen"):
        (made / name).write_text(f"#!/bin/sh\nexport PYTHONPATH={root}\n{given}\n")
        (made / name).chmod(0o755)
    return made


@pytest.fixture(scope="module")
def connected(session: Session, archives: tuple[Path, ...], folder: Path, binaries: Binaries) -> Iterator[None]:
    """A registry with the images of this Kubernetes version, to which skopeo goes for registry.k8s.io."""
    (folder / "registry.yml").write_text(
        yaml.safe_dump(
            {
                "version": 0.1,
                "log": {"level": "error"},
                "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
                "http": {"addr": REGISTRY},
            }
        )
    )
    settings = folder / ".config/containers/registries.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text(
        f'[[registry]]\nlocation = "{UPSTREAM}"\n[[registry.mirror]]\nlocation = "{REGISTRY}"\ninsecure = true\n'
    )
    words = session.entering([images.registry_program(), "serve", str(folder / "registry.yml")])
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as registry:
        try:
            for archive, image in zip(archives, (binaries.etcd_image, binaries.pause_image), strict=True):
                _push(session, archive, f"{REGISTRY}/{image.partition('/')[2]}")
            yield
        finally:
            registry.kill()


def _push(session: Session, archive: Path, image: str) -> None:
    for attempt in range(20):
        words = ["skopeo", "copy", "--dest-tls-verify=false", f"docker-archive:{archive}", f"docker://{image}"]
        done = session.run(words, check=False)
        if done.returncode == 0:
            return
        assert "refused" in done.stderr, done.stderr
        time.sleep(0.1 * attempt)
    raise AssertionError("the registry does not answer")


def shell(session: Session, folder: Path, script: str) -> str:
    """Run the script in the folder as its reader would, in the network that has nothing but the registry."""
    environment = {"HOME": str(folder), "PATH": f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    return session.run(["sh", "-euc", f"cd {shlex.quote(str(folder))}\n{script}"], env=environment).stdout


@pytest.mark.usefixtures("connected")
def test_every_step_of_the_guide(session: Session, folder: Path, boot: BootHosts, kubernetes_version: str) -> None:
    first, printed = blocks("1")[:2]
    asking = shell(session, folder, first.replace("bundlegen images cluster.yaml", ""))
    assert asking == ""
    for_version(folder / "cluster.yaml", kubernetes_version)
    fetching = shell(session, folder, "bundlegen images cluster.yaml")
    if kubernetes_version == WRITTEN_FOR:
        assert fetching == printed
    shell(session, folder, fetching)

    shell(session, folder, f"sha256sum {ONE_FILE} > SHA256SUMS")
    (unpacking,) = blocks("2")
    assert shell(session, folder, unpacking) == f"{ONE_FILE}: OK\nbundlegen {__version__}\n"

    addition, building = blocks("3")[:2]
    with (folder / "cluster.yaml").open("a") as file:
        file.write(addition)
    assert shell(session, folder, building).endswith("out/etcd/create: good\n")

    spec = yaml.safe_load((folder / "cluster.yaml").read_text())
    members = tuple(Member(host["name"], host["address"]) for host in spec["hosts"])
    cluster = Cluster(spec["name"], folder, members, 2379)
    (installing, *_) = blocks("4")
    hosts = boot(cluster, with_images=False)
    for host in hosts:
        stick = carry(host, cluster.bundle(host.name))
        for line in installing.replace("infra0", host.name).splitlines():
            host.exec(["sh", "-c", f"cd {shlex.quote(str(Path(stick).parent))} && {line}"], timeout=400)
    for host in hosts:
        host.exec(["bundlegen-health", "--cluster", "--wait", "60"])


def for_version(spec: Path, version: str) -> None:
    """The specification, for the Kubernetes version whose programs the hosts have, on this machine's cgroups."""
    text = re.sub(r"^kubernetesVersion: \S+$", f"kubernetesVersion: {version}", spec.read_text(), flags=re.MULTILINE)
    if int(version.split(".")[1]) >= 35 and not machine.cgroups_are_v2():
        text += "kubelet: {extraConfig: {failCgroupV1: false}}\n"
    spec.write_text(text)
