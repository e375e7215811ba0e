"""etcd's answers are data: nothing of them is executed, taken for a line of ours, or read without end."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import figures
from tests.shell.payload import HEALTH, Payload
from tests.shell.sandbox import Sandbox

TWO = {"infra0": "10.0.0.6", "infra1": "10.0.0.7"}
CASES = figures.of(200, 2000)
USUAL = {
    "health": '{"health":"true","reason":""}',
    "status": '{"header":{"cluster_id":"77","member_id":"1","revision":"42","raft_term":"3"},"version":"3.5.15",'
    '"dbSize":"20480","leader":"1234","raftIndex":"70","raftTerm":"3"}',
    "list": '{"header":{"cluster_id":"77"},"members":['
    + ",".join(
        f'{{"ID":"{number}","name":"{name}","peerURLs":["https://{address}:2380"],'
        f'"clientURLs":["https://{address}:2379"]}}'
        for number, (name, address) in enumerate(TWO.items(), 1)
    )
    + "]}",
    "alarm": '{"header":{},"alarms":[{"memberID":"1","alarm":"NOSPACE"}]}',
    "hash": '{"header":{"revision":"42"},"hash":111,"compact_revision":"5"}',
    "metrics": "# HELP x\netcd_server_has_leader 1\n",
}
TOUCH = "$(touch /PWNED)"
VALUES = (
    f"BASH_VERSINFO[{TOUCH}]", f"a[{TOUCH}]+1", "x[`touch /PWNED`]", f"1,a[{TOUCH}]", f"0{TOUCH}", f"$(({TOUCH}))",
    f"PATH=([{TOUCH}]=1)", f"1]{TOUCH}[", f"{TOUCH}", "';touch /PWNED;'", "08", "0x10", "-1", "1e9", "1.5", "", " ",
    "null", "true", "99999999999999999999", "18446744073709551616", "18446744073709551615", "9" * 4000, "1 2",
    "4\\u0032", "\x1b[2J\x1b]0;forged\x07", "\x9b31m", "\u202eforged", "\rforged", "\nforged",
    "\n  ok       forged", "\nerror: forged", "\n  failed   forged", "x\nforged: y", "%n%s%d", "*", "../../etc", "~",
    "\\", "\\n", "[[", "}}", "NO LEADER", "certificate has expired\nforged", "RAFT NO LEADER", "\x00", "é", "中",
)  # fmt: skip


def answers(chance: random.Random) -> dict[str, bytes]:
    """What an etcd says: as usual, but for some of it."""
    said = {name: _reply(200, text.encode()) for name, text in USUAL.items()}
    for name in chance.sample(sorted(USUAL), chance.choice((1, 1, 2, 6))):
        said |= chance.choice(CHANGES)(chance, name, USUAL[name])
    return said | {chance.choice(("own", "others", "all")): b""}


def _reply(status: int | str, body: bytes, more: bytes = b"") -> bytes:
    return f"HTTP/1.0 {status} X\r\nContent-Length: {len(body)}\r\n".encode() + more + b"\r\n" + body


def _other_value(chance: random.Random, name: str, text: str) -> dict[str, bytes]:
    """One or all values of one field."""
    field = chance.choice(re.findall(r'"\w+":|leader ', text))
    value = chance.choice(VALUES)
    quoted = chance.choice((f'"{value}"', value))
    changed = re.sub(rf'{field}("[^"]*"|[\w]+)?', lambda _: f"{field}{quoted}", text, count=chance.choice((0, 1)))
    return {name: _reply(chance.choice((200, 200, 503)), changed.encode())}


def _cut(chance: random.Random, name: str, text: str) -> dict[str, bytes]:
    whole = _reply(200, text.encode())
    return {name: whole[: chance.randrange(len(whole))]}


def _flipped(chance: random.Random, name: str, text: str) -> dict[str, bytes]:
    whole = bytearray(_reply(200, text.encode()))
    for _ in range(chance.choice((1, 5, 50))):
        whole[chance.randrange(len(whole))] = chance.randrange(256)
    return {name: bytes(whole)}


def _other_status(chance: random.Random, name: str, text: str) -> dict[str, bytes]:
    status = chance.choice((100, 204, 404, 500, 503, 999, "2000", "0", TOUCH, "\x1b[1m"))
    return {name: _reply(status, text.encode())}


def _without_end(chance: random.Random, name: str, text: str) -> dict[str, bytes]:
    begin = chance.choice((b"", b"HTTP/1.0 200 OK\r\n", _reply(200, text.encode()), _reply(200, text[:-1].encode())))
    line = chance.choice(("x", '"ID":', '"peerURLs"', '"members"', "A: b\r", '{"a":', "etcd_server_has_leader 1", '"'))
    return {name: begin, f"{name}.endless": line.encode()}


def _long(chance: random.Random, name: str, text: str) -> dict[str, bytes]:
    filler = chance.choice((b"x", b"[", b'{"a":', b'"', b"\\", b" ", b"\n", b"\xff")) * chance.choice((1000, 300_000))
    where = chance.choice((b"", text.encode()[:-1], text.encode()))
    return {name: chance.choice((_reply(200, where + filler), _reply(200, text.encode(), b"X: " + filler + b"\r\n")))}


def _another(chance: random.Random, name: str, _text: str) -> dict[str, bytes]:
    return {name: _reply(200, USUAL[chance.choice(sorted(USUAL))].encode())}


def _noise(chance: random.Random, name: str, _text: str) -> dict[str, bytes]:
    return {name: chance.choice((b"", b"\0", chance.randbytes(500), _reply(200, chance.randbytes(5000))))}


CHANGES: tuple[Callable[[random.Random, str, str], dict[str, bytes]], ...] = (
    *(_other_value,) * 10, _cut, _flipped, _other_status, _without_end, _long, _another, _noise,
)  # fmt: skip


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    """Folders with what the installer made of each case."""
    chance = random.Random(12)
    with Sandbox(tmp_path_factory.mktemp("answers") / "sandbox") as host:
        where = host.unpack(Payload(members=TWO))
        shutil.copy(Path(__file__).with_name("answers.bash"), host.path("/run/answers.bash"))
        names = [f"/tmp/{number}" for number in range(CASES)]
        cases = {name: answers(chance) for name in names}
        cases["/tmp/usual"] = {name: _reply(200, text.encode()) for name, text in USUAL.items()}
        for name, files in cases.items():
            host.path(name).mkdir()
            for file, data in files.items():
                host.path(f"{name}/{file}").write_bytes(data)
        done = host.execute("/bin/bash", "-p", "/run/answers.bash", f"{where}/install.sh", *names, timeout=1200)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert not host.path("/PWNED").exists(), "what etcd said was executed"
        yield [host.path(name) for name in names]


def test_nothing_of_it_is_executed_and_nothing_crashes(read: list[Path]) -> None:
    assert len(read) == CASES
    for case in read:
        said = (case / "err").read_text(errors="replace")
        assert (case / "code").read_text() == "0\n", said
        assert "unexpected:" not in said
        # what bash itself complains of: a number that is none, a byte that it cannot hold, a printf out of range
        assert not re.search(r": line \d+: ", said), said


def test_no_line_is_forged_and_no_terminal_is_steered(read: list[Path]) -> None:
    for case in read:
        for stream in ("out", "err"):
            said = (case / stream).read_bytes()
            assert not re.search(rb"[\0-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]", said), said
            assert not re.search(rb"(?m)^\W*(ok|failed|warning|error)?\W*forged", said), said


def test_it_is_one_document_for_machines_and_a_verdict_for_each_check(read: list[Path]) -> None:
    checks = {"member", "members", "member-list", "alarms", "voters", "quorum"}
    levels = set()
    for case in read:
        text = (case / "out").read_text(errors="replace")
        document = json.loads(text[text.rindex('{"format": 1') :])
        assert checks <= {check["name"] for check in document["checks"]}
        levels.add(document["level"])
    assert {"down", "member", "cluster", "diverged"} <= levels


def test_what_is_written_down_is_numbers(read: list[Path]) -> None:
    """The canary that shows that the cases are read at all: most say what this member is."""
    assert (
        sum("the cluster has a leader (member 4d2)" in (case / "out").read_text(errors="replace") for case in read)
        > CASES / 3
    )


@pytest.mark.parametrize("value", VALUES[:10])
def test_a_real_answer_runs_no_code(host: Sandbox, value: str) -> None:
    """Through a whole install and the command that is left on the host."""
    evil = USUAL["status"].replace('"20480"', f'"{value}"').replace('"42"', f'"{value}"').replace('"70"', f'"{value}"')
    host.stub("status", evil)
    host.stub("hash", USUAL["hash"].replace('"42"', f'"{value}"'))
    done = host.install(Payload(members={"infra0": "10.0.0.6"}))
    assert done.returncode == 0, done.stderr
    done = host.execute(HEALTH, "--cluster")
    assert done.returncode == 0
    # a value ends at its first comma
    assert ("this member does not say how much its database holds" in done.stdout) == ("," not in value)
    assert not host.path("/PWNED").exists()
    assert ": line" not in done.stderr
