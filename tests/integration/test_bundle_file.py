"""A bundle as a file that a shell runs: makeself's switches, verbs, exit codes, where it unpacks, damage."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bundlegen import layout
from bundlegen.bundle.entry import entry
from bundlegen.bundle.pieces import Piece
from bundlegen.bundle.plan import BundlePlan
from bundlegen.bundle.stub import KNOWN_VERSIONS, Stub, adapt, arguments, blanked, make_stub
from bundlegen.errors import ToolError
from bundlegen.trust import bundle
from tests.bundle_files import INSTALLER, LABEL, SHELLS, make, run, told


@pytest.fixture(scope="module")
def stub() -> Stub:
    return make_stub()


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    words = SHELLS[request.param]
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    return words


@pytest.fixture(params=[0, 2], ids=["one-piece", "three-pieces"])
def made(request: pytest.FixtureRequest, tmp_path: Path, stub: Stub) -> Path:
    return make(tmp_path, stub, images=request.param)


def test_it_is_read_back(made: Path) -> None:
    found = bundle.read(made)
    assert found.content("/etc/kubernetes/pki/etcd/ca.crt") == b"certificate"
    assert found.content(layout.INSTALLER) == INSTALLER


def test_check(shell: list[str], made: Path) -> None:
    done = run(shell, made, "--check")
    assert (done.returncode, "All good" in done.stdout) == (0, True), done.stdout + done.stderr


def test_list(shell: list[str], made: Path) -> None:
    done = run(shell, made, "--list")
    assert done.returncode == 0
    names = {line.split()[-1] for line in done.stdout.splitlines() if line.startswith(("-rw", "drw"))}
    assert {"./install.sh", "./bundle.conf", "./MANIFEST", "./files/etc/kubernetes/pki/etcd/ca.crt"} <= names
    assert {name for name in names if "images" in name and name.endswith(".tar")} == {
        f"./images/{number}.tar" for number in range(len(bundle.read(made).pieces) - 1)
    }


def test_info(shell: list[str], made: Path) -> None:
    done = run(shell, made, "--info")
    assert done.returncode == 0
    assert f"Identification: {LABEL}" in done.stdout
    assert "/bin/bash -p ./install.sh" in done.stdout


def test_noexec(shell: list[str], made: Path) -> None:
    done = run(shell, made, "--noexec", "--target", "unpacked")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert not (made.parent / "told" / "where").exists()
    found = bundle.read(made)
    there = {str(path.relative_to(made.parent / "unpacked")) for path in (made.parent / "unpacked").rglob("*.*")}
    assert {layout.payload_path(name) for name in found.destinations if "." in name} <= there


@pytest.mark.parametrize("code", [0, 1, 10, 14, 15])
def test_verbs_and_exit_codes_pass_through(shell: list[str], made: Path, code: int) -> None:
    done = run(shell, made, "--", "health", "--wait", "5", "a b", "'\"$x", CODE=str(code))
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    assert told(made, "arguments") == "<health><--wait><5><a b><'\"$x>"


def test_no_words_are_no_arguments(shell: list[str], made: Path) -> None:
    assert run(shell, made).returncode == 0
    assert told(made, "arguments") == "<>"


def test_it_unpacks_privately_and_is_gone_afterwards(shell: list[str], made: Path) -> None:
    assert run(shell, made).returncode == 0
    assert told(made, "mode") == "700"
    assert "bundlegen-unpack." in told(made, "where")
    assert not Path(told(made, "where")).exists()
    if os.geteuid() == 0 and os.access("/dev/shm", os.W_OK):
        assert told(made, "disk") == "tmpfs"


@pytest.mark.parametrize("where", ["as it is", "./", "from its folder"])
def test_the_installer_is_told_where_the_images_are_and_they_are_not_unpacked(
    shell: list[str], tmp_path: Path, stub: Stub, where: str
) -> None:
    made = make(tmp_path, stub, images=2)
    names = {"as it is": made, "./": Path("./infra0.run"), "from its folder": Path("infra0.run")}
    done = run(shell, names[where], told_in=tmp_path, BUNDLEGEN_FILE="/etc/passwd", BUNDLEGEN_IMAGES_AT="1")
    assert done.returncode == 0, done.stderr
    assert Path(told(made, "file")) == made
    assert told(made, "images") == ""
    assert set(told(made, "unpacked").split()) == {"MANIFEST", "bundle.conf", "files", "images", "install.sh"}
    sent = (tmp_path / "told" / "pieces").read_bytes()
    pieces = bundle.read(made).images
    assert [hashlib.sha256(sent[each.offset : each.offset + each.size]).hexdigest() for each in pieces] == [
        each.sha256 for each in pieces
    ]
    assert len(sent) == sum(each.size for each in pieces)


def test_images_arrive_whole_where_all_is_unpacked(shell: list[str], tmp_path: Path, stub: Stub) -> None:
    made = make(tmp_path, stub, images=2)
    assert run(shell, made, "--keep").returncode == 0
    assert told(made, "images") == "image 0" * 70_000 + "image 1" * 70_000


def test_room_is_needed_for_what_is_unpacked_alone(shell: list[str], tmp_path: Path, stub: Stub) -> None:
    made = make(tmp_path, stub, images=2)
    asked = run(shell, made, "--confirm", stdin="n\n").stdout
    whole = run(shell, made, "--noexec", "--confirm", "--target", "unpacked", stdin="n\n").stdout
    sizes = [int(re.findall(r"About to extract (\d+) KB", said)[0]) for said in (asked, whole)]
    assert sizes[0] < 100 < 900 < sizes[1]
    assert f"Uncompressed size: {sizes[1]} KB" in run(shell, made, "--info").stdout


def test_keep(shell: list[str], made: Path) -> None:
    assert run(shell, made, "--keep").returncode == 0
    assert Path(told(made, "where")) == made.parent / "bundle"
    assert (made.parent / "bundle" / "install.sh").is_file()


@pytest.mark.parametrize(("answer", "runs"), [("y\n", True), ("n\n", False)])
def test_confirm(shell: list[str], made: Path, answer: str, runs: bool) -> None:
    done = run(shell, made, "--confirm", stdin=answer)
    assert "Proceed ? [Y/n]" in done.stdout + done.stderr
    assert (made.parent / "told" / "where").exists() is runs
    # Other tests unpack at the same time: the folder is named, and must be gone.
    [place] = re.findall(r"About to extract \d+ KB in (\S+) ", done.stdout)
    assert "bundlegen-unpack." in place
    assert not Path(place).exists()


@pytest.mark.parametrize("where", [0, 0.5, 1])
@pytest.mark.parametrize("piece", [0, 2])
def test_one_wrong_byte_is_refused(shell: list[str], tmp_path: Path, stub: Stub, piece: int, where: float) -> None:
    made = make(tmp_path, stub, images=2)
    whole = bytearray(made.read_bytes())
    found = bundle.read(made)
    start = len(found.stub) + sum(each.size for each in found.pieces[:piece])
    whole[start + int((found.pieces[piece].size - 1) * where)] ^= 1
    made.write_bytes(whole)
    # the installer itself looks at the images, where it needs them
    runs: list[list[str]] = [["--check"], ["--noexec", "--target", "unpacked"], *([[]] if piece == 0 else [])]
    for words in runs:
        assert run(shell, made, *words).returncode != 0
    assert not (made.parent / "told" / "where").exists()
    assert not (made.parent / "unpacked" / "install.sh").exists()


@pytest.mark.parametrize("change", [b"more", None])
def test_another_length_is_refused(shell: list[str], made: Path, change: bytes | None) -> None:
    whole = made.read_bytes()
    made.write_bytes(whole + change if change else whole[:-1])
    assert run(shell, made).returncode != 0
    assert not (made.parent / "told" / "where").exists()


def test_makeself_is_called_like_this() -> None:
    """Nothing secret, nothing of this machine: makeself writes its own command line into what it makes."""
    assert arguments() == (
        "--quiet", "--sha256", "--nomd5", "--nocrc", "--nox11", "--nowait", "--gzip", "--tar-quietly",
        "--complevel", "9n", "--packaging-date", "not recorded, so that the same inputs give the same bytes",
        "bundle", "bundle.run", "bundlegen bundle", "/bin/bash", "-p", "./install.sh",
    )  # fmt: skip


def test_a_stub_is_the_same_every_time(stub: Stub) -> None:
    assert make_stub() == stub
    assert stub.version in KNOWN_VERSIONS


def test_a_header_says_which_stub_it_was_made_from(stub: Stub) -> None:
    pieces = [Piece(123, "ab" * 32, 4567, content=b""), Piece(9, "cd" * 32, 10**9, content=b"")]
    header = stub.header(LABEL, pieces)
    assert blanked(header) == stub.template
    assert blanked(header.replace(b'quiet="y"', b'quiet="n"', 1)) != stub.template


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (b'\nskip="', b'\nhop="', "says no length"),
        (b"generated using Makeself", b"generated by Makeself", "names no version"),
        (b'\nquiet="n"\n', b'\nquiet="m"\n', "found 0 times"),
        (b"MS_Check", b"MS_Chuck", "found 0 times"),
        (b"\n# ", b"\n# @NEED@ ", "holds an @"),
    ],
)
def test_a_stub_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch, old: bytes, new: bytes, what: str) -> None:
    kept: list[bytes] = []
    with monkeypatch.context() as patched:
        patched.setattr("bundlegen.bundle.stub.adapt", kept.append)
        make_stub()
    with pytest.raises(ToolError, match=what):
        adapt(kept[0].replace(old, new, 1 if b"#" in old else -1))


def test_two_plans_that_differ_have_other_digests(tmp_path: Path, stub: Stub) -> None:
    one = entry("/a", b"x", 0o600, "")
    plans = [BundlePlan("h", (each,)) for each in (one, replace(one, mode=0o644), entry("/a", b"y", 0o600, ""))]
    assert len({plan.digest for plan in plans}) == 3
