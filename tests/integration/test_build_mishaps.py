"""Everything that may go wrong in a build: its exit code, what it says, and that nothing half-made is left."""

from __future__ import annotations

import fcntl
import os
import pty
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from tests.building import (
    BUNDLEGEN,
    MAKESELF_IS_CARRIED,
    PROGRAM,
    TIMEOUT,
    build,
    contents,
    environment,
    run,
    specification,
    write,
)
from tests.needs import WITH_SIGNALS

KILLS = 50


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, specification())
    return tmp_path


def failed(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """It ended with ``code``, said ``words`` as an error with a hint, and nothing else but what it had issued."""
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stdout == ""
    *before, error = done.stderr.splitlines()
    assert all(line.startswith("bundlegen: issued ") for line in before), done.stderr
    assert error.startswith("bundlegen: error: ")
    assert error.endswith(")"), "no hint"
    for word in words:
        assert word in error


def nothing_left(folder: Path) -> None:
    assert [path for path in folder.rglob("*") if path.is_file() or path.name.startswith(".unfinished")] == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", place], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk(folder: Path, small_disk: Path) -> None:
    done = run(folder, "build", "cluster.yaml", "--output", "small")
    failed(done, 7, "cannot write small/prod/create/", "No space left on device", "free some space")
    assert list(small_disk.iterdir()) == [] or not any(small_disk.rglob("*.run"))
    nothing_left(small_disk)


def test_an_output_that_is_read_only(folder: Path, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    done = run(folder, "build", "cluster.yaml", "--output", "small")
    failed(done, 7, "small/prod", "Read-only file system", "--output")


@pytest.mark.parametrize("output", ["file", "file/below"])
def test_an_output_that_is_a_file(folder: Path, output: str) -> None:
    (folder / "file").write_text("mine")
    failed(run(folder, "build", "cluster.yaml", "--output", output), 4, "file", "a file is where a folder is wanted")
    assert (folder / "file").read_text() == "mine"


def test_a_change_that_is_a_link(folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "out/prod").mkdir(parents=True)
    (folder / "out/prod/create").symlink_to(folder / "elsewhere")
    failed(run(folder, "build", "cluster.yaml"), 4, "it is not a folder", "--replace")
    assert list((folder / "elsewhere").iterdir()) == []


@pytest.mark.skipif(bool(PROGRAM), reason=MAKESELF_IS_CARRIED)
def test_no_makeself(folder: Path) -> None:
    (folder / "bin").mkdir()
    done = run(folder, "build", "cluster.yaml", env=environment(PATH=str(folder / "bin")))
    failed(done, 5, "makeself is missing", "apt-get install makeself")
    assert sorted(path.name for path in folder.iterdir()) == ["bin", "cluster.yaml"]


@pytest.mark.skipif(bool(PROGRAM), reason=MAKESELF_IS_CARRIED)
@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("echo gone wrong >&2; exit 3", ("makeself failed with exit code 3: gone wrong",)),
        ("kill -9 $$", ("makeself was killed by SIGKILL",)),
        ('for out; do :; done; printf "#!/bin/sh\\n" > bundle.run', ("a stub bundlegen does not know", "2.4.5")),
    ],
)
def test_a_makeself_that_fails(folder: Path, program: str, words: tuple[str, ...]) -> None:
    (folder / "bin").mkdir()
    (folder / "bin/makeself").write_text(f"#!/bin/sh\n{program}\n")
    (folder / "bin/makeself").chmod(0o755)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    failed(run(folder, "build", "cluster.yaml", env=environment(PATH=path)), 5, *words)
    assert not (folder / "pki").exists()


def test_a_build_under_way_is_not_disturbed(folder: Path) -> None:
    build(folder)
    lock = folder / "pki/prod/.lock"
    with lock.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = run(folder, "build", "cluster.yaml")
    failed(done, 4, "pki/prod is in use by another bundlegen", "wait until it has ended")


@pytest.mark.parametrize("words", [("plan", "cluster.yaml"), ("build", "cluster.yaml"), ("schema",)])
def test_standard_output_is_full(folder: Path, words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*BUNDLEGEN, *words], cwd=folder, env=environment(), stdout=full, stderr=subprocess.PIPE, text=True,
            timeout=TIMEOUT, check=False,
        )  # fmt: skip
    assert done.returncode == 7
    assert "Traceback" not in done.stderr
    assert "cannot write the result to standard output: No space left on device" in done.stderr


@pytest.mark.parametrize("words", [("schema",), ("plan", "cluster.yaml")])
def test_a_reader_that_has_gone(folder: Path, words: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*BUNDLEGEN, *words], cwd=folder, env=environment(), stdout=writing, stderr=subprocess.PIPE, text=True,
        timeout=TIMEOUT, check=False,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*WITH_SIGNALS, *BUNDLEGEN, "build", "cluster.yaml"], cwd=folder, env=environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def until(what: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not what() and process.poll() is None:
        time.sleep(0.0005)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_leaves_nothing_half_made(tmp_path: Path, number: signal.Signals, code: int) -> None:
    write(tmp_path, specification(hosts=20))
    process = start(tmp_path)
    until(lambda: any((tmp_path / "out").rglob("*.run")), process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == code, errors
    assert "interrupted; nothing half-made was left" in errors
    assert "Traceback" not in errors
    nothing_left(tmp_path / "out")
    assert build(tmp_path).is_dir()


@pytest.mark.slow
def test_killed_at_any_moment(tmp_path: Path) -> None:
    """kill -9 at 50 moments: the change is absent or complete, the store whole, and the next run succeeds."""
    write(tmp_path, specification(hosts=2))
    began = time.monotonic()
    whole = contents(build(tmp_path))
    lasted = time.monotonic() - began
    random = Random(20261122)  # the same moments in every run, as far as the machine allows
    finished = 0
    for number in range(KILLS):
        folder = tmp_path / f"store{number % 5}"
        folder.mkdir(exist_ok=True)
        write(folder, specification(hosts=2, name=f"c{number}"))
        process = start(folder)
        time.sleep(random.uniform(0, lasted))
        finished += process.poll() is not None
        process.kill()
        process.communicate(timeout=TIMEOUT)
        for change in folder.glob(f"out/c{number}/create"):
            assert contents(change).keys() == whole.keys()
    print(f"{KILLS} kills, {finished} of them after the end")
    assert finished < KILLS
    for number in range(KILLS):
        folder = tmp_path / f"store{number % 5}"
        write(folder, specification(hosts=2, name=f"c{number}"))
        # The build verifies all it makes before it ends, so one that succeeds proves the store whole.
        done = run(folder, "build", "cluster.yaml")
        assert done.returncode == 0, done.stderr
        assert contents(folder / f"out/c{number}/create").keys() == whole.keys()
        assert [path.name for path in (folder / f"out/c{number}").iterdir()] == ["create"]


def on_a_terminal(folder: Path, **env: str) -> str:
    """What a person sees of a build, on a pseudo-terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*BUNDLEGEN, "build", "cluster.yaml"], cwd=folder, env=environment(TERM="xterm-256color", **env),
        stdin=theirs, stdout=subprocess.DEVNULL, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    while True:
        try:
            block = os.read(ours, 65536)
        except OSError:
            break
        if not block:
            break
        seen += block
    os.close(ours)
    assert process.wait(TIMEOUT) == 0
    return seen.decode()


def test_progress_is_for_terminals(folder: Path) -> None:
    write(folder, specification(hosts=2))
    seen = on_a_terminal(folder)
    assert "making keys" in seen
    assert "\033[33mwarning\033[0m" in seen
    shutil.rmtree(folder / "out")
    done = run(folder, "build", "cluster.yaml")
    assert "\033" not in done.stderr + done.stdout
    assert "packing" not in done.stderr


def test_no_colour_where_none_is_wanted(folder: Path) -> None:
    write(folder, specification(hosts=2))
    seen = on_a_terminal(folder, NO_COLOR="1")
    assert "warning: " in seen
    assert "\033[33m" not in seen
    assert "\033[3" not in seen.replace("\033[?25", "")


def test_quiet_says_nothing(folder: Path) -> None:
    write(folder, specification(hosts=2))
    done = run(folder, "build", "cluster.yaml", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
