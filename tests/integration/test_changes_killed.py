"""A build that is killed, at every one of its steps on the disk: the next one makes what it would have made."""

from __future__ import annotations

import os
import shutil
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundlegen import cli
from bundlegen.change import folder as change_folder
from bundlegen.pki import changes, files, ledger
from tests.building import PROGRAM, build, contents, main, run, specification, write

pytestmark = pytest.mark.skipif(bool(PROGRAM), reason="steps are counted in this process")

FLAG = {"etcd": {"extraArgs": {"heartbeat-interval": "200"}}}
HOSTS = specification(2)["hosts"]
CALLS = {os: ("mkdir", "rename", "ftruncate", "fsync", "rmdir"), files: ("sync",), changes: ("sync",)}
"""What makes something appear, or sure to stay. Writing alone changes nothing that anybody sees."""


def killed_at(step: int, words: list[str]) -> bool:
    """The command in a process of its own, killed before its ``step``-th call; False where it had fewer."""
    with warnings.catch_warnings():
        # Later Pythons warn of threads in the parent. The child starts none and ends without looking back.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            die_at(step)
            code = cli.main([*words, "--quiet"])
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def die_at(step: int) -> None:
    left = step

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **keywords)

        return call

    for module, names in CALLS.items():
        for name in names:
            setattr(module, name, counted(getattr(module, name)))
    monkey = vars(ledger)
    monkey["write_all"] = counted(monkey["write_all"])
    change_folder._exchange = counted(change_folder._exchange)


@pytest.fixture
def start(tmp_path: Path) -> Path:
    """A cluster of two hosts that was created, and is to be configured: a flag, and a name for the second."""
    folder = tmp_path / "start"
    folder.mkdir()
    write(folder, specification(2))
    build(folder)
    write(folder, {**specification(2, **FLAG), "hosts": [HOSTS[0], {**HOSTS[1], "extraSANs": ["b.example.net"]}]})
    return folder


def each_step(start: Path, words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run ``words`` in copies of ``start``, killed at the first step, the second, …; yields how many there were."""
    step = 0
    while True:
        step += 1
        copy = Path(shutil.copytree(start, start.parent / f"step{step}"))
        monkeypatch.chdir(copy)
        if not killed_at(step, words):
            return step
        check_healed(copy, start, words)
        shutil.rmtree(copy)


def history(folder: Path) -> list[bytes]:
    return (folder / "pki/prod/changes.jsonl").read_bytes().splitlines()


def check_healed(copy: Path, start: Path, words: list[str]) -> None:
    """What is there is whole; the same command then ends well, and leaves one entry and no rest."""
    approved = contents(start / "out/prod/create")
    assert contents(copy / "out/prod/create") == approved
    place = copy / "out/prod/2-configure"
    there = contents(place) if place.exists() else None
    if there is not None:
        assert run(copy, "verify", "out/prod/2-configure").returncode == 0
    assert main([*words, "--quiet"]) == 0
    if words[0] == "build":
        assert there in (None, contents(place))
    assert contents(copy / "out/prod/create") == approved
    assert len(history(copy)) == len(history(start)) + 1
    assert [path for path in copy.rglob(".*") if path.name.startswith((".new", ".unfinished"))] == []


def test_a_build_that_is_killed(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert each_step(start, ["build", "cluster.yaml"], monkeypatch) > 20


def test_a_withdrawal_that_is_killed(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(start)
    assert each_step(start, ["withdraw", "cluster.yaml"], monkeypatch) > 4


def test_between_the_history_and_the_folder(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed just before the folder appears: the change is in the history, and the same bytes come of it."""
    whole = Path(shutil.copytree(start, start.parent / "whole"))
    monkeypatch.chdir(start)

    class KilledError(BaseException):
        pass

    def die(_stage: change_folder.Staging) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(change_folder.Staging, "move", die)
        with pytest.raises(KilledError):
            cli.main(["build", "cluster.yaml", "--quiet"])
    assert len(history(start)) == 2
    assert not (start / "out/prod/2-configure").exists()
    assert main(["build", "cluster.yaml", "--quiet"]) == 0
    assert len(history(start)) == 2
    made = contents(start / "out/prod/2-configure")
    # Wherever and whenever it is made from this store.
    shutil.rmtree(whole / "pki")
    shutil.copytree(start / "pki", whole / "pki")
    monkeypatch.chdir(whole)
    assert main(["build", "cluster.yaml", "--quiet"]) == 0
    assert contents(whole / "out/prod/2-configure") == made


def test_a_full_disk_at_the_last_moment_leaves_no_entry(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(start)

    def full(_descriptor: int, _content: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "write_all", full)
        assert cli.main(["build", "cluster.yaml", "--quiet"]) == 7
    assert len(history(start)) == 1
    assert sorted(path.name for path in (start / "out/prod").iterdir()) == ["create"]
    assert main(["build", "cluster.yaml", "--quiet"]) == 0
