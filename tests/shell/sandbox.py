"""A host for the installer to work on: namespaces, tmpfs, and stand-ins for systemd, kubelet, kubeadm and etcd.

The script under test runs unchanged, as on a real host; only what it meets is a stand-in.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.needs import WITH_SIGNALS
from tests.shell.payload import STATE, Payload, authority, leaf, pem

HERE = Path(__file__).parent
TREES = ("etc", "var/lib", "usr/local/bin", "usr/local/lib/bundlegen")
MUTATORS = ("cat", "chmod", "chown", "cp", "kubeadm", "mkdir", "mv", "rm", "rmdir", "sync", "systemctl")
BUNDLE = "/media/infra0.run"
Tree = dict[str, tuple[str, ...]]


class Sandbox:
    """One host; use as a context manager."""

    def __init__(self, folder: Path, name: str = "infra0", address: str = "10.0.0.6") -> None:
        self.folder = folder
        self.name = name
        self.address = address
        self.spawned: list[subprocess.Popen[bytes]] = []
        self.told: dict[str, str] = {}

    def __enter__(self) -> Self:
        mount_point = self.folder / "root"
        mount_point.mkdir(parents=True)
        python = os.path.realpath(sys.executable)
        unshare = ["unshare", "--mount", "--net", "--pid", "--uts", "--fork", "--kill-child", "/bin/bash"]
        arguments: list[str | Path] = [
            HERE / "enter.bash",
            mount_point,
            HERE / "stubs",
            sys.base_prefix,
            python,
            self.name,
            self.address,
        ]
        self.keeper = subprocess.Popen([*unshare, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.keeper.stdout is not None
        if self.keeper.stdout.readline() != "ready\n":
            self.keeper.communicate()
            raise AssertionError("the sandbox could not be made; enter.bash says above why")
        children = Path(f"/proc/{self.keeper.pid}/task/{self.keeper.pid}/children").read_text().split()
        self.pid = int(children[0])
        self.root = Path(f"/proc/{self.pid}/root")
        return self

    def __exit__(self, *_: object) -> None:
        # the process that is number 1 in the sandbox takes all others, and the mounts, with it
        os.kill(self.pid, 9)
        self.keeper.communicate()
        for process in self.spawned:
            process.wait()

    def path(self, path: str) -> Path:
        """Where a path of the host is to be found from here."""
        return self.root / path.lstrip("/")

    def write(self, path: str, text: str = "") -> Path:
        place = self.path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return place

    def command(self, argv: Sequence[str]) -> list[str]:
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--net", "--pid", "--uts", "--root", "--wd"]
        return [*WITH_SIGNALS, *enter, *argv]

    def execute(
        self, *argv: str, env: Mapping[str, str] | None = None, timeout: float = 400
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(argv), capture_output=True, text=True, errors="replace",
            stdin=subprocess.DEVNULL, env={"PATH": "/usr/bin:/bin", **(env or {})}, timeout=timeout, check=False,
        )  # fmt: skip

    def spawn(self, name: str, *arguments: str) -> None:
        """A process of the host that lives as long as the host; Python, under the name given."""
        python = self.stubbed("python").strip()
        env = {"PYTHONHOME": sys.base_prefix, "PATH": "/usr/bin:/bin"}
        argv = self.command(["/bin/bash", "-c", 'exec -a "$0" "$@"', name, python, *arguments])
        quiet = subprocess.DEVNULL
        self.spawned.append(subprocess.Popen(argv, env=env, stdin=quiet, stdout=quiet, stderr=quiet))

    def neighbour(self, name: str, address: str) -> None:
        """Another host's member, on an address of its own; `stub(f"{name}/mode", …)` decides how it is."""
        certificate, key = leaf("one", "etcd/server", name, address, 365)
        folder = self.path(f"/var/stub/{name}")
        folder.mkdir()
        for file, data in (
            ("ca.crt", pem(authority("one").certificate)),
            ("server.crt", certificate),
            ("server.key", key),
        ):
            (folder / file).write_bytes(data)
        self.execute("/bin/ip", "address", "add", f"{address}/24", "dev", "lo")
        flags = (f"--name={name}", f"--listen-client-urls=https://{address}:2379", f"--initial-cluster={name}=x")
        self.spawn("etcd", "/usr/local/sbin/fake_etcd.py", *flags, f"--stub-folder=/var/stub/{name}")
        listening = "".join(f"{int(octet):02X}" for octet in reversed(address.split("."))) + ":094C"
        self.until(lambda: listening in self.execute("/bin/cat", "/proc/net/tcp").stdout)

    def without_interpreter(self) -> None:
        """Take away the stand-ins' interpreter where it is not the system's: it may be below /root, and brings keys of
        its own tests. What of it runs goes on."""
        if sys.base_prefix != "/usr":
            assert self.execute("/usr/bin/umount", "--lazy", sys.base_prefix).returncode == 0

    def until(self, true: Callable[[], bool]) -> None:
        """Waits for something that a spawned process does."""
        for _ in range(500):
            if true():
                return
            time.sleep(0.02)
        raise AssertionError("it never came true")

    def unpack(self, payload: Payload, where: str = "/run/bundlegen-unpack.1.x") -> str:
        """The payload as makeself's stub leaves it. Process 1 is alive, so that it is not swept away."""
        payload.write(self.folder / "payload")
        self.told = self._carry(payload)
        shutil.rmtree(self.path(where), ignore_errors=True)
        shutil.copytree(self.folder / "payload", self.path(where))
        self.path(where).chmod(0o700)
        return where

    def _carry(self, payload: Payload) -> dict[str, str]:
        """The bundle's file with its images, and what the stub would say of it."""
        if not payload.pieces:
            return {}
        pieces = b"".join(payload.pieces.values())
        if name := payload.conf["IMAGES_FILE"]:
            self.path(BUNDLE).with_name(name).write_bytes(pieces)
            pieces = b""
        self.path(BUNDLE).write_bytes(b"stub" + pieces)
        return {"BUNDLEGEN_FILE": BUNDLE, "BUNDLEGEN_IMAGES_AT": "4"}

    def install(
        self, payload: Payload, *arguments: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs the bundle with these arguments."""
        return self.run(self.unpack(payload), *arguments, env=env)

    def run(
        self, folder: str, *arguments: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return self.execute("/bin/bash", "-p", f"{folder}/install.sh", *arguments, env={**self.told, **(env or {})})

    def arm(self, point: int, action: str) -> None:
        """At the call with this number of a command that changes something, `action` happens; see stubs/fault."""
        fault = self.path("/var/stub/fault")
        shutil.rmtree(fault, ignore_errors=True)
        fault.mkdir()
        (fault / "armed").write_text(str(point))
        (fault / "action").write_text(action)
        commands, real = self.path("/var/stub/bin"), self.path("/var/stub/real")
        real.mkdir(exist_ok=True)
        for name in MUTATORS:
            if (HERE / "stubs" / name).exists() and not (real / name).exists():
                (commands / name).rename(real / name)
            shutil.copy(commands / "fault", commands / name)

    def disarm(self) -> list[str]:
        """Back to normal; the calls that were counted."""
        fault = self.path("/var/stub/fault")
        calls = (fault / "log").read_text().splitlines() if (fault / "log").exists() else []
        shutil.rmtree(fault)
        self.execute("/usr/bin/mount", "-o", "remount,rw", "/etc")
        self.execute("/usr/bin/mount", "-o", "remount,rw", "/var")
        for file in ("/etc/full", "/var/full"):
            self.path(file).unlink(missing_ok=True)
        return calls

    def run_armed(self, folder: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Like run, as a process group of its own, so that it can be killed whole."""
        start = 'echo $$ > /var/stub/fault/group; exec /bin/bash -p "$0"/install.sh "$@"'
        return self.execute("/usr/bin/setsid", "--wait", "/bin/bash", "-c", start, folder, *arguments, env=self.told)

    def tree(self, *, times: bool = False, receipts: bool = False) -> Tree:
        """Every file and folder of the host that may change: kind, mode, owner, content, and times if asked."""
        found: Tree = {}
        for top in TREES:
            for folder, folders, files in os.walk(self.root / top):
                if not receipts and folder.endswith("/receipts"):
                    continue
                for name in [*folders, *files]:
                    path = Path(folder, name)
                    shown = str(path.relative_to(self.root))
                    if receipts or not shown.endswith("/receipts"):
                        found[shown] = _facts(path, times=times)
        return found

    def stub(self, name: str, text: str) -> None:
        """Sets how a stand-in behaves; see stubs/."""
        self.write(f"/var/stub/{name}", text)

    def stubbed(self, name: str) -> str:
        file = self.path(f"/var/stub/{name}")
        return file.read_text() if file.exists() else ""

    def settings(self) -> str:
        """Whether kubelet is enabled and runs, and with which command."""
        return "".join(self.stubbed(name) for name in ("enabled", "active", "exec-start"))

    def receipts(self) -> list[Path]:
        """From the oldest to the newest; within a second the names do not tell."""
        found = self.path(f"{STATE}/receipts").glob("*.json")
        return sorted(found, key=lambda path: (path.name[:16], path.stat().st_mtime_ns))


def _facts(path: Path, *, times: bool) -> tuple[str, ...]:
    status = path.lstat()
    facts = [oct(status.st_mode), f"{status.st_uid}:{status.st_gid}"]
    if path.is_symlink():
        facts.append(str(path.readlink()))
    elif str(path).endswith(f"{STATE}/member"):
        # the time and the numbers in it are of the moment
        facts.append("a member")
    elif path.is_file():
        facts.append(hashlib.sha256(path.read_bytes()).hexdigest())
    if times:
        facts.append(str(status.st_mtime_ns))
    return tuple(facts)
