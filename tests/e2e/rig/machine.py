"""What this machine is and whether test hosts can be booted on it."""

from __future__ import annotations

import ctypes
import os
import shutil
from functools import cache
from pathlib import Path

from tests.e2e.rig.commands import CommandError, run

PROGRAMS = ("mmdebstrap", "systemd-nspawn", "ip", "nsenter", "unshare", "mount", "setsid")
CGROUPS = Path("/sys/fs/cgroup")
INOTIFY_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_INSTANCES = 12  # of one host: systemd's, dbus's and containerd's (7 seen), and what a test starts


@cache
def reason_against() -> str | None:
    """Why no test host can be booted here, or None if it can."""
    if os.geteuid() != 0:
        return "test hosts need root"
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        return f"not installed: {', '.join(missing)} (tests/e2e/packages.txt lists the packages)"
    try:
        run(["unshare", "--mount", "--net", "--pid", "--ipc", "--fork", "--mount-proc", "true"])
    except CommandError as refused:
        return f"no namespaces here: {refused}"
    if shortage := inotify_shortage(hosts=1):
        return shortage
    if not Path("/dev/kmsg").exists():
        return "no /dev/kmsg, which a kubelet reads"
    return None


def inotify_shortage(hosts: int) -> str | None:
    """Why so many hosts cannot be booted now, or None if they can: systemd ends where it gets no inotify instance."""
    wanted = hosts * INOTIFY_INSTANCES
    had, reason = _inotify_instances(wanted)
    if not reason:
        return None
    return (
        f"{hosts} test hosts need {wanted} inotify instances, and only {had} are to be had ({reason}): "
        f"raise fs.inotify.max_user_instances, which is {INOTIFY_LIMIT.read_text().strip()}"
    )


def _inotify_instances(wanted: int) -> tuple[int, str]:
    """How many of these can be made at once, and why no more; all are given back."""
    libc = ctypes.CDLL(None, use_errno=True)
    made: list[int] = []
    try:
        while len(made) < wanted:
            if (descriptor := libc.inotify_init1(os.O_CLOEXEC)) < 0:
                return len(made), os.strerror(ctypes.get_errno())
            made.append(descriptor)
    finally:
        for descriptor in made:
            os.close(descriptor)
    return len(made), ""


@cache
def cgroups_are_v2() -> bool:
    """True on a pure cgroup v2 machine; false where v1 controllers are mounted, alone or beside v2 (hybrid)."""
    return (CGROUPS / "cgroup.controllers").exists()


@cache
def booted_by_systemd() -> bool:
    """Whether systemd runs this machine (sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()
