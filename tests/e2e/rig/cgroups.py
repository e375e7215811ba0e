"""A cgroup subtree for each test host.

Without one all hosts share a root cgroup, and each kubelet deletes the others' Pods.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.rig.machine import CGROUPS, cgroups_are_v2

PREFIX = "testhosts-"


def subtree(session: str) -> tuple[Path, ...]:
    """The session's own cgroup in every hierarchy: made below the one this process is in."""
    if cgroups_are_v2():
        return (_v2_subtree(session),)
    made = []
    for hierarchy, path in _own_v1():
        group = hierarchy / path / f"{PREFIX}{session}"
        _make_v1(group)
        made.append(group)
    return tuple(made)


def host(session: tuple[Path, ...], name: str) -> tuple[Path, ...]:
    """One host's cgroup in every hierarchy; made before its init starts."""
    groups = tuple(group / name for group in session)
    for group in groups:
        if cgroups_are_v2():
            group.mkdir(exist_ok=True)
        else:
            _make_v1(group)
    return groups


def enter(groups: tuple[Path, ...]) -> None:
    """Move the calling process (a child about to become systemd-nspawn) into these cgroups."""
    for group in groups:
        (group / "cgroup.procs").write_text(str(os.getpid()))


def remove(groups: tuple[Path, ...], patience: float = 5) -> None:
    """Remove the cgroups with all below them; their processes may still be dying."""
    deadline = time.monotonic() + patience
    for group in groups:
        while group.exists():
            _rmdir_all(group)
            if time.monotonic() > deadline:
                break
            if group.exists():
                time.sleep(0.05)


def of_session(session: str) -> tuple[Path, ...]:
    """Where a session of this name has, or had, its cgroups."""
    return tuple(CGROUPS.rglob(f"{PREFIX}{session}"))


def _rmdir_all(group: Path) -> None:
    for folder, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()


def _own_v1() -> Iterator[tuple[Path, str]]:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        name = controllers.removeprefix("name=") or "unified"
        if (CGROUPS / name).is_dir():
            yield CGROUPS / name, path.strip("/")


def _make_v1(group: Path) -> None:
    group.mkdir(exist_ok=True)
    if (group / "cpuset.cpus").exists():
        # A new cpuset is empty, and no process may enter an empty one.
        for setting in ("cpuset.cpus", "cpuset.mems"):
            (group / setting).write_text((group.parent / setting).read_text())
        (group / "cgroup.clone_children").write_text("1")


def _v2_subtree(session: str) -> Path:
    """A delegated subtree: cgroup v2 lets a group hold processes or pass controllers on, never both."""
    own = CGROUPS / Path("/proc/self/cgroup").read_text().strip().split("::", 1)[1].strip("/")
    if own != CGROUPS:
        # Whatever runs beside us (pytest, its shell) makes room in a leaf of its own, once.
        leaf = own if own.name == f"{PREFIX}rest" else own / f"{PREFIX}rest"
        leaf.mkdir(exist_ok=True)
        own = leaf.parent
        for process in (own / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                (leaf / "cgroup.procs").write_text(process)
    group = own / f"{PREFIX}{session}"
    _pass_on_controllers(own)
    group.mkdir(exist_ok=True)
    _pass_on_controllers(group)
    return group


def _pass_on_controllers(group: Path) -> None:
    for controller in (group / "cgroup.controllers").read_text().split():
        # One that is not ours to pass on (cpu with real-time processes, say) is simply not there for the hosts.
        with contextlib.suppress(OSError):
            (group / "cgroup.subtree_control").write_text(f"+{controller}")
