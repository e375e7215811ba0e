"""A cluster that has lived, for tests of what comes next."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.building import build, main
from tests.changing import FLAG, edit, kept, with_name


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cluster that was created, configured, and configured on one host."""
    folder = tmp_path_factory.mktemp("lived")
    edit(folder)
    build(folder)
    edit(folder, **FLAG)
    build(folder)
    edit(folder, **FLAG, **with_name(1, "etcd1.example.net"))
    build(folder)
    return folder


@pytest.fixture
def here(lived: Path, tmp_path: Path) -> Iterator[Path]:
    yield Path(shutil.copytree(lived, tmp_path / "here"))
    assert not list(tmp_path.rglob(".unfinished-*"))


@pytest.fixture
def at(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def refused(at: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command says that fails, and leaves everything as it was."""

    def call(code: int, *words: str) -> str:
        before = kept(at)
        capsys.readouterr()
        assert main(words) == code
        assert kept(at) == before
        return capsys.readouterr().err

    return call
