"""A host for the installer to work on: namespaces, tmpfs, and stand-ins for systemd, kubelet, kubeadm and etcd.

The script under test runs unchanged, as on a real host; only what it meets is a stand-in.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.shell.payload import STATE, Payload

HERE = Path(__file__).parent
TREES = ("etc", "var/lib", "usr/local/bin")
Tree = dict[str, tuple[str, ...]]


class Sandbox:
    """One host; use as a context manager."""

    def __init__(self, folder: Path, name: str = "infra0") -> None:
        self.folder = folder
        self.name = name

    def __enter__(self) -> Sandbox:
        mount_point = self.folder / "root"
        mount_point.mkdir(parents=True)
        python = os.path.realpath(sys.executable)
        unshare = ["unshare", "--mount", "--net", "--pid", "--uts", "--fork", "--kill-child", "/bin/bash"]
        arguments = [HERE / "enter.bash", mount_point, HERE / "stubs", sys.base_prefix, python, self.name]
        self.keeper = subprocess.Popen(
            [*unshare, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.keeper.stdout is not None
        assert self.keeper.stdout.readline() == "ready\n", "the sandbox could not be made; it needs root"
        children = Path(f"/proc/{self.keeper.pid}/task/{self.keeper.pid}/children").read_text().split()
        self.pid = int(children[0])
        self.root = Path(f"/proc/{self.pid}/root")
        return self

    def __exit__(self, *_: object) -> None:
        # the process that is number 1 in the sandbox takes all others, and the mounts, with it
        os.kill(self.pid, 9)
        self.keeper.communicate()

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
        return [*enter, *argv]

    def execute(
        self, *argv: str, env: Mapping[str, str] | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(argv), capture_output=True, text=True, errors="replace",
            stdin=subprocess.DEVNULL, env={"PATH": "/usr/bin:/bin", **(env or {})}, timeout=timeout, check=False,
        )  # fmt: skip

    def unpack(self, payload: Payload, where: str = "/run/bundlegen-unpack.1.x") -> str:
        """The payload as makeself's stub leaves it. Process 1 is alive, so that it is not swept away."""
        payload.write(self.folder / "payload")
        shutil.rmtree(self.path(where), ignore_errors=True)
        shutil.copytree(self.folder / "payload", self.path(where))
        self.path(where).chmod(0o700)
        return where

    def install(
        self, payload: Payload, *arguments: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs the bundle with these arguments."""
        return self.run(self.unpack(payload), *arguments, env=env)

    def run(
        self, folder: str, *arguments: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return self.execute("/bin/bash", "-p", f"{folder}/install.sh", *arguments, env=env)

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
        return sorted(self.path(f"{STATE}/receipts").glob("*.json"))


def _facts(path: Path, *, times: bool) -> tuple[str, ...]:
    status = path.lstat()
    facts = [oct(status.st_mode), f"{status.st_uid}:{status.st_gid}"]
    if path.is_symlink():
        facts.append(os.readlink(path))
    elif path.is_file():
        facts.append(hashlib.sha256(path.read_bytes()).hexdigest())
    if times:
        facts.append(str(status.st_mtime_ns))
    return tuple(facts)
