"""Start a program on the testing machine and wait for it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class CommandError(AssertionError):
    """A command that had to succeed did not; the message holds all it said."""


def run(
    argv: Sequence[str | Path],
    *,
    check: bool = True,
    stdin: str | None = None,
    timeout: float = 300,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run argv with an empty standard input unless given one.

    Raises CommandError on a non-zero exit (unless check is false) or when the time is up.
    """
    words = [str(word) for word in argv]
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    try:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            words,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout,
            env=None if env is None else dict(env),
            cwd=cwd,
            **given,
        )
    except subprocess.TimeoutExpired as late:
        raise CommandError(f"{' '.join(words)}: not done after {timeout:g} s\n{_text(late.output)}") from late
    if check and done.returncode != 0:
        raise CommandError(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def _text(output: bytes | str | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""
