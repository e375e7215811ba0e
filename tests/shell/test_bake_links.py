"""bake on trees whose folders are links: those that lead out of the tree are refused, others followed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.shell.payload import Base
from tests.shell.test_bake import WANTS, bake, image, tree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    if os.geteuid() != 0:
        pytest.skip("baking needs root")
    return image(tmp_path / "image")


@pytest.mark.parametrize("path", ["etc/systemd/system", "usr/local/lib", "etc", "run", WANTS[1:]])
@pytest.mark.parametrize("verb", ["bake", "hygiene"])
def test_a_link_out_of_the_tree_is_not_followed(root: Path, tmp_path: Path, path: str, verb: str) -> None:
    """It would be the builder's own file: in the image it means another one."""
    (tmp_path / "builder").mkdir()
    shutil.rmtree(root / path, ignore_errors=True)
    (root / path).symlink_to(tmp_path / "builder")
    before = tree(root)
    done = bake(root, Base(), verb, work=tmp_path / "work")
    assert done.returncode == 11
    assert f"leads out of {root} by a symbolic link, to {tmp_path}/builder" in done.stderr
    assert tree(root) == before
    assert list((tmp_path / "builder").iterdir()) == []


def test_a_link_that_stays_in_the_tree_is_followed(root: Path, tmp_path: Path) -> None:
    (root / "var/usrlocal").mkdir()
    shutil.rmtree(root / "usr/local")
    (root / "usr/local").symlink_to("../var/usrlocal")
    assert bake(root, Base(), work=tmp_path / "work").returncode == 0
    assert (root / "var/usrlocal/lib/bundlegen/bundle/install.sh").is_file()


@pytest.mark.parametrize("content", [None, "a file"])
def test_what_is_no_folder_is_said(root: Path, tmp_path: Path, content: str | None) -> None:
    place = root / "etc/bundlegen"
    if content is None:
        place.symlink_to("gone")
    else:
        place.write_text(content)
    before = tree(root)
    done = bake(root, Base(), work=tmp_path / "work")
    assert done.returncode == 13
    assert "/etc/bundlegen must be a folder, and is a file or a link to nothing" in done.stderr
    assert tree(root) == before
