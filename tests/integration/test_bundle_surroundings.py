"""A bundle as a file in odd surroundings: a hostile environment, a pipe, a bad copy, somebody else's folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bundlegen.bundle.stub import Stub, make_stub
from bundlegen.trust import bundle
from tests.bundle_files import SHELLS, make, run, told

# Everything that the stub starts or uses of the shell, and what could replace the lines that protect it.
NAMES = (
    *("awk", "basename", "cat", "cd", "chmod", "cut", "dd", "df", "dirname", "echo", "eval", "exec", "exit", "expr"),
    *("export", "find", "gzip", "head", "id", "mktemp", "mkdir", "printf", "pwd", "read", "return", "rm", "sed", "set"),
    *("sha256sum", "shift", "stat", "tail", "tar", "test", "tr", "trap", "type", "umask", "unset", "wc", "which", "["),
)
AGAIN = "Copy the bundle again and compare its SHA-256 with SHA256SUMS."


@pytest.fixture(scope="module")
def stub() -> Stub:
    return make_stub()


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    words = SHELLS[request.param]
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    return words


@pytest.fixture
def made(tmp_path: Path, stub: Stub) -> Path:
    return make(tmp_path, stub, images=2)


@pytest.fixture(params=["bash", "as sh"])
def bash(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """bash by its own name, and as the sh that it is on many hosts."""
    if request.param == "bash":
        return ["bash"]
    (tmp_path / "sh").symlink_to(shutil.which("bash") or "/bin/bash")
    return [str(tmp_path / "sh")]


@pytest.mark.parametrize("words", [[], ["--check"], ["--list"], ["--info"], ["--noexec", "--target", "new"]])
def test_functions_from_the_environment_are_not_called(bash: list[str], made: Path, words: list[str]) -> None:
    marker = made.parent / "called"
    functions = {f"BASH_FUNC_{name}%%": f"() {{ : >> '{marker}'; command {name} \"$@\"; }}" for name in NAMES}
    done = run(bash, made, *words, given=functions)
    assert done.returncode == 0, done.stderr
    assert not marker.exists()
    assert (made.parent / "told" / "where").exists() is (words == [])


@pytest.mark.parametrize(
    "variables",
    [
        {"TAR_OPTIONS": "--checkpoint=1 --checkpoint-action=exec=TOUCH"},
        {"TAR_OPTIONS": "--to-command=TOUCH"},
        {"TAR_OPTIONS": "--exclude=install.sh"},
        {"BASH_ENV": "SCRIPT", "ENV": "SCRIPT"},
        {"SHA_ARG": "; TOUCH"},
        {"finish": "TOUCH"},
        {"GUESS_MD5_PATH": "/nowhere"},
        {"CDPATH": "/"},
        {"GZIP": "-9"},
        {"POSIXLY_CORRECT": "1"},
        {"SETUP_NOCHECK": "1"},
        {"BASH_VERSION": "5.2"},
    ],
    ids=lambda given: "-".join(given),
)
def test_variables_of_the_environment_mean_nothing(shell: list[str], made: Path, variables: dict[str, str]) -> None:
    marker, script = made.parent / "called", made.parent / "script"
    script.write_text(f"touch {marker}\n")
    given = {
        name: value.replace("TOUCH", f"touch {marker}").replace("SCRIPT", str(script))
        for name, value in variables.items()
    }
    done = run(shell, made, given=given)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "install.sh" in told(made, "unpacked").split()
    if "ENV" not in variables:  # a shell reads that itself, before the first line of what it runs
        assert not marker.exists()


def test_a_trace_goes_nowhere(bash: list[str], made: Path) -> None:
    trace = made.parent / "trace"
    with trace.open("wb") as stream:
        done = subprocess.run(
            [*bash, str(made)], cwd=made.parent, capture_output=True, check=False, pass_fds=[stream.fileno()],
            env={"PATH": os.environ["PATH"], "TOLD": str(made.parent / "told"), "TMPDIR": str(made.parent),
                 "SHELLOPTS": "xtrace", "BASH_XTRACEFD": str(stream.fileno())},
        )  # fmt: skip
    assert "PRIVATE" not in trace.read_text()
    assert "mktemp" not in trace.read_text()
    assert done.returncode == 0 or not (made.parent / "told").exists()


def test_a_damaged_sum_is_not_passed_over(shell: list[str], made: Path) -> None:
    content = bytearray(made.read_bytes())
    content[len(bundle.read(made).stub) + 30] ^= 1
    made.write_bytes(content)
    done = run(shell, made, SETUP_NOCHECK="1")
    assert (done.returncode, done.stdout) == (12, "")
    assert "its part 1 is not as it was made" in done.stderr
    assert AGAIN in done.stderr
    assert [path.name for path in made.parent.glob("bundlegen-unpack*")] == []


def test_a_copy_that_was_cut_off_is_said_to_be_one(shell: list[str], made: Path) -> None:
    whole = made.read_bytes()
    start = whole.index(b"\nORIG_UMASK=")
    for length in (start, start + 1, 5000, 9000, 20000, len(bundle.read(made).stub), len(whole) - 1):
        made.write_bytes(whole[:length])
        for words in ([], ["--check"], ["--", "preflight"]):
            done = run(shell, made, *words)
            assert (done.returncode, done.stdout) == (12, ""), (length, done)
            assert f"it is {length} bytes long and should be {len(whole)}" in done.stderr
            assert AGAIN in done.stderr
    assert not (made.parent / "told" / "where").exists()


def test_a_copy_that_ends_in_the_first_lines_fails(shell: list[str], made: Path) -> None:
    """What ends in the comments before them, a shell takes for a script that does nothing."""
    whole = made.read_bytes()
    for length in range(whole.index(b"\n{\n") + 3, whole.index(b"\n}\n"), 97):
        made.write_bytes(whole[:length])
        assert run(shell, made).returncode != 0, length
    assert not (made.parent / "told" / "where").exists()


def test_a_copy_that_is_too_long_is_said_to_be_one(shell: list[str], made: Path) -> None:
    made.write_bytes(made.read_bytes() + b"\n")
    assert run(shell, made).returncode == 12


@pytest.mark.parametrize("how", ["stdin", "cat"])
def test_a_pipe_is_told_to_make_a_file(shell: list[str], made: Path, how: str) -> None:
    with made.open("rb") as file, subprocess.Popen(["cat", made], stdout=subprocess.PIPE) as cat:
        done = subprocess.run(
            shell, stdin=file if how == "stdin" else cat.stdout, cwd=made.parent,
            capture_output=True, text=True, timeout=60, check=False,
            env={"PATH": os.environ["PATH"], "TOLD": str(made.parent / "told"), "TMPDIR": str(made.parent)},
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "Save it as a file, such as infra0.run, and run: sh infra0.run" in done.stderr
    assert not (made.parent / "told").exists()


def test_dd_is_not_needed(shell: list[str], made: Path) -> None:
    """Those of other userlands read from a pipe what is there, and no more."""
    (made.parent / "bin").mkdir()
    (made.parent / "bin" / "dd").write_text("#!/bin/sh\nexit 1\n")
    (made.parent / "bin" / "dd").chmod(0o755)
    path = f"{made.parent / 'bin'}:{os.environ['PATH']}"
    for words in ([], ["--check"], ["--list"], ["--noexec", "--target", "new"], ["--tar", "tf"]):
        assert run(shell, made, *words, PATH=path).returncode == 0
    assert (made.parent / "new" / "images" / "1.tar").read_bytes() == b"image 1" * 70_000


def test_what_is_unpacked_is_private_whatever_the_umask(shell: list[str], made: Path) -> None:
    before = os.umask(0)
    try:
        assert run(shell, made, "--noexec", "--target", "new").returncode == 0
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o077 for path in [made.parent / "new", *(made.parent / "new").rglob("*")]}
    assert modes == {0}


@pytest.mark.parametrize("words", [["--noexec", "--target"], ["--target"], ["--keep"]])
@pytest.mark.parametrize("there", ["a folder", "an empty folder", "a file", "a link", "a link to nothing", "itself"])
def test_what_is_there_is_not_unpacked_into(shell: list[str], made: Path, there: str, words: list[str]) -> None:
    place, victim = made.parent / "bundle", made.parent / "victim"
    victim.mkdir()
    match there:
        case "a folder":
            place.mkdir()
            (place / "files").symlink_to(victim)
        case "an empty folder":
            place.mkdir()
        case "a file":
            place.write_text("")
        case "a link":
            place.symlink_to(victim)
        case "a link to nothing":
            place.symlink_to(victim / "nothing")
        case _:
            place = made.parent
    if there == "itself" and words == ["--keep"]:
        pytest.skip("it has a name of its own")
    name = "." if there == "itself" else "bundle"
    done = run(shell, made, *words, *([] if words == ["--keep"] else [name]))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {name} is there already\n")
    assert list(victim.iterdir()) == []
    assert not (made.parent / "told" / "where").exists()


@pytest.mark.parametrize("above", ["another's", "another's, further up", "everybody's"])
def test_nothing_is_unpacked_where_others_could_change_it(shell: list[str], made: Path, above: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    folder = made.parent / "theirs"
    folder.mkdir()
    inner = folder
    match above:
        case "another's":
            os.chown(folder, 65534, 65534)
        case "another's, further up":
            os.chown(folder, 65534, 65534)
            inner = folder / "ours"
            inner.mkdir()
        case _:
            folder.chmod(0o777)
    done = run(shell, made, "--noexec", "--target", str(inner / "new"))
    assert done.returncode == 2
    assert f"error: others can change what is in {folder}, and keys would be in it" in done.stderr
    assert list(inner.iterdir()) == []
    # where nobody can take a folder away that is not theirs, as in /tmp, it is as good as elsewhere
    if above == "everybody's":
        folder.chmod(0o1777)
        assert run(shell, made, "--noexec", "--target", str(folder / "new")).returncode == 0


def test_a_folder_that_is_not_there_holds_no_new_one(shell: list[str], made: Path) -> None:
    done = run(shell, made, "--noexec", "--target", "none/new")
    assert done.returncode == 2
    assert "there is no folder in which none/new could be made" in done.stderr
