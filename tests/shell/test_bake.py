"""bake: what it places in an image, that it starts nothing, and that it leaves an image alone where it fails."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.shell.payload import DROP_IN, GOLDEN, GUARD, HEALTH, KUBELET_CONFIG, PKI, POD, STATE, Base, Payload, script
from tests.shell.sandbox import Sandbox, Tree, _facts
from tests.shell.steps import stops

UNIT = "/etc/systemd/system/bundlegen-firstboot.service"
SETTINGS = "/etc/bundlegen/firstboot.conf"
WANTS = "/etc/systemd/system/multi-user.target.wants"
TIMERS = {f"/etc/systemd/system/bundlegen-health.{kind}" for kind in ("service", "timer")}
COPY = {"install.sh", "image.sh", "bundle.conf", "MANIFEST"}
STARTERS = ("systemctl", "kubelet", "kubeadm", "ctr", "crictl", "podman", "containerd")
KUBELET_UNIT = (
    "[Unit]\nDescription=kubelet\n[Service]\nExecStart=/usr/local/sbin/kubelet\n[Install]\nWantedBy=multi-user.target\n"
)

JAIL = """
mkdir "$0" && mount -t tmpfs tmpfs "$0" && mkdir "$0"/{usr,etc,dev,payload} && touch "$0/dev/null"
mount --rbind /usr "$0/usr" && mount --bind "$1" "$0/payload" && mount --bind /dev/null "$0/dev/null"
for name in bin sbin lib lib64; do [[ ! -L /$name ]] || cp -a "/$name" "$0/"; done
chroot "$0" /bin/bash -p /payload/install.sh bake
"""


def image(folder: Path, *, kubelet: bool = True) -> Path:
    """A file tree like that of a fresh system."""
    for path in ("etc/systemd/system", "usr/lib/systemd/system", "var/lib", "usr/local/lib", "usr/local/sbin", "root"):
        (folder / path).mkdir(parents=True)
    if kubelet:
        (folder / "usr/lib/systemd/system/kubelet.service").write_text(KUBELET_UNIT)
    return folder


def tree(folder: Path, *, times: bool = True) -> Tree:
    """Every file, with its time; every folder, without, since what is placed in it sets it."""
    found: Tree = {}
    for path in sorted(folder.rglob("*")):
        found[f"/{path.relative_to(folder)}"] = _facts(
            path, times=times and not (path.is_dir() and not path.is_symlink())
        )
    return found


def bake(
    folder: Path, payload: Payload, *words: str, work: Path, whole: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run the payload's installer on the file tree ``folder``."""
    shutil.rmtree(work, ignore_errors=True)
    command = [
        "/bin/bash",
        "-p",
        str(payload.write(work, whole=whole) / "install.sh"),
        *(words or ("bake",)),
        "--root",
        str(folder),
    ]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
        check=False,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    if os.geteuid() != 0:
        pytest.skip("baking needs root")
    return image(tmp_path / "image")


def test_what_all_hosts_share_is_placed(root: Path, tmp_path: Path) -> None:
    before = tree(root)
    payload = Base()
    done = bake(root, payload, work=tmp_path / "work")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "Baked. Nothing was started."
    after = tree(root)
    new = {path for path in after.keys() - before.keys() if not (root / path[1:]).is_dir()}
    copies = {f"{GOLDEN}/bundle/{name}" for name in COPY}
    links = {f"{WANTS}/bundlegen-firstboot.service", f"{WANTS}/kubelet.service"}
    assert new == {KUBELET_CONFIG, DROP_IN, HEALTH, GUARD, UNIT, SETTINGS, *TIMERS, *copies, *links}
    assert {path: facts for path, facts in after.items() if path in before} == before
    for path, (mode, data) in payload.files.items():
        if path.startswith("/"):
            assert (root / path[1:]).read_bytes() == data
            assert f"0{(root / path[1:]).stat().st_mode & 0o7777:o}" == mode
    targets = {path.name: str(path.readlink()) for path in (root / WANTS[1:]).iterdir()}
    assert targets == {
        "kubelet.service": "/usr/lib/systemd/system/kubelet.service",
        "bundlegen-firstboot.service": UNIT,
    }
    assert f"ExecStart=/bin/bash -p {GOLDEN}/bundle/install.sh firstboot\n" in (root / UNIT[1:]).read_text()
    modes = {
        path: (root / path[1:]).stat().st_mode & 0o7777 for path in (GOLDEN, f"{GOLDEN}/bundle/bundle.conf", WANTS)
    }
    assert list(modes.values()) == [0o700, 0o600, 0o755]


@pytest.mark.parametrize("mode", ["kubeadm", "rendered"])
def test_an_image_for_one_host_has_everything_but_the_static_pod(root: Path, tmp_path: Path, mode: str) -> None:
    payload = Payload(mode=mode)
    done = bake(root, payload, work=tmp_path / "work")
    assert done.returncode == 0, done.stderr
    placed = {path for path in payload.files if path.startswith("/")} - {POD}
    assert {path for path in placed if not (root / path[1:]).is_file()} == set()
    assert (root / PKI[1:] / "etcd/server.key").stat().st_mode & 0o7777 == 0o600
    assert not (root / POD[1:]).exists()
    assert not (root / "var/lib/etcd").exists()
    copy = root / STATE[1:] / "bundle"
    kept = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()}
    assert kept == COPY | ({f"files{POD}"} if mode == "rendered" else set())
    assert [path.name for path in (root / STATE[1:]).iterdir()] == ["bundle"]


def test_two_images_from_the_same_bundle_are_the_same(tmp_path: Path) -> None:
    """Contents, modes, owners and times of files, and times of the folders that are new; at other moments."""
    if os.geteuid() != 0:
        pytest.skip("baking needs root")
    trees = []
    payload = Payload()
    for name in ("one", "another"):
        folder = image(tmp_path / name)
        for path in sorted(folder.rglob("*")):
            os.utime(path, (1_000_000_000, 1_000_000_000))
        old = {str(path.relative_to(folder)) for path in folder.rglob("*")}
        assert bake(folder, payload, work=tmp_path / "work").returncode == 0
        found = tree(folder)
        new = [path for path in folder.rglob("*") if path.is_dir() and str(path.relative_to(folder)) not in old]
        trees.append((found, {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in new}))
    assert trees[0] == trees[1]
    assert set(trees[0][1].values()) == {315532800 * 10**9}


def test_baking_again_changes_nothing(root: Path, tmp_path: Path) -> None:
    assert bake(root, Base(), work=tmp_path / "work").returncode == 0
    (root / SETTINGS[1:]).write_text("WAIT='7'\n")
    before = tree(root)
    done = bake(root, Base(), work=tmp_path / "work")
    assert done.returncode == 0, done.stderr
    assert "placed" not in done.stdout
    assert tree(root) == before


def test_it_starts_nothing(root: Path, tmp_path: Path) -> None:
    """Every program that is executed, as strace sees it."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    work, log = tmp_path / "work", tmp_path / "trace"
    payload = Base().write(work)
    words = [
        "strace",
        "-f",
        "-qq",
        "-e",
        "trace=execve,connect",
        "-o",
        str(log),
        "/bin/bash",
        "-p",
        str(payload / "install.sh"),
    ]
    done = subprocess.run(
        [*words, "bake", "--root", str(root)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    calls = log.read_text().splitlines()
    programs = {line.split('"')[1].rsplit("/", 1)[-1] for line in calls if "execve(" in line and line.endswith("= 0")}
    assert {"bash", "mv", "sync"} <= programs
    assert not programs & set(STARTERS)
    assert [line for line in calls if "connect(" in line and "nscd" not in line] == []


def test_in_a_builder_machine(host: Sandbox) -> None:
    """In the running system itself: systemd, kubelet and the runtime are there, and are left alone."""
    host.write("/etc/systemd/system/kubelet.service", KUBELET_UNIT)
    folder = host.unpack(Base())
    done = host.run(folder, "bake")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "Baked. Nothing was started."
    assert [host.stubbed(name) for name in ("calls", "ctr-calls", "kubeadm-calls")] == ["", "", ""]
    assert host.settings().split("\n")[:2] == ["disabled", "activating"]
    assert host.path(f"{WANTS}/kubelet.service").is_symlink()
    assert host.path(UNIT).is_file()
    assert not host.path("/var/lib/bundlegen").exists()
    assert not host.path("/run/bundlegen").exists()


def test_without_systemd(host: Sandbox) -> None:
    """As in a chroot: no systemctl, no /run/systemd, no kubelet yet."""
    for name in STARTERS:
        host.path(f"/var/stub/bin/{name}").unlink(missing_ok=True)
    shutil.rmtree(host.path("/run/systemd"))
    done = host.run(host.unpack(Base()), "bake")
    assert done.returncode == 0, done.stderr
    assert "there is no kubelet.service in this system yet; it will be enabled at the first boot" in done.stderr
    assert host.path(f"{WANTS}/bundlegen-firstboot.service").is_symlink()


def test_a_chroot_without_proc_says_what_it_needs(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("chroot needs root")
    jail = tmp_path / "jail"
    work = Base().write(tmp_path / "work")
    command = ["unshare", "--mount", "/bin/bash", "-c", JAIL, str(jail), str(work)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 11, done.stdout + done.stderr
    assert "/proc is not mounted here" in done.stderr


@pytest.mark.parametrize(
    ("planted", "says"),
    [
        ("/var/lib/etcd/member/snap/db", "/var/lib/etcd/member exists"),
        (POD, f"{POD} exists"),
        ("/var/lib/bundlegen/other/generations/0001/journal", "/var/lib/bundlegen/other/generations exists"),
    ],
)
def test_a_member_is_no_image(root: Path, tmp_path: Path, planted: str, says: str) -> None:
    (root / planted[1:]).parent.mkdir(parents=True)
    (root / planted[1:]).write_text("x")
    before = tree(root)
    done = bake(root, Base(), work=tmp_path / "work")
    assert done.returncode == 11
    assert says in done.stderr
    assert tree(root) == before


def test_a_running_member_is_no_image(host: Sandbox) -> None:
    host.spawn("etcd", "-c", "import time; time.sleep(1000)", "--data-dir=/var/lib/etcd")
    host.until(
        lambda: b"--data-dir" in b"".join(path.read_bytes() for path in host.path("/proc").glob("[0-9]*/cmdline"))
    )
    before = host.tree(times=True)
    done = host.run(host.unpack(Base()), "bake")
    assert done.returncode == 11
    assert "etcd runs on this machine" in done.stderr
    assert host.tree(times=True) == before


def test_a_masked_kubelet_is_refused(root: Path, tmp_path: Path) -> None:
    (root / "etc/systemd/system/kubelet.service").symlink_to("/dev/null")
    before = tree(root)
    done = bake(root, Base(), work=tmp_path / "work")
    assert done.returncode == 11
    assert "kubelet is masked in this system" in done.stderr
    assert tree(root) == before


def test_a_bundle_for_images_is_no_hosts(host: Sandbox) -> None:
    folder = host.unpack(Base())
    before = host.tree(times=True)
    for verb in ("install", "preflight", "plan", "health", "rollback", "uninstall"):
        done = host.run(folder, verb)
        assert done.returncode == 2
        assert f"{verb} is for a host's bundle; this one is for images" in done.stderr
    assert host.run(folder, "identify").returncode == 10
    assert host.tree(times=True) == before


@pytest.mark.parametrize("key", ["HOST", "MEMBERS", "INITIAL_CLUSTER_TOKEN"])
def test_an_identity_in_it_is_damage(root: Path, tmp_path: Path, key: str) -> None:
    payload = Base()
    payload.conf[key] = Payload().conf[key]
    done = bake(root, payload, work=tmp_path / "work")
    assert done.returncode == 12
    assert f"{key} in bundle.conf is set, and the bundle is for images" in done.stderr


def test_identify(host: Sandbox) -> None:
    members = {"infra0": "10.0.0.6", "infra1": "10.0.0.7"}
    for name, code in (("infra0", 0), ("infra1", 10)):
        folder = host.unpack(Payload(host=name, members=members))
        done = host.run(folder, "identify")
        assert done.returncode == code
        told = dict(line.split(" ", 1) for line in done.stdout.splitlines())
        digest = subprocess.run(
            ["sha256sum", host.path(f"{folder}/MANIFEST")], capture_output=True, text=True, check=True
        )
        assert told == {
            "kind": "host", "host": name, "address": members[name], "cluster": "test", "change": "create",
            "digest": digest.stdout.split()[0],
        }  # fmt: skip
    host.path(f"{folder}/bundle.conf").write_text("FORMAT='1'\n")
    assert host.run(folder, "identify").returncode == 12


def test_the_installer_holds_nothing_that_hygiene_takes_for_a_key() -> None:
    assert "PRIVATE KEY" not in script()


class Course:
    """A builder machine, and what its tree is before and after an undisturbed bake."""

    def __init__(self, host: Sandbox, **options: str) -> None:
        self.host = host
        host.write("/etc/systemd/system/kubelet.service", KUBELET_UNIT)
        host.write(KUBELET_CONFIG, "by hand\n").chmod(0o640)
        host.path(f"{WANTS}").mkdir()
        self.folder = host.unpack(Base())
        self.before = host.tree()
        host.arm(0, "none")
        done = host.run_armed(self.folder, "bake")
        assert done.returncode == 0, done.stderr
        self.calls = host.disarm()
        self.baked = host.tree()
        self.restore()

    def restore(self) -> None:
        """The tree of before, by hand: bake has no way back."""
        for path in sorted(self.baked.keys() - self.before.keys(), reverse=True):
            place = self.host.path(path)
            place.rmdir() if place.is_dir() and not place.is_symlink() else place.unlink()
        shutil.rmtree(self.host.path(GOLDEN), ignore_errors=True)
        self.host.write(KUBELET_CONFIG, "by hand\n").chmod(0o640)
        assert self.host.tree() == self.before

    def points(self) -> list[int]:
        return stops(self.calls, next(number for number, call in enumerate(self.calls) if "transaction" in call))

    def stop_at(self, point: int, action: str) -> int:
        self.host.arm(point, action)
        code = self.host.run_armed(self.folder, "bake").returncode
        self.host.disarm()
        return code


@pytest.fixture
def course(host: Sandbox) -> Course:
    return Course(host)


def test_killed_at_any_step_the_next_run_finishes(course: Course) -> None:
    points = course.points()
    for point in points:
        course.stop_at(point, "kill")
        done = course.host.run(course.folder, "bake")
        assert done.returncode == 0, f"{course.calls[point - 1]}: {done.stderr}"
        assert course.host.tree() == course.baked, course.calls[point - 1]
        course.restore()
    print(f"killed at {len(points)} of {len(course.calls)}")
    assert len(points) >= 15


def test_killed_another_bundle_starts_afresh(course: Course) -> None:
    other = Base()
    other.conf["CHANGE"] = "2-configure"
    middle = course.points()[len(course.points()) // 2]
    course.stop_at(middle, "kill")
    done = course.host.run(course.host.unpack(other, "/run/bundlegen-unpack.1.other"), "bake")
    assert done.returncode == 0, done.stderr
    assert "A bake of another bundle was interrupted here; undoing that first." in done.stdout
    assert course.host.tree().keys() == course.baked.keys()


@pytest.mark.parametrize("action", ["interrupt", "full", "read-only"])
def test_what_fails_midway_is_undone(course: Course, action: str) -> None:
    undone = 0
    for point in course.points()[::3]:
        code = course.stop_at(point, action)
        assert code in (0, 13, 15, 130), course.calls[point - 1]
        if code == 13:
            undone += 1
        if action != "interrupt":
            # where nothing can be written, not everything can be put back: the next run goes on, with room
            assert course.host.run(course.folder, "bake").returncode == 0
            assert course.host.tree() == course.baked, course.calls[point - 1]
            course.restore()
        elif code == 0:
            assert course.host.tree() == course.baked
            course.restore()
        else:
            assert course.host.tree() == course.before, course.calls[point - 1]
            assert not course.host.path(GOLDEN).exists()
    print(f"{action}: undone {undone} times")
    assert undone >= 5
