"""Python without docstrings and assertions, as ``PYTHONOPTIMIZE=2`` in somebody's environment makes it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.building import contents, specification, write

COMMANDS = (
    ["--version"],
    ["--help"],
    ["build", "--help"],
    ["plan", "cluster.yaml"],
    ["build", "cluster.yaml", "--base", "--seal"],
    ["verify", "out/prod/create"],
    ["inspect", "out/prod/create/infra0.run"],
    ["audit", "out"],
    ["schema"],
    ["schema", "change"],
)


def run(folder: Path, *words: str, level: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONOPTIMIZE": level, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", "bundlegen", *words], cwd=folder, capture_output=True, text=True, check=False, env=env
    )


@pytest.mark.parametrize("level", ["1", "2"])
def test_every_command_works_and_writes_the_same_bytes(tmp_path: Path, level: str) -> None:
    write(tmp_path, specification())
    for words in COMMANDS:
        done = run(tmp_path, *words, level=level)
        assert done.returncode == 0, (words, done.stderr)
        assert "Traceback" not in done.stderr
    help_ = [run(tmp_path, "build", "--help", level=each).stdout for each in ("0", level)]
    assert help_[0] == help_[1] != ""
    before = contents(tmp_path / "out/prod/create")
    again = run(tmp_path, "build", "cluster.yaml", "--base", "--seal", level="0")
    assert "is there already, byte for byte" in again.stderr
    assert contents(tmp_path / "out/prod/create") == before
    assert run(tmp_path, "nonsense", level=level).returncode == 2
