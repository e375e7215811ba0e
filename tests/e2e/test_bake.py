"""Golden images on real hosts: baked, started, interrupted, given the wrong bundle, or none.

The image is the host's own disk: baked while it runs as a builder machine, then booted again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

import pytest

from tests.e2e.clusters import Cluster, bundlegen, run_bundle
from tests.e2e.rig.commands import run
from tests.e2e.rig.host import Host
from tests.e2e.rig.tree import difference

UNIT = "bundlegen-firstboot.service"
FOLDER = "/var/lib/bundlegen-firstboot"
SETTINGS = "/etc/bundlegen/firstboot.conf"
HEALTH = "/usr/local/sbin/bundlegen-health"
GOLDEN = "/usr/local/lib/bundlegen"
MEMBER = ("/etc/kubernetes/pki", "/etc/kubernetes/manifests", "/var/lib/etcd", "/var/lib/bundlegen")


@pytest.fixture(scope="session")
def golden(make_cluster: Callable[..., Cluster]) -> Cluster:
    """One host, and the bundle for images."""
    options = {"pki": {"encryptionAlgorithm": "ECDSA-P256"}, "build_options": ["--base"]}
    return make_cluster("golden", addresses=["10.0.0.6"], **options)


@pytest.fixture(scope="session")
def strange(make_cluster: Callable[..., Cluster]) -> Cluster:
    """A cluster that this host does not belong to."""
    return make_cluster("strange", addresses=["10.0.0.66"], pki={"encryptionAlgorithm": "ECDSA-P256"})


@pytest.fixture(scope="session")
def other(make_cluster: Callable[..., Cluster]) -> Cluster:
    """Another cluster whose first member has this host's address."""
    return make_cluster("other", addresses=["10.0.0.6"], pki={"encryptionAlgorithm": "ECDSA-P256"})


def bake(host: Host, bundle: Path, wait: str = "0") -> None:
    """Make the running host an image, as in a builder machine, and see that nothing came to run by that."""
    before = _processes(host)
    run_bundle(host, bundle, "bake")
    assert _processes(host) == before
    assert host.exec(["systemctl", "show", "--value", "-p", "ActiveState", UNIT]).stdout == "inactive\n"
    host.exec(["rm", "-rf", "/root/stick"])
    host.write(SETTINGS, f"WAIT='{wait}'\n")


def _processes(host: Host) -> set[str]:
    """kubelet, in the rig, is restarted for ever until it is configured, so it is asked for apart."""
    names = host.exec(["ps", "-e", "-o", "comm="]).stdout.split()
    return set(names) & {"etcd", "kubeadm", "pause", "containerd-shim"}


def give(host: Host, *bundles: Path) -> None:
    """Put bundles into the folder, as cloud-init or a provisioner would."""
    for number, bundle in enumerate(bundles):
        inside = host.put(bundle, f"{FOLDER}/{number}-{bundle.name}")
        host.exec(["chmod", "0600", inside])
        host.exec(["chown", "root:root", inside])
    if bundles:
        host.exec(["chmod", "0700", FOLDER])


def restart(host: Host) -> None:
    host.exec(["sync"])
    host.power_off()
    host.boot()


def is_member(host: Host) -> None:
    host.exec([HEALTH, "--cluster", "--wait", "60"])
    assert host.exec(["systemctl", "is-enabled", UNIT], check=False).stdout == "disabled\n"
    assert host.exec(["systemctl", "is-failed", UNIT], check=False).stdout == "inactive\n"
    assert list(host.path(FOLDER).glob("*.run")) == []


def journal(host: Host) -> str:
    return host.exec(["journalctl", "--boot", "--unit", UNIT, "--output", "cat", "--no-pager"]).stdout


def is_nobody(host: Host, *said: str) -> None:
    """The first boot has failed for all to see; nothing of a member is there, and kubelet runs no etcd."""
    assert host.exec(["systemctl", "is-failed", UNIT], check=False).stdout == "failed\n"
    assert host.exec(["systemctl", "is-enabled", UNIT]).stdout == "enabled\n"
    shown = host.exec(["systemctl", "status", UNIT], check=False).stdout
    assert "Active: failed" in shown
    told = journal(host)
    for words in said:
        assert words in told, told
        assert words.split()[0] in host.console()
    assert "systemctl start bundlegen-firstboot" in told
    assert [path for path in MEMBER if host.path(path).exists() and any(host.path(path).iterdir())] == []
    assert host.exec(["pgrep", "--exact", "etcd"], check=False).returncode == 1


def test_the_first_boot_makes_a_member(golden: Cluster, host: Host) -> None:
    bake(host, golden.out / "base.run")
    checked = host.exec(["bash", f"{GOLDEN}/bundle/install.sh", "hygiene", "--ignore", "machine-id"])
    assert "This image may be shared" in checked.stdout
    give(host, golden.bundle(0))
    restart(host)
    is_member(host)
    told = journal(host)
    assert "is for this machine" in told
    assert "The first boot is done." in told
    assert "The first boot is done." in host.console()
    assert host.exec(["systemctl", "is-active", "kubelet"]).stdout == "active\n"
    # the next boot has nothing to do, and the member is there again
    restart(host)
    host.exec([HEALTH, "--cluster", "--wait", "60"])
    assert "The first boot is done." not in journal(host)


CASES: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "none": ((), ("no bundle for this machine (infra0) was found in", "There is no *.run at all.")),
    "wrong": (("strange",), ("0-infra0.run is for infra0", "no bundle for this machine")),
    "two": (("golden", "other"), ("there are two different bundles for this machine",)),
}


@pytest.mark.parametrize("case", CASES)
def test_without_its_bundle_nothing_is_half_installed(
    golden: Cluster, strange: Cluster, other: Cluster, host: Host, case: str
) -> None:
    """And when it is put right, it can be triggered again."""
    clusters = {"golden": golden, "strange": strange, "other": other}
    given, said = CASES[case]
    bake(host, golden.out / "base.run")
    give(host, *(clusters[name].bundle(0) for name in given))
    restart(host)
    is_nobody(host, *said)
    assert host.exec(["systemctl", "is-active", "kubelet"]).stdout == "active\n"
    host.exec(["sh", "-c", f"rm -rf {FOLDER}/*"])
    give(host, golden.bundle(0))
    host.exec(["systemctl", "start", UNIT], timeout=300)
    is_member(host)


def test_sealed_keys(make_cluster: Callable[..., Cluster], host: Host) -> None:
    """The unlock code comes beside the bundle, by another way, and goes with it."""
    options = {"pki": {"encryptionAlgorithm": "ECDSA-P256"}, "build_options": ["--base", "--seal"]}
    cluster = make_cluster("sealed", addresses=["10.0.0.6"], **options)
    bake(host, cluster.out / "base.run")
    give(host, cluster.bundle(0))
    restart(host)
    is_nobody(host, "the keys in this bundle are sealed and need the unlock code of infra0")
    assert f"named by UNLOCK_FILE in {SETTINGS}" in journal(host)
    bundlegen(["unlock-codes", "sealed", "--file", "codes"], cluster.folder)
    [code] = [line.split()[1] for line in (cluster.folder / "codes").read_text().splitlines() if "infra0" in line]
    host.write(f"{FOLDER}/code", f"{code}\n", 0o600)
    host.write(SETTINGS, "WAIT='0'\nUNLOCK_FILE='code'\n")
    host.exec(["systemctl", "start", UNIT], timeout=300)
    is_member(host)
    assert not host.path(f"{FOLDER}/code").exists()
    assert code not in journal(host) + host.console()


def test_it_waits_while_the_machine_boots(golden: Cluster, host: Host) -> None:
    """The folder is filled while the unit waits: nothing else of the boot is held up, and kubelet starts after it."""
    bake(host, golden.out / "base.run", wait="forever")
    host.exec(["sync"])
    host.power_off()
    with Booting(host) as booting:
        booting.until(lambda: "There is no" not in host.console() and "Looking for this machine" in host.console())
        assert host.exec(["systemctl", "is-active", UNIT], check=False).stdout == "activating\n"
        assert host.exec(["systemctl", "is-active", "kubelet"], check=False).stdout == "inactive\n"
        give(host, golden.bundle(0))
    is_member(host)


@pytest.mark.parametrize(
    "moment", ["/var/lib/bundlegen/golden/transaction/journal", "/etc/kubernetes/manifests/etcd.yaml", HEALTH]
)
def test_power_loss_in_the_first_boot_and_the_next_one_finishes(golden: Cluster, host: Host, moment: str) -> None:
    """The plug is pulled as soon as this file is there; the last one is there before anything is done."""
    bake(host, golden.out / "base.run")
    give(host, golden.bundle(0))
    host.exec(["sync"])
    host.power_off()
    with Booting(host) as booting:
        booting.until(lambda: host.path(moment).exists() and "Installing from" in host.console())
        booting.stop()
        host.power_off()
    host.boot()
    is_member(host)


def test_an_image_of_one_host(golden: Cluster, host: Host) -> None:
    before = host.snapshot(without=["/root/stick"])
    bake(host, golden.bundle(0))
    placed = {path for path in host.snapshot() if path not in before}
    assert "/etc/kubernetes/pki/etcd/server.key" in placed
    assert not any(path.startswith(("/etc/kubernetes/manifests", "/var/lib/etcd")) for path in placed)
    assert host.exec(["bash", "/var/lib/bundlegen/golden/bundle/install.sh", "hygiene"], check=False).returncode == 11
    restart(host)
    host.exec([HEALTH, "--cluster", "--wait", "60"])
    assert host.exec(["systemctl", "is-enabled", UNIT], check=False).stdout == "disabled\n"
    assert "The first boot is done." in journal(host)


def test_baking_twice_gives_the_same_image(golden: Cluster, host: Host) -> None:
    """On the same host made anew: but for times of folders that were there before, no difference."""
    images = []
    for _ in range(2):
        run_bundle(host, golden.out / "base.run", "bake")
        host.exec(["rm", "-rf", "/root/stick"])
        taken = host.snapshot()
        images.append({path: entry for path, entry in taken.items() if entry.kind != "folder"})
        host.reset()
    ours = {path for path in images[0] if "bundlegen" in path or "kubelet.service" in path}
    assert len(ours) >= 9
    assert (
        difference(
            {path: images[0][path] for path in ours}, {path: images[1].get(path, images[0][path]) for path in ours}
        )
        == []
    )
    assert ours <= images[1].keys()


@pytest.fixture
def stick(golden: Cluster, tmp_path: Path) -> Iterator[str]:
    """A disk with the label that is looked for, and this host's bundle on it: a device of the testing machine."""
    disk = tmp_path / "stick.img"
    content = tmp_path / "content"
    content.mkdir()
    (content / "infra0.run").write_bytes(golden.bundle(0).read_bytes())
    with disk.open("wb") as stream:
        stream.truncate(16 << 20)
    run(["mkfs.ext4", "-q", "-L", "BUNDLEGEN", "-d", content, disk])
    made = run(["losetup", "--find", "--show", "--read-only", disk], check=False)
    if made.returncode != 0:
        pytest.skip(f"no loop device here: {made.stderr}")
    device = made.stdout.strip()
    yield device
    run(["losetup", "--detach", device], check=False)


def test_a_medium_with_the_label(golden: Cluster, host: Host, stick: str) -> None:
    """It is read, not written to and not kept mounted; the bundle on it stays."""
    bake(host, golden.out / "base.run")
    restart(host)
    is_nobody(host, "no bundle for this machine")
    number = Path(stick).name.removeprefix("loop")
    host.exec(["mknod", f"/dev/loop{number}", "b", "7", number], check=False)
    host.exec(["mkdir", "-p", "/dev/disk/by-label"])
    host.exec(["ln", "-s", f"/dev/loop{number}", "/dev/disk/by-label/BUNDLEGEN"])
    if host.exec(["head", "-c", "1", f"/dev/loop{number}"], check=False).returncode != 0:
        pytest.skip("a host in a container may not use that device here")
    started = host.exec(["systemctl", "start", UNIT], check=False, timeout=300)
    assert started.returncode == 0, journal(host)
    is_member(host)
    assert "/run/bundlegen-firstboot" not in host.exec(["cat", "/proc/self/mounts"]).stdout
    assert list(host.path("/run").glob("bundlegen-firstboot*")) == []


class Booting:
    """Boots the host beside the test, which meanwhile looks at it; leaving it waits until the host is up."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._stopped = False
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._boot, daemon=True)

    def _boot(self) -> None:
        try:
            self._host.boot()
        except BaseException as fault:
            self._fault = fault

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                if true():
                    return
            except (AssertionError, OSError):
                # the host has no process yet to look through
                pass
            time.sleep(0.01)
        raise AssertionError(f"it never came to that:\n{self._host.console()}")

    def stop(self) -> None:
        """The boot will not end well, as is meant."""
        self._stopped = True

    def __exit__(self, *_: object) -> None:
        self._thread.join(timeout=180)
        if self._fault is not None and not self._stopped:
            raise self._fault
