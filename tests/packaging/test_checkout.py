"""The checkout as a developer and a first-time user meet it: make, setup, python -m."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import bundlegen
from tests.lint.tree import ROOT
from tests.packaging.conftest import copy_project, recipe

TARGETS = ("setup", "demo", "test", "e2e", "bench", "lint", "fmt", "wheel", "dist", "dist-oldest", "clean")


def run(*argv: str | Path, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


def test_make_alone_lists_every_target_and_does_nothing() -> None:
    done = run("make")
    listed = [line.split()[1] for line in done.stdout.splitlines()]
    assert set(TARGETS) <= set(listed)
    assert done.returncode == 0


def test_reading_the_makefile_runs_nothing() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "$(shell" not in text
    assert "!=" not in text


@pytest.mark.parametrize("command", [[Path(sys.prefix) / "bin/bundlegen"], [sys.executable, "-m", "bundlegen"]])
def test_the_commands_are_one(command: list[str | Path]) -> None:
    done = run(*command, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"bundlegen {bundlegen.__version__}\n", "")


def test_start_up_imports_nothing_heavy() -> None:
    done = run(sys.executable, "-X", "importtime", "-m", "bundlegen", "--version")
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert done.returncode == 0
    assert "bundlegen" in imported
    assert imported & {"cryptography", "pydantic", "jinja2", "yaml", "rich", "multiprocessing", "asyncio"} == set()


def test_clean_never_removes_keys_or_bundles(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    precious = [
        "pki/prod/ca.key",
        "pki/build/ca.key",
        "build.key",
        "out/prod/create/infra0.run",
        "out/pki/prod/etcd/ca.key",
        "out/.pki/ca.key",
        "examples/pki/ca.key",
        "tests/fixtures/own.key",
        "my-store/__pycache__/ca.key",
    ]
    made = ["build/lib/x.py", "out/dist/x.whl", "bundlegen.egg-info/PKG-INFO", ".mypy_cache/x", ".pytest_cache/x",
            ".ruff_cache/x", ".hypothesis/x", "bundlegen/pki/__pycache__/x.pyc", "tests/__pycache__/x.pyc"]  # fmt: skip
    before = {path.relative_to(project) for path in project.rglob("*") if path.is_file()}
    for name in precious + made:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    recipe(project, "clean")
    after = {path.relative_to(project) for path in project.rglob("*") if path.is_file()}
    assert after == before | {Path(name) for name in precious}
