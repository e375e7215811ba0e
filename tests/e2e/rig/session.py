"""A test session's set of hosts, and what dead sessions left."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Self

from tests.e2e.rig import cache, cgroups, network
from tests.e2e.rig.commands import run
from tests.e2e.rig.host import Host, HostSpec
from tests.e2e.rig.keeper import Keeper

ROOM_IN_MEMORY = 6 << 30
SETS_AT_ONCE = 2


class Session:
    """Hosts in namespaces of their own. Use as a context manager; leaving it leaves nothing behind."""

    def __init__(self) -> None:
        sweep()
        self.id = uuid.uuid4().hex[:8]
        self.folder = _place() / f"{cgroups.PREFIX}{self.id}"
        self.folder.mkdir(mode=0o700)
        self._alive = _hold(self.folder / "alive")
        self._slot = _slot()
        self._groups = cgroups.subtree(self.id)
        self._keeper = Keeper()
        network.make(self._keeper)
        self.hosts: list[Host] = []
        atexit.register(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def boot(self, specs: Sequence[HostSpec], layers: Sequence[Path]) -> list[Host]:
        """Boot hosts side by side. layers: root file systems, the upper ones first."""
        network.give_gateways(self._keeper, [address for spec in specs for address in spec.addresses])
        new = [Host(spec, self.folder / spec.name, layers, self._keeper, self._groups) for spec in specs]
        self.hosts += new
        at_once([host.boot for host in new])
        return new

    def run(self, argv: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program of this machine inside the hosts' network; options as commands.run takes them."""
        return run([*self._keeper.enter(), *argv], **options)

    def close(self) -> None:
        """End the hosts and remove every trace."""
        atexit.unregister(self.close)
        self._keeper.stop()
        for host in self.hosts:
            host.power_off()
        cgroups.remove(self._groups)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._slot.close()
        self._alive.close()


def at_once(calls: Sequence[Callable[[], object]]) -> list[object]:
    """Call them side by side; raises what the first that failed raised, after all have ended."""
    with ThreadPoolExecutor(max_workers=max(1, len(calls))) as pool:
        futures = [pool.submit(call) for call in calls]
    return [future.result() for future in futures]


def sweep() -> None:
    """Remove folders and cgroups of sessions that are no longer alive (their namespaces went with them)."""
    for place in _places():
        for folder in place.glob(f"{cgroups.PREFIX}*"):
            if _is_dead(folder):
                cgroups.remove(cgroups.of_session(folder.name.removeprefix(cgroups.PREFIX)), patience=1)
                shutil.rmtree(folder, ignore_errors=True)


def _is_dead(folder: Path) -> bool:
    try:
        with (folder / "alive").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return False  # being made or removed just now
    return True


def _hold(path: Path) -> IO[str]:
    file = path.open("w")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _places() -> list[Path]:
    sessions = cache.folder() / "sessions"
    sessions.mkdir(exist_ok=True)
    return [Path("/dev/shm"), sessions]


def _place() -> Path:
    """In memory where there is plenty: etcd syncs each write to disk, and a slow disk makes elections fail."""
    memory, disk = _places()
    try:
        room = os.statvfs(memory)
    except OSError:
        return disk
    return memory if room.f_bavail * room.f_frsize >= ROOM_IN_MEMORY and _free_memory() >= ROOM_IN_MEMORY else disk


def _free_memory() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0


def _slot() -> IO[str]:
    """One of the few sets that may be up on this machine at once; waits for one to become free.

    The locks are tried in an order that depends on the process, so that waiting processes spread over them.
    """
    files = [(cache.folder() / f"set-{number}.lock").open("w") for number in range(SETS_AT_ONCE)]
    for file in files:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return file
    chosen = files[os.getpid() % SETS_AT_ONCE]
    fcntl.flock(chosen, fcntl.LOCK_EX)
    return chosen
