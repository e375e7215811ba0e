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

from tests.e2e.rig import cache, cgroups, machine, network
from tests.e2e.rig.commands import run
from tests.e2e.rig.host import Host, HostSpec
from tests.e2e.rig.keeper import Keeper

ROOM_IN_MEMORY = 6 << 30
SETS_AT_ONCE = 2


class Session:
    """Hosts in namespaces of their own. Use as a context manager; leaving it leaves nothing behind."""

    def __init__(self, *, limited: bool = True) -> None:
        """limited: wait until fewer than SETS_AT_ONCE are open on this machine."""
        sweep()
        self.id = uuid.uuid4().hex[:8]
        self.folder = _place() / f"{cgroups.PREFIX}{self.id}"
        self.folder.mkdir(mode=0o700)
        self._alive = _hold(self.folder / "alive")
        self._slot = _slot() if limited else None
        self._groups = cgroups.subtree(self.id)
        self._keeper = Keeper()
        network.make(self._keeper)
        self.hosts: list[Host] = []
        self._stores: dict[tuple[Path, ...], Path] = {}
        atexit.register(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def boot(self, specs: Sequence[HostSpec], layers: Sequence[Path], images: Sequence[Path] = ()) -> list[Host]:
        """Boot hosts side by side.

        layers: root file systems, the upper ones first; images: docker-archives that containerd holds at boot.
        """
        if shortage := machine.inotify_shortage(len(specs)):
            raise AssertionError(shortage)
        network.give_gateways(self._keeper, [address for spec in specs for address in spec.addresses])
        containerd = self._image_store(layers, tuple(images)) if images else None
        new = [self._host(spec, layers, containerd) for spec in specs]
        try:
            at_once([host.boot for host in new])
        except BaseException:
            self.discard(new)
            raise
        return new

    def discard(self, hosts: Sequence[Host]) -> None:
        """Pull the plug of these hosts and forget all they wrote; their names and addresses are free again."""
        for host in list(hosts):
            host.discard()
            self.hosts.remove(host)

    def _host(self, spec: HostSpec, layers: Sequence[Path], containerd: Path | None = None) -> Host:
        host = Host(spec, self.folder / spec.name, layers, self._keeper, self._groups, containerd)
        self.hosts.append(host)
        return host

    def _image_store(self, layers: Sequence[Path], images: tuple[Path, ...]) -> Path:
        """A /var/lib/containerd with these images, made by a host of its own: to copy it is faster than to import."""
        if images not in self._stores:
            host = self._host(HostSpec("store", ()), layers)
            host.boot()
            for image in images:
                host.exec(["ctr", "--namespace", "k8s.io", "images", "import", host.put(image, "/var/tmp/")])
            host.exec(["systemctl", "stop", "containerd"])
            host.power_off()
            store = self.folder / f"containerd{len(self._stores)}"
            (self.folder / "store" / "containerd").rename(store)
            self.discard([host])
            self._stores[images] = store
        return self._stores[images]

    def run(self, argv: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program of this machine inside the hosts' network; options as commands.run takes them."""
        return run(self.entering(argv), **options)

    def entering(self, argv: Sequence[str | Path]) -> list[str | Path]:
        """The words that run a program of this machine inside the hosts' network."""
        return [*self._keeper.enter(), *argv]

    def close(self) -> None:
        """End the hosts and remove every trace."""
        atexit.unregister(self.close)
        self._keeper.stop()
        for host in self.hosts:
            host.power_off()
        cgroups.remove(self._groups)
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._slot:
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
        for other in files:
            if other is not file:
                other.close()
        return file
    chosen = files.pop(os.getpid() % SETS_AT_ONCE)
    for other in files:
        other.close()
    fcntl.flock(chosen, fcntl.LOCK_EX)
    return chosen
