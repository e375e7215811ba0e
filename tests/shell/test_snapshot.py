"""A snapshot of this member: whole, or not there."""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

from tests.shell.payload import STATE, Payload
from tests.shell.sandbox import Sandbox

DATABASE = random.Random(17).randbytes(200 * 512)
WHOLE = DATABASE + hashlib.sha256(DATABASE).digest()
CHUNK = 32 << 10


def answer(content: bytes = WHOLE, *, newer: bool = False) -> str:
    """As the gateways send it: a line for each chunk, each with padding of its own; that of 3.6 adds the version."""
    pieces = [DATABASE[start : start + CHUNK] for start in range(0, len(DATABASE), CHUNK)] + [content[len(DATABASE) :]]
    more = ', "version":"3.6.0"' if newer else ""
    colon = ": " if newer else ":"
    left = len(content)
    lines = []
    for piece in pieces:
        left -= len(piece)
        blob = base64.b64encode(piece).decode()
        lines.append(f'{{"result":{{"remaining_bytes":"{left}","blob"{colon}"{blob}"{more}}}}}\n')
    return "".join(lines)


@pytest.fixture
def member(host: Sandbox) -> Sandbox:
    assert host.install(Payload()).returncode == 0
    host.path("/srv").mkdir(exist_ok=True)
    return host


def take(host: Sandbox, *words: str) -> CompletedProcess[str]:
    return host.run(f"{STATE}/bundle", "snapshot", *(words or ("--output", "/srv/x.db")))


@pytest.mark.parametrize("newer", [False, True])
def test_it_is_what_the_member_holds(member: Sandbox, newer: bool) -> None:
    member.stub("snapshot", answer(newer=newer))
    done = take(member)
    assert done.returncode == 0, done.stderr
    path = member.path("/srv/x.db")
    assert path.read_bytes() == WHOLE
    assert path.stat().st_mode & 0o777 == 0o600
    assert f"SHA-256:  {hashlib.sha256(WHOLE).hexdigest()}" in done.stdout
    assert [each.name for each in member.path("/srv").iterdir()] == ["x.db"]


def test_without_a_quorum_and_without_a_name(member: Sandbox) -> None:
    member.stub("snapshot", answer())
    member.stub("etcd-mode", "waiting")
    assert take(member, "--wait", "0").returncode == 0
    folder = member.path(f"{STATE}/snapshots")
    [made] = folder.iterdir()
    assert made.name.startswith("test-infra0-20")
    assert made.suffix == ".db"
    assert made.read_bytes() == WHOLE
    assert folder.stat().st_mode & 0o777 == 0o700


def garbled(text: str) -> str:
    where = text.index('"blob":"') + 500
    return text[:where] + ("A" if text[where] != "A" else "B") + text[where + 1 :]


SPOILT: dict[str, Callable[[str], str]] = {
    "cut in a chunk": lambda text: text[: len(text) // 3],
    "cut after a chunk": lambda text: "".join(text.splitlines(keepends=True)[:2]),
    "without its sum": lambda text: "".join(text.splitlines(keepends=True)[:-1]),
    "another byte": garbled,
    "no base64": lambda text: text.replace('"blob":"', '"blob":"*', 1),
    "an error amid": lambda text: text.replace("\n", '\n{"error":{"code":14,"message":"etcdserver: stopped"}}', 1)[
        :70000
    ],
    "a chunk twice": lambda text: text.splitlines(keepends=True)[0] + text,
    "nothing": lambda _: "",
    "something else": lambda _: '{"result":{"blob":"$(id)"}}\n',
}


@pytest.mark.parametrize("case", SPOILT)
def test_what_is_not_whole_gets_no_name(member: Sandbox, case: str) -> None:
    member.stub("snapshot", SPOILT[case](answer()))
    done = take(member)
    assert done.returncode == 14, done.stdout
    assert "There is no file." in done.stderr
    assert list(member.path("/srv").iterdir()) == []


def test_a_member_that_gives_none(member: Sandbox) -> None:
    done = take(member)
    assert (done.returncode, list(member.path("/srv").iterdir())) == (14, [])
    assert "this member's snapshot did not come, or not whole" in done.stderr


def test_a_disk_is_never_filled(member: Sandbox) -> None:
    member.stub("snapshot", answer())
    member.stub("status", '{"header":{},"dbSize":"900000000000000","leader":"1234"}')
    done = take(member)
    assert done.returncode == 11
    assert "too little room in /srv/: " in done.stderr
    assert "and 256 MiB stay free" in done.stderr
    member.stub("status", "")
    member.execute("/bin/mount", "-t", "tmpfs", "-o", "size=1M", "small", "/srv")
    assert take(member).returncode == 11


def test_nothing_is_overwritten_and_what_was_killed_is_swept(member: Sandbox) -> None:
    member.stub("snapshot", answer())
    for name in ("x.db", ".old.db.999999999", ".theirs.db.swp"):
        member.write(f"/srv/{name}", "theirs")
    done = take(member)
    assert done.returncode == 11
    assert "/srv/x.db is there already, and is left as it is" in done.stderr
    assert take(member, "--output", "/srv/y.db").returncode == 0
    assert member.path("/srv/x.db").read_text() == "theirs"
    assert sorted(each.name for each in member.path("/srv").iterdir()) == [".theirs.db.swp", "x.db", "y.db"]
    assert "there is no folder /nowhere/" in take(member, "--output", "/nowhere/x.db").stderr
