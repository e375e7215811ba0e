"""The one-file program: what is in it, and that it does what the checkout does where nothing is installed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lint.tree import ROOT
from tests.packaging.conftest import copy_project, recipe

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make dist` makes."""
    project = copy_project(tmp_path_factory.mktemp("dist"))
    recipe(project, "dist")
    return project / "dist"


@pytest.fixture(scope="module")
def program(dist: Path) -> Path:
    """The one-file program, or the one that BUNDLEGEN_PROGRAM names."""
    (made,) = dist.glob(f"bundlegen-*-linux-{os.uname().machine}")
    return Path(os.environ.get("BUNDLEGEN_PROGRAM", made))


def run(program: Path, folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Without a PATH to any Python or makeself that might be installed."""
    tools = folder / "tools"
    if not tools.exists():
        tools.mkdir()
        for tool in Path("/usr/bin").iterdir():
            if not tool.name.startswith(("python", "makeself", "pip")):
                (tools / tool.name).symlink_to(tool)
    return subprocess.run(
        [program, *words], cwd=folder, env={"PATH": str(tools), **env}, capture_output=True, text=True, check=False
    )


def test_sums_licences_and_materials_are_beside_it(dist: Path) -> None:
    pairs = [line.split("  ") for line in (dist / "SHA256SUMS").read_text().splitlines()]
    lines = {name: digest for digest, name in pairs}
    assert set(lines) == {path.name for path in dist.iterdir()} - {"SHA256SUMS"}
    for name, digest in lines.items():
        assert hashlib.sha256((dist / name).read_bytes()).hexdigest() == digest
    (bill,) = dist.glob("*.cdx.json")
    parts = {each["name"].lower() for each in json.loads(bill.read_text())["components"]}
    assert {"cryptography", "pydantic", "pydantic_core", "pyyaml", "jinja2", "makeself", "python"} <= parts
    licences = (dist / "THIRD-PARTY-LICENCES.txt").read_text()
    assert "GNU GENERAL PUBLIC LICENSE" in licences
    assert "makeself" in licences


def test_it_builds_the_same_bytes_as_the_checkout(program: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples/three-hosts.yaml", tmp_path / "cluster.yaml")
    done = run(program, tmp_path, "build", "cluster.yaml", "--output", "one")
    assert done.returncode == 0, done.stderr
    subprocess.run(
        [sys.executable, "-m", "bundlegen", "build", "cluster.yaml", "--output", "two"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    subprocess.run(["diff", "-r", tmp_path / "one", tmp_path / "two"], check=True)


def test_exit_codes_and_messages_are_the_same(program: Path, tmp_path: Path) -> None:
    done = run(program, tmp_path, "build", "missing.yaml")
    assert (done.returncode, done.stdout) == (3, "")
    assert "missing.yaml: does not exist" in done.stderr
    assert run(program, tmp_path, "nonsense").returncode == 2


def test_a_temporary_folder_from_which_nothing_may_run_does_not_matter(program: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount such a folder")
    locked, open_folder = tmp_path / "locked", tmp_path / "home"
    locked.mkdir()
    open_folder.mkdir()
    script = 'mount -t tmpfs -o noexec tmpfs "$1" && TMPDIR=$1 HOME=$2 "$3" --version && ls -A "$1" "$2"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", locked, open_folder, program],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("bundlegen ")
    assert sorted(filter(None, done.stdout.splitlines()[1:])) == sorted([f"{locked}:", f"{open_folder}:"])
