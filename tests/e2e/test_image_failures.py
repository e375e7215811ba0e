"""Images that cannot be imported into a real containerd: what is said, and that nothing is left."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import image_archives
from tests.e2e.clusters import STICK, Cluster, carry, run_bundle
from tests.e2e.rig.host import Host
from tests.e2e.rig.tree import Tree, difference

PREFLIGHT_FAILED, DAMAGED, ROLLED_BACK = 11, 12, 13
QUICK = {"addresses": ["10.0.0.6"], "pki": {"encryptionAlgorithm": "ECDSA-P256"}}
CONTENT = "/var/lib/containerd/io.containerd.content.v1.content"


@pytest.fixture(scope="module")
def cluster(
    make_cluster: Callable[..., Cluster], archives: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory
) -> Cluster:
    folder = tmp_path_factory.mktemp("images")
    for archive in archives:
        (folder / f"{archive.parent.name.partition('-')[0]}.tar").symlink_to(archive)
    return make_cluster("failures", images=[f"{folder}/*.tar"], **QUICK)


@pytest.fixture(scope="module")
def bare_host(cluster: Cluster, boot: Callable[..., list[Host]]) -> Host:
    return boot(cluster, with_images=False)[0]


@pytest.fixture
def host(bare_host: Host) -> Iterator[Host]:
    """A host whose image store is empty."""
    yield bare_host
    bare_host.reset()


def _ctr(host: Host, *words: str) -> list[str]:
    return sorted(host.exec(["ctr", "--namespace", "k8s.io", *words]).stdout.splitlines())


def _store(host: Host) -> dict[str, list[str]]:
    """All that containerd keeps for kubelet."""
    asked = {"images": "-q", "content": "-q", "leases": "-q"}
    found = {what: _ctr(host, what, "list", option) for what, option in asked.items()}
    found["unfinished"] = _ctr(host, "content", "active")
    found["snapshots"] = _ctr(host, "snapshots", "list")
    return found


def _remove_stopped_containers(host: Host) -> None:
    """As kubelet does some time after a Pod has ended, unless it has nothing to run with any more by then."""
    for container in _ctr(host, "containers", "list", "-q"):
        _ctr(host, "containers", "delete", container)
    lease = _ctr(host, "leases", "create")[0]
    _ctr(host, "leases", "delete", "--sync", lease)  # returns when all that nobody refers to is gone


def _tree(host: Host) -> Tree:
    taken = host.snapshot(without=[STICK, "/var/lib/bundlegen", "/usr/local/sbin/ctr"], times=False)
    return {path: entry for path, entry in taken.items() if entry.kind != "folder"}


def _instead_of_ctr(host: Host, at_import: str) -> None:
    """What happens when images are to be imported; `real` then is ctr with its arguments."""
    text = 'real() { /usr/bin/ctr "$@"; }\ncase "$*" in\n*" import "*)\n{}\n;;\n*) real "$@" ;;\nesac\n'
    host.write("/usr/local/sbin/ctr", "#!/bin/bash\n" + text.replace("{}", at_import), 0o755)


def _fails(host: Host, cluster: Cluster, code: int, *words: str) -> str:
    """Runs the bundle, which must fail with this code and leave the host as it was; returns what it said."""
    before = _tree(host)
    said = run_bundle(host, cluster.bundle(0), *words, expect=code).stderr
    assert difference(before, _tree(host)) == []
    assert host.exec(["pgrep", "--exact", "etcd"], check=False).returncode == 1
    return said


def test_a_garbled_image_is_refused_before_anything_is_changed(cluster: Cluster, host: Host) -> None:
    before, store = _tree(host), _store(host)
    inside = carry(host, cluster.bundle(0))
    content = bytearray(host.path(inside).read_bytes())
    content[-100] ^= 1
    host.path(inside).write_bytes(content)
    for words in (["sh", inside], ["sh", inside, "--", "preflight"]):
        done = host.exec(words, check=False)
        assert done.returncode == DAMAGED, done.stdout + done.stderr
        assert "this bundle is damaged: 1 of its images" in done.stderr
        assert "images/pause.tar is missing, cannot be read, or was altered" in done.stderr
    assert difference(before, _tree(host)) == []
    assert _store(host) == store


def test_a_medium_that_ends_during_the_import(cluster: Cluster, host: Host) -> None:
    store = _store(host)
    _instead_of_ctr(host, f'truncate --size=3M {STICK}/infra0.run; real "$@"')
    said = _fails(host, cluster, ROLLED_BACK)
    assert f"images/etcd.tar cannot be read as it was made, from {STICK}/infra0.run" in said
    assert _store(host) == store


def test_a_full_disk_during_the_import(cluster: Cluster, host: Host) -> None:
    script = f"systemctl stop containerd && mount -t tmpfs -o size=16m tmpfs {CONTENT} && systemctl start containerd"
    host.exec(["sh", "-c", f"mkdir -p {CONTENT} && {script}"])
    store = _store(host)
    said = _fails(host, cluster, ROLLED_BACK)
    assert "the runtime did not accept images/etcd.tar" in said
    assert "no space left on device" in said
    assert "Make room in the file system of the image store" in said
    assert _store(host) == store


@pytest.mark.parametrize("position", ["first", "second"])
def test_a_runtime_that_dies_during_the_import(
    make_cluster: Callable[..., Cluster], archives: tuple[Path, ...], host: Host, tmp_path: Path, position: str
) -> None:
    """systemd starts it again after some seconds, which undoing waits for: the first image may be in it by then.

    It dies while it takes in etcd's image: of the other one, ctr has sent everything before anybody could be killed.
    """
    etcd, pause = archives
    (tmp_path / "1.tar").symlink_to(etcd)
    (tmp_path / ("2.tar" if position == "first" else "0.tar")).symlink_to(pause)
    cluster = make_cluster(f"dies-{position}", images=[f"{tmp_path}/*.tar"], **QUICK)
    store = _store(host)
    alive = "[[ -e /run/begun ]]" if position == "second" else "true"
    die = f"head -c 20M; ! {alive} || systemctl kill --signal=KILL containerd"
    _instead_of_ctr(host, f'{{ {die}; touch /run/begun; cat; }} | real "$@"')
    said = _fails(host, cluster, ROLLED_BACK)
    assert "the runtime did not accept images/1.tar" in said
    assert "rolled back: this host is as it was before" in said
    assert "does not answer" not in said
    left = _store(host)
    # What was being written when it died is containerd's own to remove: it has a date of expiry, a day from now.
    leases = [line for line in _ctr(host, "leases", "list") if line.split()[0] in left["leases"]]
    assert len(leases) == len(left["leases"])
    assert all("containerd.io/gc.expire=" in lease for lease in leases)
    assert (left["images"], left["snapshots"]) == (store["images"], store["snapshots"])
    assert left == store or leases


def test_a_runtime_that_is_stopped(cluster: Cluster, host: Host) -> None:
    host.exec(["systemctl", "stop", "containerd"])
    said = _fails(host, cluster, PREFLIGHT_FAILED)
    assert "the container runtime's socket" in said
    assert "is not there" in said


def test_an_image_for_another_processor(
    make_cluster: Callable[..., Cluster], cluster: Cluster, host: Host, tmp_path: Path
) -> None:
    other = "arm64" if platform.machine() == "x86_64" else "amd64"
    name = next(line.split()[2] for line in _list(cluster) if "/etcd:" in line)
    image_archives.write(tmp_path / "etcd.tar", image_archives.docker(name, other))
    foreign = make_cluster("foreign", images=[str(tmp_path / "etcd.tar")], **QUICK)
    store = _store(host)
    said = _fails(host, foreign, PREFLIGHT_FAILED)
    assert f"this machine is {platform.machine()}, the images in the bundle are for" in said
    said = _fails(host, foreign, ROLLED_BACK, "--ignore", "architecture", "--ignore", "sandbox-image")
    assert "etcd.tar" in said
    assert _store(host) == store


def _list(cluster: Cluster) -> list[str]:
    from bundlegen.trust.bundle import read

    return (read(cluster.bundle(0)).content("images/LIST") or b"").decode().splitlines()


def test_names_go_back_to_the_images_that_had_them(cluster: Cluster, host: Host, archives: tuple[Path, ...]) -> None:
    names = {kind: line.split()[2] for line in _list(cluster) for kind in ("etcd", "pause") if f"/{kind}:" in line}
    host.exec(["ctr", "--namespace", "k8s.io", "images", "import", host.put(archives[1], "/root/pause.tar")])
    host.exec(["ctr", "--namespace", "k8s.io", "images", "tag", names["pause"], names["etcd"]])
    digests = _ctr(host, "images", "list")
    store = _store(host)
    run_bundle(host, cluster.bundle(0))
    assert _ctr(host, "images", "list") != digests
    run_bundle(host, cluster.bundle(0), "rollback")
    assert _ctr(host, "images", "list") == digests
    _remove_stopped_containers(host)
    # What the first import itself had left over goes when containerd gets to it.
    assert all(set(left) <= set(store[what]) for what, left in _store(host).items())


def test_undoing_leaves_nothing_in_the_store(cluster: Cluster, host: Host) -> None:
    store = _store(host)
    run_bundle(host, cluster.bundle(0))
    assert _store(host) != store
    run_bundle(host, cluster.bundle(0), "uninstall")
    _remove_stopped_containers(host)
    assert _store(host) == store
