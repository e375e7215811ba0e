"""One test host: a systemd-nspawn container with its own systemd, address, cgroups, containerd and kubelet."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.rig import cgroups, tree
from tests.e2e.rig.commands import SYSTEM_PATH, CommandError, run
from tests.e2e.rig.keeper import Keeper
from tests.e2e.rig.network import script
from tests.e2e.rig.nspawn import Container
from tests.needs import WITH_SIGNALS

# Changes by itself while a host runs, and holds nothing that an installer writes.
RESTLESS = ("/var/log", "/var/lib/containerd", "/var/lib/kubelet", "/var/lib/systemd", "/var/tmp", "/etc/mtab")
BOOT_PATIENCE = 180  # a first boot may install a member


@dataclass(frozen=True)
class HostSpec:
    """What a host is: its name, its addresses with prefix length, and the machine-id it keeps over boots.

    machine: which of several machines that have had this name.
    """

    name: str
    addresses: tuple[str, ...]
    machine: str = ""

    @property
    def machine_id(self) -> str:
        return hashlib.sha256(f"{self.name}{self.machine}".encode()).hexdigest()[:32]


class Host:
    """A booted, or bootable, host. Everything it writes is in a folder of its own above the shared layers."""

    def __init__(
        self,
        spec: HostSpec,
        folder: Path,
        layers: Sequence[Path],
        keeper: Keeper,
        session_groups: tuple[Path, ...],
        containerd: Path | None = None,
    ) -> None:
        self.spec = spec
        self.name = spec.name
        self._folder = folder
        self._layers = tuple(layers)
        self._keeper = keeper
        self._session_groups = session_groups
        self._containerd = containerd
        self._groups: tuple[Path, ...] = ()
        self._container: Container | None = None
        self._leader = 0

    # Power

    def boot(self) -> None:
        """Boot and return when systemd has reached multi-user.target and containerd answers."""
        assert self._container is None, f"{self.name} is up"
        self._mount()
        self._groups = cgroups.host(self._session_groups, self.name)
        # overlayfs, which containerd uses, cannot be stacked on the overlay that is the host's root.
        binds = {self._folder / name: f"/var/lib/{name}" for name in ("containerd", "kubelet")}
        with (self._folder / "console.log").open("ab") as console:
            self._container = Container(
                self._keeper,
                directory=self._folder / "root",
                name=self.name,
                machine_id=self.spec.machine_id,
                binds=binds,
                groups=self._groups,
                console=console,
            )
        self._leader = self._container.wait_for_leader(BOOT_PATIENCE)
        if not self._leader:
            raise AssertionError(f"{self.name} does not boot:\n{self.console()}")
        self._wait_until_up()

    def power_off(self) -> None:
        """As if the plug were pulled: every process is gone at once, nothing is flushed or stopped in order."""
        if self._container is None:
            return
        self._container.kill()
        self._container, self._leader = None, 0
        # The kernel takes a dead namespace's interfaces away in its own time; the next boot wants the name now.
        run([*self._keeper.enter(), "ip", "link", "delete", f"vb-{self.name}"], check=False)
        cgroups.remove(self._groups)

    def reset(self) -> None:
        """Pull the plug, throw away everything the host ever wrote, boot."""
        self.discard()
        self.boot()

    def discard(self) -> None:
        """Pull the plug and throw away everything the host ever wrote."""
        self.power_off()
        run([*self._keeper.enter(), "umount", self._folder / "root"], check=False)
        shutil.rmtree(self._folder, ignore_errors=True)

    # Commands and files

    def exec(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        stdin: str | None = None,
        timeout: float = 120,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the host, as root, with the environment of a bare login."""
        try:
            return run([*self._inside(env or {}, cwd), *argv], check=check, stdin=stdin, timeout=timeout)
        except CommandError as failed:
            raise CommandError(f"on {self.name}: {failed}") from failed

    def start(self, argv: Sequence[str], **options: object) -> subprocess.Popen[str]:
        """Start a command on the host and do not wait for it; options as subprocess.Popen takes them."""
        return subprocess.Popen([*self._inside({}, "/"), *argv], text=True, **options)  # type: ignore[call-overload]

    def path(self, path: str) -> Path:
        """A host's file as seen from the testing machine (do not follow absolute links there)."""
        assert self._leader, f"{self.name} is down"
        return Path(f"/proc/{self._leader}/root") / path.lstrip("/")

    def shared_path(self, path: str) -> Path:
        """A host's file as programs see it that run inside the session's namespaces (Session.run)."""
        return self._folder / "root" / path.lstrip("/")

    def read(self, path: str) -> str:
        return self.path(path).read_text()

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def put(self, source: Path, target: str = "/root/") -> str:
        """Copy a file from the testing machine; returns its path on the host."""
        inside = f"{target}{source.name}" if target.endswith("/") else target
        self.path(inside).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, self.path(inside))
        return inside

    def snapshot(self, *, without: Sequence[str] = (), times: bool = True) -> tree.Tree:
        """All that differs from the pristine root file system, /run and /tmp's leftovers included by name.

        Nothing on a host can change without showing up in the overlay's upper layer, so that is what is read: it is
        a thousand times smaller than the whole tree. `without` adds to RESTLESS.
        """
        taken = tree.take(self._folder / "upper", without=(*RESTLESS, *without), times=times)
        for folder in ("/run", "/run/lock", "/tmp", "/dev/shm"):
            for left in sorted(self.path(folder).iterdir()):
                if any(word in left.name for word in ("bundlegen", "makeself", "selfgz")):
                    taken[f"{folder}/{left.name}"] = tree.Entry("left over", "", "", 0, "")
        return taken

    def image(self, target: Path) -> Path:
        """Copy all that the host, now down, has ever written to a folder: a layer that other hosts can be made of.

        As with a disk, what was in its memory and in containerd's and kubelet's folders does not come along.
        """
        assert self._container is None, f"{self.name} is up"
        run(["cp", "--archive", self._folder / "upper", target])
        return target

    def console(self) -> str:
        return (self._folder / "console.log").read_text(errors="replace")

    def set_clock(self, offset: str) -> None:
        """Make every newly started, dynamically linked program see another time ("+3d", "-2h", "+0").

        The kernel knows one clock for all hosts, so this is libfaketime through ld.so.preload: bash, date and openssl
        are fooled, and running daemons and Go programs are not.
        """
        if offset == "+0":
            self.path("/etc/ld.so.preload").unlink(missing_ok=True)
            return
        self.write("/etc/faketimerc", offset + "\n")
        library = next(self.path("/usr/lib").rglob("libfaketime.so.1"))
        inside = Path("/") / library.relative_to(self.path("/"))
        self.write("/etc/ld.so.preload", f"{inside}\n")

    # How

    def _inside(self, env: Mapping[str, str], cwd: str) -> list[str]:
        """The words in front of a command that make it run on the host."""
        assert self._leader, f"{self.name} is down"
        spaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root"]
        bare = {"PATH": SYSTEM_PATH, "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb", "USER": "root", **env}
        # chdir by env, inside: nsenter's own --wd is looked up before the root changes, and the host cannot name it.
        start = [
            *WITH_SIGNALS,
            "--ignore-environment",
            f"--chdir={cwd}",
            *(f"{name}={value}" for name, value in bare.items()),
        ]
        return ["nsenter", f"--target={self._leader}", *spaces, "--", *start]

    def _mount(self) -> None:
        for name in ("upper", "work", "root", "containerd", "kubelet"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        if self._containerd and not any((self._folder / "containerd").iterdir()):
            run(["cp", "--archive", "--reflink=auto", f"{self._containerd}/.", self._folder / "containerd"])
        root = self._keeper.path(self._folder / "root")
        if not (root / "etc").exists():
            lower = ":".join(str(layer) for layer in self._layers)
            options = f"lowerdir={lower},upperdir={self._folder / 'upper'},workdir={self._folder / 'work'}"
            run([*self._keeper.enter(), "mount", "-t", "overlay", "overlay", "-o", options, self._folder / "root"])
        for name, text in (
            ("etc/hostname", f"{self.name}\n"),
            ("etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n::1 localhost\n"),
            ("etc/machine-id", f"{self.spec.machine_id}\n"),
            ("etc/testhost/network", script(self.spec.addresses)),
        ):
            (root / name).parent.mkdir(exist_ok=True)
            if not (root / name).exists() or (root / name).read_text() != text:
                (root / name).unlink(missing_ok=True)
                (root / name).write_text(text)

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + BOOT_PATIENCE
        up = ["sh", "-c", "systemctl is-active --quiet multi-user.target && ctr version > /dev/null"]
        while time.monotonic() < deadline:
            if self.exec(up, check=False).returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError(f"{self.name} has not come up:\n{self.console()}")
