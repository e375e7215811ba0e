"""What this machine is and whether test hosts can be booted on it."""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path

from tests.e2e.rig.commands import CommandError, run

PROGRAMS = ("mmdebstrap", "systemd-nspawn", "ip", "nsenter", "unshare", "mount", "setsid")
CGROUPS = Path("/sys/fs/cgroup")


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
    if not Path("/dev/kmsg").exists():
        return "no /dev/kmsg, which a kubelet reads"
    return None


@cache
def cgroups_are_v2() -> bool:
    """True on a pure cgroup v2 machine; false where v1 controllers are mounted, alone or beside v2 (hybrid)."""
    return (CGROUPS / "cgroup.controllers").exists()


@cache
def booted_by_systemd() -> bool:
    """Whether systemd runs this machine (sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()
