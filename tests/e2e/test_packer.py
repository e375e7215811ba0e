"""A golden image by the real Packer: baked over SSH on one host, which is then two clones and, with them, a cluster."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import needs
from tests.e2e.clusters import Cluster, bundlegen, carry, etcdctl, run_bundle
from tests.e2e.rig.commands import SYSTEM_PATH
from tests.e2e.rig.host import RESTLESS, Host, HostSpec
from tests.e2e.rig.session import Session
from tests.e2e.rig.tree import Tree, difference, take

BUILDER = HostSpec("builder", ("10.0.0.20/24",))
BUILDER_ADDRESS = "10.0.0.20"
ADMIN = "admin"
PLANTED = "/etc/forgotten.key"
FIRSTBOOT_FOLDER = "/var/lib/bundlegen-firstboot"
UPLOADS = "/var/tmp"

# What makes one host of the rig another: it stands for DHCP, and is not the image's.
OF_THE_RIG = ("/etc/hostname", "/etc/hosts", "/etc/testhost")


@pytest.fixture(scope="module")
def cluster(
    make_cluster: Callable[..., Cluster], archives: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory
) -> Cluster:
    """A cluster with base.run and the templates; its images are in a file that is baked in, and not in the bundles."""
    needs.program("packer")
    folder = tmp_path_factory.mktemp("images")
    for archive in archives:
        (folder / f"{archive.parent.name}.tar").symlink_to(archive)
    made = make_cluster("golden", images=[f"{folder}/*.tar"], build_options=["--base", "--shared-images"])
    bundlegen(["packer", "cluster.yaml"], made.folder)
    return made


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ssh") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


Build = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def packer_build(session: Session, cluster: Cluster, key: Path) -> Build:
    """Run `packer build` of the null template beside the hosts, where nothing but them can be reached."""

    def build(*variables: str) -> subprocess.CompletedProcess[str]:
        given = [f"ssh_host={BUILDER_ADDRESS}", f"ssh_private_key_file={key}", *variables]
        words = ["packer", "build", "-color=false", *(word for each in given for word in ("-var", each)), "."]
        return session.run(
            ["env", f"--chdir={cluster.folder}/out/{cluster.name}/packer/null", *words],
            env={"PATH": SYSTEM_PATH, "HOME": str(key.parent), "CHECKPOINT_DISABLE": "1"},
            check=False,
            timeout=200,
        )

    return build


@pytest.fixture(scope="module")
def boot_builder(session: Session, layers: tuple[Path, ...], key: Path) -> Iterator[Callable[[str], Host]]:
    """A machine that nobody has baked anything on, with an SSH server that lets Packer in; one at a time."""
    booted: list[Host] = []

    def boot(login: str) -> Host:
        session.discard(booted)
        booted[:] = session.boot([BUILDER], layers)
        [host] = booted
        # kubelet's package starts it, and it fails every ten seconds until there is a configuration: not in a build.
        host.exec(["systemctl", "stop", "kubelet"])
        host.exec(["ssh-keygen", "-A"])
        host.exec(["useradd", "--create-home", "--shell", "/bin/bash", ADMIN])
        host.write(f"/etc/sudoers.d/{ADMIN}", f"{ADMIN} ALL=(ALL) NOPASSWD: ALL\n", 0o440)
        home = "/root" if login == "root" else f"/home/{login}"
        host.write(f"{home}/.ssh/authorized_keys", key.with_suffix(".pub").read_text(), 0o600)
        host.path(f"{home}/.ssh").chmod(0o700)
        host.exec(["chown", "-R", f"{login}:", f"{home}/.ssh"])
        host.exec(["systemctl", "start", "ssh"])
        return host

    yield boot
    session.discard(booted)


@dataclass(frozen=True)
class Baked:
    """What came of two builds on one builder, of which the first could not succeed, and of a third on another one."""

    refused: subprocess.CompletedProcess[str]
    left: list[str]
    done: subprocess.CompletedProcess[str]
    before: str
    after: str
    image: Path
    again: Path


@pytest.fixture(scope="module")
def baked(boot_builder: Callable[[str], Host], packer_build: Build, session: Session) -> Baked:
    host = boot_builder("root")
    host.write(PLANTED, "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", 0o600)
    # Where it is to be tried again, what lets Packer in must stay.
    refused = packer_build("remove_ssh_host_keys=false", "remove_authorized_keys=false")
    left = [path.name for path in host.path(UPLOADS).glob("bundlegen*")]
    host.path(PLANTED).unlink()
    before = _what_runs(host)
    done = packer_build()
    after = _what_runs(host)
    assert done.returncode == 0, done.stdout + done.stderr
    host.power_off()
    image = host.image(session.folder / "image")
    host = boot_builder(ADMIN)
    again = packer_build(f"ssh_username={ADMIN}")
    assert again.returncode == 0, again.stdout + again.stderr
    host.power_off()
    return Baked(refused, left, done, before, after, image, host.image(session.folder / "image-again"))


def _what_runs(host: Host) -> str:
    """Every service that runs, since when and which processes, but those of the sessions that look."""
    units = host.exec(
        ["systemctl", "list-units", "--type=service", "--state=active,activating,reloading", "--plain", "--no-legend"]
    ).stdout.splitlines()
    names = sorted(line.split()[0] for line in units)
    show = ["systemctl", "show", "--property=Id,InvocationID,MainPID,ExecMainStartTimestampMonotonic,NRestarts"]
    return host.exec([*show, *names, "kubelet.service"]).stdout


def test_a_forgotten_key_fails_the_build_by_name(baked: Baked) -> None:
    said = baked.refused.stdout + baked.refused.stderr
    assert baked.refused.returncode != 0
    assert "private-keys" in said
    assert PLANTED in said
    assert "ssh-host-keys" in said
    assert baked.left == []


def test_the_build_says_what_it_baked(baked: Baked, cluster: Cluster) -> None:
    assert "base.run: OK" in baked.done.stdout
    assert cluster.name in baked.done.stdout


def test_nothing_was_started_by_the_build(baked: Baked) -> None:
    assert baked.after == baked.before
    for path in ("etc/kubernetes/manifests/etcd.yaml", "var/lib/etcd", "etc/kubernetes/pki"):
        assert not (baked.image / path).exists()


def test_the_image_lets_nobody_in_and_knows_no_machine(baked: Baked) -> None:
    for image in (baked.image, baked.again):
        assert (image / "etc/machine-id").read_bytes() == b""
        assert list((image / "etc/ssh").glob("ssh_host_*")) == []
        assert list(image.rglob("authorized_keys")) == []
        assert list((image / UPLOADS.lstrip("/")).glob("bundlegen*")) == []


def test_an_image_built_again_differs_only_as_documented(baked: Baked) -> None:
    assert difference(_image(baked.image), _image(baked.again)) == []


def _image(folder: Path) -> Tree:
    """What is in an image, without times, what the rig writes, and the homes of those who log in."""
    without = (*RESTLESS, *OF_THE_RIG, "/root", f"/home/{ADMIN}")
    return take(folder, without=without, times=False)


@dataclass(frozen=True)
class Clones:
    """Three members: two clones, and a host on which the bundle was run by hand."""

    hosts: list[Host]


@pytest.fixture(scope="module")
def clones(baked: Baked, cluster: Cluster, session: Session, layers: tuple[Path, ...]) -> Iterator[Clones]:
    specs = [HostSpec(member.name, (f"{member.address}/24",)) for member in cluster.hosts]

    def clone(index: int) -> Host:
        """As with cloud-init, had the image some: the bundle is there before the services start."""
        filled = session.folder / f"user-data-{index}"
        (filled / FIRSTBOOT_FOLDER.lstrip("/")).mkdir(parents=True, mode=0o700)
        shutil.copy(cluster.bundle(index), filled / FIRSTBOOT_FOLDER.lstrip("/"))
        return session.boot([specs[index]], (filled, baked.image, *layers))[0]

    def plain(index: int) -> Host:
        [host] = session.boot([specs[index]], layers)
        carry(host, cluster.out / "images.tar.gz")
        run_bundle(host, cluster.bundle(index))
        return host

    with ThreadPoolExecutor() as pool:
        booted = [pool.submit(clone, 0), pool.submit(clone, 1), pool.submit(plain, 2)]
    yield Clones([each.result() for each in booted])
    session.discard([host for host in session.hosts if host.spec in specs])


def test_clones_are_members_and_the_cluster_is_healthy(clones: Clones) -> None:
    for host in clones.hosts:
        done = host.exec(["/usr/local/sbin/bundlegen-health", "--cluster", "--wait", "60"], check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_etcd_agrees_that_they_are_three(clones: Clones, cluster: Cluster, session: Session) -> None:
    first = clones.hosts[0]
    listed = etcdctl(session, cluster, f"--endpoints={cluster.endpoint(0)}", "member", "list", keys_of=first)
    assert sorted(line.split(", ")[2] for line in listed.splitlines()) == ["infra0", "infra1", "infra2"]
    assert listed.count("started") == 3


def test_clones_share_neither_machine_id_nor_keys(clones: Clones) -> None:
    one, other = clones.hosts[:2]
    assert one.read("/etc/machine-id") != other.read("/etc/machine-id")
    assert one.read("/etc/kubernetes/pki/etcd/server.key") != other.read("/etc/kubernetes/pki/etcd/server.key")


def test_first_boot_is_over(clones: Clones) -> None:
    for host in clones.hosts[:2]:
        enabled = host.exec(["systemctl", "is-enabled", "bundlegen-firstboot"], check=False).stdout.strip()
        assert enabled == "disabled"
        # The bundle holds keys: what is installed does not stay in the folder.
        assert list(host.path(FIRSTBOOT_FOLDER).glob("*.run")) == []
