"""The project's own files, as git would commit them, and how a linter's complaint is shown."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@cache
def project_files() -> tuple[Path, ...]:
    """Every file that is or would be committed, sorted, relative to the project."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(sorted({Path(name) for name in done.stdout.split("\0") if name and (ROOT / name).is_file()}))


@cache
def text_of(file: Path) -> str:
    """The text of a project file; anything that is not UTF-8 counts as empty."""
    try:
        return (ROOT / file).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def shell_scripts() -> tuple[Path, ...]:
    """Every shell script that runs as it stands. Those below templates/ are checked as rendered."""
    return tuple(
        file
        for file in project_files()
        if file.parts[0] != "templates" and (file.suffix in (".sh", ".bash") or _has_shell_line(file))
    )


def _has_shell_line(file: Path) -> bool:
    first = text_of(file).partition("\n")[0]
    return first.startswith("#!") and first.rstrip().endswith(("bash", "/sh"))


def python_tool(module: str) -> tuple[str, ...]:
    """How to run a Python tool of the environment the tests run in."""
    return (sys.executable, "-m", module)


def check(argv: Sequence[str], *, stdin: str | None = None, env: dict[str, str] | None = None) -> None:
    """Run a linter on the project; its output is the failure, without a traceback. Skip where it is not installed."""
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not installed")
    done = subprocess.run(
        argv, cwd=ROOT, input=stdin, capture_output=True, text=True, check=False, env={**os.environ, **(env or {})}
    )
    if done.returncode != 0:
        pytest.fail(f"{' '.join(argv[:4])} …\n{done.stdout}{done.stderr}", pytrace=False)
