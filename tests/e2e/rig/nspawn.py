"""systemd-nspawn as these hosts need it: one container, from start to kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from tests.e2e.rig import cgroups
from tests.e2e.rig.commands import SYSTEM_PATH, run
from tests.e2e.rig.keeper import NSPAWN, Keeper, children
from tests.e2e.rig.machine import cgroups_are_v2
from tests.e2e.rig.network import BRIDGE

# runc needs them: session keyrings, and BPF programs for devices on cgroup v2.
SYSTEM_CALLS = "--system-call-filter=@keyring bpf add_key keyctl"


class Container:
    """A started systemd-nspawn in a session's namespaces and in cgroups of its own."""

    def __init__(
        self,
        keeper: Keeper,
        *,
        directory: Path,
        name: str,
        machine_id: str,
        binds: Mapping[Path, str],
        groups: tuple[Path, ...],
        console: BinaryIO,
    ) -> None:
        # Left by a host that was killed; since systemd 257, nspawn refuses where it has been.
        export = f"{NSPAWN}/unix-export/{name}"
        if keeper.path(Path(export)).is_mount():
            run([*keeper.enter(), "umount", export])
        words = [
            "systemd-nspawn",
            "--register=no",  # works although the machine itself may not have been booted with systemd
            "--keep-unit",
            f"--directory={directory}",
            f"--machine={name}",
            f"--uuid={machine_id}",
            "--capability=all",
            SYSTEM_CALLS,
            f"--network-bridge={BRIDGE}",
            *(f"--bind={source}:{target}" for source, target in binds.items()),
            "--bind=/dev/kmsg",
            "--boot",
        ]
        self._process = subprocess.Popen(
            [*keeper.enter(), "setsid", *words],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            env={
                "PATH": SYSTEM_PATH,
                "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1" if cgroups_are_v2() else "0",
                "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "yes",
            },
            preexec_fn=lambda: cgroups.enter(groups),
            start_new_session=True,
        )

    def wait_for_leader(self, patience: float) -> int:
        """The host's process 1 as seen from outside, once it is systemd; 0 if it never is.

        nsenter forks nspawn, and nspawn forks the leader.
        """
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and self._process.poll() is None:
            for leader in self._grandchildren():
                if _name(leader) == "systemd":
                    return leader
            time.sleep(0.02)
        return 0

    def kill(self) -> None:
        """End every process at once: the leader's death takes its PID namespace along."""
        for pid in [*self._grandchildren(), *children(self._process.pid), self._process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait(timeout=30)

    def _grandchildren(self) -> list[int]:
        return [leader for nspawn in children(self._process.pid) for leader in children(nspawn)]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""
