"""Tampered bundles: all are refused, and nothing of them is ever executed."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bundlegen import layout
from bundlegen.trust.bundle import read
from tests import figures
from tests.trust_cases import SPEC, findings, make, put, repack

CASES = figures.of(240, 2000)
CASES_ALONE = figures.of(120, 400)
KINDS = ("stub bit", "payload bit", "tail bit", "appended", "truncated", "swapped", "inserted command", "re-packed")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A change of one host, and beside it the bundle of another."""
    folder = tmp_path_factory.mktemp("tampered")
    (folder / "other.run").write_bytes((make(folder, name="three").folder / "infra1.run").read_bytes())
    return make(folder, SPEC | {"hosts": SPEC["hosts"][:1]}).folder


class Attacker:
    """Changes a bundle in one of several ways; what it plants would leave a mark if it ever ran."""

    def __init__(self, folder: Path, mark: Path) -> None:
        self.path = folder / "infra0.run"
        self.content = self.path.read_bytes()
        self.stub = len(read(self.path).stub)
        self.other = (folder.parents[2] / "other.run").read_bytes()
        self.command = f'touch "{mark}"\n'.encode()

    def tamper(self, kind: str, luck: random.Random) -> bytes:
        content, size = self.content, len(self.content)
        match kind:
            case "stub bit":
                return self._flipped(luck.randrange(self.stub), luck)
            case "payload bit":
                return self._flipped(luck.randrange(self.stub, size), luck)
            case "tail bit":
                return self._flipped(luck.randrange(size - 64, size), luck)
            case "appended":
                return content + luck.randbytes(luck.randrange(1, 2000))
            case "truncated":
                return content[: luck.randrange(size)]
            case "swapped":
                cut = luck.randrange(1, size)
                return luck.choice((self.other, content[:cut] + self.other[cut:]))
            case "inserted command":
                lines = content[: self.stub].split(b"\n")
                lines.insert(luck.randrange(1, len(lines)), self.command.rstrip())
                return b"\n".join(lines) + content[self.stub :]
            case _:
                return repack(self.path, lambda entries: self._evil(entries, luck))

    def _flipped(self, position: int, luck: random.Random) -> bytes:
        changed = bytearray(self.content)
        changed[position] ^= 1 << luck.randrange(8)
        return bytes(changed)

    def _evil(self, entries, luck: random.Random) -> None:
        name = luck.choice((layout.INSTALLER, layout.HEALTH_COMMAND))
        old = entries[name].content or b""
        cut = old.index(b"\n") + 1
        put(entries, name, old[:cut] + self.command + b"#" * luck.randrange(40) + b"\n" + old[cut:], entries[name].mode)


def test_every_tampered_bundle_is_refused(built: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(built, tmp_path / "change"))
    mark = tmp_path / "executed"
    attacker = Attacker(built, mark)
    luck = random.Random(45)
    refused = dict.fromkeys(KINDS, 0)
    for number in range(CASES):
        kind = KINDS[number % len(KINDS)]
        content = attacker.tamper(kind, luck)
        assert content != attacker.content
        (folder / "infra0.run").write_bytes(content)
        refused[kind] += bool(findings(folder))
    print(f"\ntampered bundles refused by verify of their change: {sum(refused.values())} of {CASES} {refused}")
    assert sum(refused.values()) == CASES
    assert not mark.exists()


def test_a_bundle_alone_is_refused_as_well(built: Path, tmp_path: Path) -> None:
    """Without SHA256SUMS whatever does not fit together is still seen; a careful re-packer's work is seen by the
    installer that is no known one."""
    attacker = Attacker(built, tmp_path / "executed")
    luck = random.Random(46)
    path = tmp_path / "infra0.run"
    refused = total = 0
    for number in range(CASES_ALONE):
        kind = KINDS[number % len(KINDS)]
        content = attacker.tamper(kind, luck)
        if kind == "swapped" and content == attacker.other:
            continue
        if kind == "re-packed" and attacker.command not in (_installer(content, path) or b""):
            continue
        path.write_bytes(content)
        total += 1
        refused += bool(findings(path))
    print(f"\ntampered bundles refused without their change: {refused} of {total}")
    assert refused == total


def _installer(content: bytes, path: Path) -> bytes | None:
    path.write_bytes(content)
    return read(path).content(layout.INSTALLER)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("kind", ["inserted command", "re-packed", "truncated"])
def test_nothing_is_executed(built: Path, tmp_path: Path, kind: str) -> None:
    folder = Path(shutil.copytree(built, tmp_path / "change"))
    mark = tmp_path / "executed"
    bundle = folder / "infra0.run"
    bundle.write_bytes(Attacker(built, mark).tamper(kind, random.Random(47)))
    commands = (
        ["verify", str(folder)],
        ["verify", str(bundle)],
        ["inspect", str(bundle)],
        ["extract", str(bundle), str(tmp_path / "unpacked")],
        ["diff", str(bundle), str(built / "infra0.run")],
        ["audit", str(folder)],
    )
    for words in commands:
        log = tmp_path / "strace"
        argv = ["strace", "-f", "-qq", "-e", "trace=execve,execveat", "-o", str(log), sys.executable, "-m", "bundlegen"]
        subprocess.run([*argv, *words], capture_output=True, check=False)
        calls = [line for line in log.read_text().splitlines() if "exec" in line and "= 0" in line]
        assert len(calls) == 1, calls
        assert sys.executable in calls[0]
    assert not mark.exists()
