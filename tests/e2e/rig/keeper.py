"""The namespaces a session's hosts live in, held by one process that dies with the session.

The keeper is process 1 of a PID namespace and reads from a pipe that only the session holds open. However the session
ends, kill -9 included, the pipe closes, the keeper exits, the kernel kills every process of the namespace, and with
the last of them the mounts and the network are gone: nothing has to be cleaned up by code that may not run.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from tests.e2e.rig.commands import run

NSPAWN = "/run/systemd/nspawn"


class Keeper:
    """Mount, network, PID and IPC namespaces of one session."""

    def __init__(self) -> None:
        namespaces = ["--mount", "--net", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc"]
        self._process = subprocess.Popen(
            ["unshare", *namespaces, "--propagation", "private", "cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C goes to pytest alone, which then ends the keeper
        )
        self.pid = _first_child(self._process.pid)
        # nspawn keeps mounts and locks of its hosts there: no other session's, and gone with this one.
        own = f"mkdir -p {NSPAWN} && mount -t tmpfs -o mode=0755 tmpfs {NSPAWN}"
        run([*self.enter(), "sh", "-ec", own])

    def enter(self) -> list[str]:
        """The words in front of a command that make it run inside."""
        return ["nsenter", f"--target={self.pid}", "--mount", "--net", "--pid", "--ipc", "--"]

    def path(self, path: Path) -> Path:
        """A path inside, as seen from outside: mounts made inside are visible there."""
        return Path(f"/proc/{self.pid}/root{path}")

    def stop(self) -> None:
        """End every process inside; return when they are gone."""
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
        self._process.wait(timeout=30)


def children(pid: int) -> list[int]:
    """The direct children of a process; none if it has ended."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _first_child(pid: int) -> int:
    """The child of unshare, once it is `cat` in its new namespaces (before that, /proc is not mounted yet)."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for child in children(pid):
            if Path(f"/proc/{child}/comm").read_text().strip() == "cat":
                return child
        time.sleep(0.01)
    raise AssertionError("the namespaces for the test hosts could not be made")
