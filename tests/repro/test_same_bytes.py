"""The same specification and store give the same bytes, whatever differs around them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests import image_archives
from tests.building import BUNDLEGEN, ROOT, TIMEOUT, build, contents, environment, forget, run, specification, write


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("control")
    image_archives.write(folder / "etcd.tar", image_archives.docker())
    image_archives.write(folder / "pause.tar", image_archives.docker(image_archives.PAUSE))
    write(folder, specification(manifest="rendered", images=["*.tar"]))
    build(folder, "--base")
    return folder


def copied(control: Path, place: Path) -> Path:
    """The specification and the store in another folder, without what was built."""
    shutil.copytree(control, place, ignore=shutil.ignore_patterns("out"))
    return place


@pytest.mark.parametrize(
    "changes",
    [
        {"TZ": "Pacific/Kiritimati"},
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8", "PYTHONUTF8": "0"},
        {"PYTHONHASHSEED": "0"},
        {"PYTHONHASHSEED": "4294967295"},
        {"SOURCE_DATE_EPOCH": str(int(time.time()) + 43200)},
        {"HOME": "/nonexistent"},
        {"TMPDIR": "temporary files"},
        {"GZIP": "-1", "TAR_OPTIONS": "--owner=nobody", "SETUP_NOCHECK": "1"},
    ],
    ids=lambda changes: ",".join(changes),
)
def test_environment(control: Path, tmp_path: Path, changes: dict[str, str]) -> None:
    folder = copied(control, tmp_path / "a place with spaces")
    if "TMPDIR" in changes:
        changes = {"TMPDIR": str(tmp_path / changes["TMPDIR"])}
        Path(changes["TMPDIR"]).mkdir()
    build(folder, "--base", env=environment(**changes))
    assert contents(folder / "out") == contents(control / "out")


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o027, 0o077, 0o777])
def test_umask(control: Path, tmp_path: Path, mask: int) -> None:
    """Bytes and modes."""
    folder = copied(control, tmp_path / "copy")
    done = subprocess.run(
        [*BUNDLEGEN, "build", "cluster.yaml", "--base"], cwd=folder, env=environment(), umask=mask,
        capture_output=True, text=True, timeout=TIMEOUT, check=False,
    )  # fmt: skip
    if mask == 0o777 and os.geteuid() != 0:
        pytest.skip("with this umask only root may enter its own new folders")
    assert done.returncode == 0, done.stderr
    assert contents(folder / "out") == contents(control / "out")
    for path in (folder / "out/prod/create").iterdir():
        assert path.stat().st_mode == (control / "out/prod/create" / path.name).stat().st_mode


def test_jobs_and_json(control: Path, tmp_path: Path) -> None:
    folder = copied(control, tmp_path / "copy")
    build(folder, "--base", "--jobs", "1", "--json")
    assert contents(folder / "out") == contents(control / "out")


def test_images_in_one_file(control: Path, tmp_path: Path) -> None:
    """It holds the very pieces that bundles have on board, wherever and however it is made."""
    one, two = copied(control, tmp_path / "one"), copied(control, tmp_path / "another place")
    for copy in (one, two):
        forget(copy / "pki/prod")
    build(one, "--shared-images", "--base")
    build(two, "--shared-images", "--base", env=environment(TZ="Pacific/Kiritimati", PYTHONHASHSEED="0", GZIP="-1"))
    made = contents(one / "out")
    assert made == contents(two / "out")
    pieces = made["prod/create/images.tar.gz"]
    assert contents(control / "out")["prod/create/infra0.run"].endswith(pieces)


def test_names_of_folders(control: Path, tmp_path: Path) -> None:
    folder = copied(control, tmp_path / "copy")
    (folder / "pki").rename(folder / "keys and such")
    (folder / "cluster.yaml").rename(folder / "Ämter.yaml")
    done = run(
        folder, "build", "--base", str(folder / "Ämter.yaml"), "--pki", "keys and such", "--output", "elsewhere/deep"
    )
    assert done.returncode == 0, done.stderr
    assert contents(folder / "elsewhere/deep") == contents(control / "out")


def test_order_of_files_on_disk(control: Path, tmp_path: Path) -> None:
    """A store whose files were made in another order, on a file system that lists them as they were made."""
    folder = tmp_path / "copy"
    for name, content in sorted(contents(control).items(), reverse=True):
        if not name.startswith("out/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            (folder / name).write_bytes(content)
            (folder / name).chmod((control / name).stat().st_mode & 0o777)
    for path in (folder / "pki").rglob("*"):
        if path.is_dir():
            path.chmod(0o700)
    build(folder, "--base")
    assert contents(folder / "out") == contents(control / "out")


def copy_requirements(name: str, target: Path) -> None:
    """The files of all that the distribution requires, of what those require, and so on."""
    wanted, done = [name], set()
    while wanted:
        required = metadata.requires(wanted.pop()) or []
        for requirement in map(Requirement, required):
            if (requirement.marker and not requirement.marker.evaluate({"extra": ""})) or requirement.name in done:
                continue
            done.add(requirement.name)
            wanted.append(requirement.name)
            for file in metadata.files(requirement.name) or []:
                if ".." not in file.parts and "__pycache__" not in file.parts:
                    (target / file).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(str(file.locate()), target / file)


def a_python_for(become: list[str]) -> str:
    """An interpreter of this version that runs behind these words: this one, or the system's own."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (os.path.realpath(sys.executable), f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        if subprocess.run([*become, python, "-c", ""], capture_output=True, check=False).returncode == 0:
            return python
    pytest.skip(f"another user may run no {name} here")


def test_another_user(control: Path) -> None:
    """Not in a folder of pytest's, which no other user may enter."""
    if os.geteuid() != 0:
        pytest.skip("only root may become another user")
    place = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    try:
        # The checkout and its environment may be where that user may not go: what is needed goes along.
        folder = copied(control, place / "copy")
        for name, where in (("bundlegen", "bundlegen"), ("templates", "bundlegen/templates")):
            shutil.copytree(ROOT / name, place / where, ignore=shutil.ignore_patterns("__pycache__"))
        copy_requirements("bundlegen", place)
        subprocess.run(["chown", "-R", "65534:65534", place], check=True)
        become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        python = a_python_for(become)
        words = [*become, python, "-m", "bundlegen", "build", "cluster.yaml", "--base"]
        env = environment(PYTHONPATH=str(place), PYTHONDONTWRITEBYTECODE="1")
        done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        ours, theirs = contents(folder / "out"), contents(control / "out")
        assert ours.keys() == theirs.keys()
        # That user may get another Python by the same name, which the record says: bundles must not differ.
        bundles = [name for name in theirs if name.endswith(".run")]
        assert len(bundles) == 4
        assert {name: ours[name] for name in bundles} == {name: theirs[name] for name in bundles}
    finally:
        shutil.rmtree(place)
