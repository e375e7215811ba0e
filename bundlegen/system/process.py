"""The only door to other programs.

Programs get an argument list (never a shell), a fixed small environment, no standard input unless given, and never a
secret as an argument. What went wrong is told apart: missing, failed, killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundlegen.errors import ToolError

_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SHOWN_LINES: Final = 20


@dataclass(frozen=True)
class Completed:
    """What a program that ended with 0 wrote."""

    stdout: bytes
    stderr: bytes


def find(program: str, *, hint: str) -> str:
    """The path of ``program``. Raises ToolError with ``hint`` (how to get it) where it is missing."""
    found = shutil.which(program, path=_search_path())
    if found is None:
        raise ToolError(f"the program {program} is missing", hint=hint)
    return found


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    hint: str = "",
    talks: bool = False,
) -> Completed:
    """Run ``argv`` to its end and return what it wrote.

    ``env`` is added to a fixed environment (PATH, C locale, UTC). ``talks``: the program speaks to the user, so its
    standard error is bundlegen's. Raises ToolError: the program is missing, ended with
    another code than 0 (with the last lines it wrote), or was killed by a signal.
    """
    name = Path(argv[0]).name
    try:
        done = subprocess.run(
            list(argv),
            cwd=cwd,
            env=environment() | dict(env or {}),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE,
            stderr=None if talks else subprocess.PIPE,
            check=False,
        )
    except FileNotFoundError as error:
        raise ToolError(f"the program {name} is missing", hint=hint) from error
    except OSError as error:
        raise ToolError(f"{name} cannot be started: {error.strerror}", hint=hint) from error
    if done.returncode < 0:
        raise ToolError(f"{name} was killed by {_signal_name(-done.returncode)}", hint=hint)
    if done.returncode > 0:
        said = _tail(done.stderr or b"") or _tail(done.stdout)
        raise ToolError(f"{name} failed with exit code {done.returncode}" + (f": {said}" if said else ""), hint=hint)
    return Completed(done.stdout, done.stderr or b"")


def environment() -> dict[str, str]:
    """The environment every program gets: nothing of the user's but PATH, HOME and where temporary files go."""
    env = {"PATH": _search_path(), "LC_ALL": "C", "LANG": "C", "TZ": "UTC"}
    for name in ("HOME", "TMPDIR"):
        if value := os.environ.get(name):
            env[name] = value
    if getattr(sys, "frozen", False):
        # PyInstaller's bootloader points the loader at its own libraries; system programs need the system's.
        if original := os.environ.get("LD_LIBRARY_PATH_ORIG"):
            env["LD_LIBRARY_PATH"] = original
    elif value := os.environ.get("LD_LIBRARY_PATH"):
        env["LD_LIBRARY_PATH"] = value
    return env


def _search_path() -> str:
    return os.environ.get("PATH") or _PATH


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _tail(output: bytes) -> str:
    lines = [line for line in output.decode("utf-8", "replace").splitlines() if line.strip()]
    dropped = len(lines) - _SHOWN_LINES
    return "\n".join([f"[{dropped} lines before this]"] * (dropped > 0) + lines[-_SHOWN_LINES:])
