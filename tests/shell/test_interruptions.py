"""Stopped at any moment, by anything: the next run finishes or undoes it, and nothing is lost.

What may change the host goes through a command, so the moment before each command is a step boundary; which of them
are taken, steps.py decides.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.shell.payload import HEALTH, KUBEADM_CONFIG, KUBELET_CONFIG, PKI, STATE, Payload
from tests.shell.sandbox import Sandbox, Tree
from tests.shell.steps import stops

OLD_DROP_IN = "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"
SHARES = 3  # of the points to be killed at, so that processors can divide the work
FEWER = (
    f"{PKI}/apiserver-etcd-client.crt",
    f"{PKI}/apiserver-etcd-client.key",
    f"{PKI}/etcd/peer.crt",
    f"{PKI}/etcd/peer.key",
)


def payload(mode: str = "kubeadm") -> Payload:
    """With fewer certificates than a real one: each is placed by the same steps."""
    made = Payload(mode=mode)
    for path in FEWER:
        del made.files[path]
    return made


def earlier_files(host: Sandbox) -> None:
    """A host on which somebody has been before: files to be replaced, and one to be left alone."""
    host.write(KUBEADM_CONFIG, "by hand\n").chmod(0o640)
    host.write(KUBELET_CONFIG, "by hand\n")
    host.write(HEALTH, "#!/bin/sh\n").chmod(0o700)
    host.write(OLD_DROP_IN, "[Service]\n")
    host.path("/etc/kubernetes/pki").mkdir(mode=0o700)


def comparable(tree: Tree) -> Tree:
    """Without what must differ between two installs: times in the journal."""
    return {path: facts for path, facts in tree.items() if not path.endswith("/journal")}


def remove_moved_data(host: Sandbox) -> None:
    for folder in host.path("/var/lib").glob("etcd.bundlegen-*"):
        shutil.rmtree(folder)


def boundaries(calls: list[str], stride: int = 1) -> list[int]:
    """Numbers of the calls to stop at, once the journal has begun: every step, or some of them."""
    return stops(calls, next(number for number, call in enumerate(calls) if "transaction" in call))[::stride]


class Course:
    """One host, and what its tree is before and after an undisturbed install."""

    def __init__(self, host: Sandbox) -> None:
        self.host = host
        earlier_files(host)
        self.folder = host.unpack(payload())
        self.before = host.tree()
        self.settings = host.settings()
        host.arm(0, "none")
        done = host.run_armed(self.folder, "install", "--wait", "60")
        assert done.returncode == 0, done.stderr
        self.calls = host.disarm()
        self.installed = comparable(host.tree())
        self.uninstall()

    def stop_at(self, point: int, action: str) -> int:
        self.host.arm(point, action)
        done = self.host.run_armed(self.folder, "install", "--wait", "5")
        self.host.disarm()
        return done.returncode

    def finish(self, point: int) -> None:
        """The next run of the same bundle: as if nothing had happened."""
        done = self.host.run(self.folder, "install")
        assert done.returncode == 0, f"point {point}, {self.calls[point - 1]}: {done.stderr}"
        # of the run that failed, if etcd had started
        remove_moved_data(self.host)
        assert comparable(self.host.tree()) == self.installed, f"point {point}, {self.calls[point - 1]}"
        self.uninstall()

    def roll_back(self, point: int) -> None:
        done = self.host.run(self.folder, "rollback")
        assert done.returncode == 0, f"point {point}, {self.calls[point - 1]}: {done.stderr}"
        self.is_as_before(f"point {point}, {self.calls[point - 1]}")

    def uninstall(self) -> None:
        done = self.host.run(self.folder, "uninstall")
        assert done.returncode == 0, done.stderr
        self.is_as_before("after uninstall")

    def is_as_before(self, when: str) -> None:
        remove_moved_data(self.host)
        shutil.rmtree(self.host.path(STATE), ignore_errors=True) if self._only_receipts() else None
        shutil.rmtree(self.host.path(STATE).parent, ignore_errors=True) if self._nothing_but_folder() else None
        assert self.host.tree() == self.before, when
        assert self.host.settings() == self.settings, when
        leftovers = [*self.host.path("/run/bundlegen").glob("*"), *self.host.path("/etc").rglob("*.bundlegen")]
        assert leftovers == [], when

    def _only_receipts(self) -> bool:
        return [path.name for path in self.host.path(STATE).glob("*")] == ["receipts"]

    def _nothing_but_folder(self) -> bool:
        return not any(self.host.path(STATE).parent.glob("*"))


@pytest.fixture
def course(host: Sandbox) -> Course:
    return Course(host)


@pytest.mark.parametrize("share", range(SHARES))
def test_killed_at_any_step(course: Course, share: int) -> None:
    points = boundaries(course.calls)
    for number, point in enumerate(points[share::SHARES]):
        assert course.stop_at(point, "kill") == -9 or course.calls[point - 1].split()[0] in ("rm", "rmdir")
        if number % 2:
            course.finish(point)
        else:
            course.roll_back(point)
    print(f"killed at {len(points[share::SHARES])} of {len(points)} points of {len(course.calls)}")
    assert len(points) >= 40


@pytest.mark.parametrize("action", ["full", "read-only"])
def test_disk_full_or_read_only(course: Course, action: str) -> None:
    points = boundaries(course.calls, 4)
    for number, point in enumerate(points):
        code = course.stop_at(point, action)
        assert code in (0, 11, 13, 15), f"point {point}, {course.calls[point - 1]}"
        if number % 2:
            course.finish(point)
        else:
            course.roll_back(point)
    print(f"{action} at {len(points)} points of {len(course.calls)}")
    assert len(points) >= 10


@pytest.mark.parametrize("action", ["interrupt", "hang-up"])
def test_a_signal_undoes_everything_at_once(course: Course, action: str) -> None:
    points = boundaries(course.calls, 4)
    undone = 0
    for point in points:
        code = course.stop_at(point, action)
        assert code in (0, 13, 129, 130), f"point {point}, {course.calls[point - 1]}"
        if code == 0:
            course.uninstall()
        else:
            undone += 1
            course.is_as_before(f"point {point}, {course.calls[point - 1]}")
    print(f"{action} at {len(points)} points, undone at {undone}")
    assert undone >= 5


def test_an_interrupted_rollback_is_finished(course: Course) -> None:
    host = course.host
    assert host.run(course.folder, "install").returncode == 0
    host.arm(0, "none")
    assert host.run_armed(course.folder, "rollback").returncode == 0
    calls = host.disarm()
    course.is_as_before("after an undisturbed rollback")
    first = next(number for number, call in enumerate(calls) if call.startswith("sync") and "journal" in call)
    points = stops(calls, first)[::3]
    for number, point in enumerate(points):
        assert host.run(course.folder, "install").returncode == 0
        host.arm(point, "kill")
        host.run_armed(course.folder, "rollback")
        host.disarm()
        if number % 2:
            # the install finishes the undoing first, then installs
            assert host.run(course.folder, "install").returncode == 0, calls[point - 1]
            remove_moved_data(host)
            assert comparable(host.tree()) == course.installed, calls[point - 1]
            course.uninstall()
        else:
            done = host.run(course.folder, "rollback")
            assert done.returncode == 0, calls[point - 1]
            course.is_as_before(calls[point - 1])
    print(f"rollback killed at {len(points)} points of {len(calls)}")
    assert len(points) >= 8


def test_a_line_torn_by_power_loss(course: Course) -> None:
    """It was not done, and what rollback writes next must not be taken for its end."""
    point = course.calls.index("systemctl daemon-reload") + 1
    course.stop_at(point, "kill")
    with course.host.path(f"{STATE}/transaction/journal").open("a") as journal:
        journal.write("absent /etc/kubernetes/pki/etcd/")
    course.host.write("/etc/kubernetes/pki/etcd/undo", "somebody's\n")
    done = course.host.run(course.folder, "rollback")
    assert done.returncode == 0, done.stderr
    assert course.host.path("/etc/kubernetes/pki/etcd/undo").read_text() == "somebody's\n"
    shutil.rmtree(course.host.path("/etc/kubernetes/pki/etcd"))
    course.is_as_before(f"point {point}")


def test_what_a_killed_run_unpacked_is_removed(host: Sandbox, tmp_path: Path) -> None:
    folder = host.unpack(payload())
    dead = [
        host.unpack(payload(), where)
        for where in (
            "/run/bundlegen-unpack.999999.a",
            "/tmp/bundlegen-unpack.999998",
            "/media/bundlegen-unpack.999997.x",
        )
    ]
    alive = host.unpack(payload(), "/dev/shm/bundlegen-unpack.1.other")
    link = host.path("/tmp/bundlegen-unpack.999996.link")
    link.symlink_to("/etc/kubernetes")
    done = host.run(folder, "preflight", env={"TMPDIR": "/media"})
    assert done.returncode == 0
    assert [where for where in dead if host.path(where).exists()] == []
    assert host.path(alive).exists()
    assert link.is_symlink()
    assert host.path("/etc/kubernetes").is_dir()
