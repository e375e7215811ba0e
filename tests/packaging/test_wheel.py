"""What is in the wheel, and that it works where it is installed."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import bundlegen
from bundlegen.system import resources
from tests.lint.tree import ROOT, project_files
from tests.packaging.conftest import build_wheel, copy_project

DIST_INFO = f"bundlegen-{bundlegen.__version__}.dist-info"


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_every_package_is_listed() -> None:
    listed = setup_cfg()["options"]["packages"].split()
    folders = {file.parent for file in project_files() if file.parts[0] == "bundlegen" and file.suffix == ".py"}
    assert sorted(listed) == sorted({".".join(folder.parts) for folder in folders} | {"bundlegen.templates"})


def test_wheel_holds_exactly_the_package_and_the_templates(wheel: Path) -> None:
    code = {file.as_posix() for file in project_files() if file.parts[0] == "bundlegen"}
    templates = {f"bundlegen/{file.as_posix()}" for file in project_files() if file.parts[0] == "templates"}
    assert {"bundlegen/cli.py", "bundlegen/pki/store.py", "bundlegen/py.typed"} <= code
    assert {"bundlegen/templates/kubeadmcfg.yaml.j2", "bundlegen/templates/install/core/log.sh"} <= templates
    about = {
        f"{DIST_INFO}/{name}"
        for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "top_level.txt")
    }
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert len(names) == len(set(names))
    assert set(names) == code | templates | about


def test_wheel_says_what_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"{DIST_INFO}/METADATA").decode()
        entry_points = archive.read(f"{DIST_INFO}/entry_points.txt").decode()
    for line in setup_cfg()["options"]["install_requires"].split():
        assert f"Requires-Dist: {line}\n" in metadata
    assert "Requires-Python: >=3.11\n" in metadata
    assert "bundlegen = bundlegen.cli:main" in entry_points


def test_wheel_is_the_same_twice_and_holds_no_stale_file(wheel: Path, tmp_path: Path) -> None:
    project = copy_project(tmp_path / "a folder with spaces")
    stale = project / "templates" / "stale.j2"
    stale.write_text("deleted before the wheel is built again\n", encoding="utf-8")
    first = build_wheel(project).read_bytes()
    stale.unlink()
    assert first != wheel.read_bytes()
    assert build_wheel(project).read_bytes() == wheel.read_bytes()


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel in it, offline: what bundlegen needs comes from our own environment."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False, symlinks=True)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            folder / "bin/python",
            "install",
            "-q",
            "--no-index",
            "--no-deps",
            wheel,
        ],
        check=True,
    )
    (site,) = folder.glob("lib/python*/site-packages")
    # As a path only: the .pth file of an editable bundlegen in there is not read then.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder


SHOW_TEMPLATES = """\
import sys
from bundlegen.system import resources
print(resources.templates_dir())
for name in resources.template_names():
    print(name, len(resources.template_text(name)))
"""


def shown(python: Path | str, cwd: Path) -> list[str]:
    return subprocess.run(
        [python, "-c", SHOW_TEMPLATES], cwd=cwd, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_templates_are_the_same_wheel_or_checkout(wheel: Path, installed: Path, tmp_path: Path) -> None:
    checkout = wheel.parents[2]
    from_wheel = shown(installed / "bin/python", tmp_path)
    from_checkout = shown(sys.executable, checkout)
    assert Path(from_wheel[0]).is_relative_to(installed)
    assert Path(from_checkout[0]) == checkout / "templates"
    assert from_wheel[1:] == from_checkout[1:]
    assert len(from_wheel) == 1 + len(resources.template_names()) > 5


def test_installed_command_builds_the_example(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [installed / "bin/bundlegen", "build", ROOT / "examples/three-hosts.yaml", "--quiet"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("out/*/create/*.run"))) == 3


def test_a_wheel_without_templates_says_so(installed: Path, tmp_path: Path) -> None:
    """The fault that a missing `package_data` line makes: it must name itself and not look elsewhere."""
    (site,) = installed.glob("lib/python*/site-packages/bundlegen")
    shutil.copytree(site, tmp_path / "bundlegen", ignore=shutil.ignore_patterns("templates"))
    (tmp_path / "templates").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SHOW_TEMPLATES], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "BundlegenError: bundlegen's templates are missing" in done.stderr
