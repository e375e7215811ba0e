"""A wheel of the tree as it is, built as `make wheel` builds it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lint.tree import ROOT, project_files


def copy_project(destination: Path) -> Path:
    """A copy of the project as git would commit it, so that no test leaves anything in the checkout."""
    for file in project_files():
        target = destination / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, target, follow_symlinks=False)
    # make uses the environment these tests run in; setting it up is not what they are about.
    (destination / ".venv").symlink_to(sys.prefix)
    return destination


def recipe(project: Path, target: str) -> None:
    """Run the commands of a make target, without what it depends on."""
    # Under `make test` the environment says so, and a make within would name itself and its folder.
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    listed = subprocess.run(
        ["make", "--dry-run", target], cwd=project, capture_output=True, text=True, check=True, env=environment
    ).stdout
    commands = [line for line in listed.splitlines() if not line.startswith(".ci/setup")]
    assert commands
    done = subprocess.run(
        ["bash", "-ec", "\n".join(commands)],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "PIP_NO_INDEX": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make dist` makes, made once however many processes share the tests."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    project = folder / "dist-project"
    with (folder / "dist.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (project / "dist/SHA256SUMS").exists():
            recipe(copy_project(project), "dist")
    return project / "dist"


def build_wheel(project: Path) -> Path:
    """The wheel that `make wheel` makes in the project's out/dist."""
    recipe(project, "wheel")
    (wheel,) = (project / "out/dist").iterdir()
    return wheel


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(copy_project(tmp_path_factory.mktemp("wheel")))
