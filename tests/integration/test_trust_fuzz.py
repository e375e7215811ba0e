"""Hostile bundles: whatever is in a file, inspect, extract and verify end soon, with a message, inside their folder."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import shutil
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bundlegen import layout
from bundlegen.bundle import stub
from bundlegen.bundle.pieces import MTIME, Piece, header
from bundlegen.errors import BundlegenError, VerificationError
from bundlegen.system.clock import now
from bundlegen.trust import show
from bundlegen.trust.bundle import read
from bundlegen.trust.check_bundle import examine
from bundlegen.trust.extract import extract
from bundlegen.trust.verify import verify
from tests import figures
from tests.trust_cases import make, put, repack

CASES = figures.of(400, 5200)
PARTS = 4
LONGEST = 5.0
EVIL_NAMES = (
    "../x", "/etc/passwd", "./files/../../x", "a\nb", "files//x", "x" * 300, "install.sh", "images/a", "\x1b[2J", "."
)  # fmt: skip


class Seed:
    """A small bundle, and its parts to build others from."""

    def __init__(self, folder: Path) -> None:
        path = make(folder).folder / "infra0.run"
        self.content = repack(path, lambda entries: put(entries, layout.INSTALLER, b"#!/bin/bash\n", 0o755))
        (folder / "small.run").write_bytes(self.content)
        bundle = read(folder / "small.run")
        self.stub = stub.Stub("", stub.blanked(bundle.stub))
        self.files = {**bundle.files, layout.MANIFEST: bundle.manifest_text}

    def bundle(self, *pieces: bytes, unpacked: int = 9999) -> bytes:
        """A bundle of these pieces with a stub that fits them."""
        described = [Piece(len(each), hashlib.sha256(each).hexdigest(), unpacked) for each in pieces]
        return self.stub.header("etcd prod, create: infra0", described) + b"".join(pieces)


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Seed:
    return Seed(tmp_path_factory.mktemp("fuzz"))


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder in memory where there is one: thousands of small files are written."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def mutated(seed: Seed, luck: random.Random) -> bytes:
    return luck.choice((_bytes, _bytes, _files, _files, _members, _headers, _stubs))(seed, luck)


def _scrambled(content: bytes, luck: random.Random) -> bytes:
    """A few bytes of it changed, moved, doubled or gone."""
    changed = bytearray(content)
    for _ in range(luck.randrange(1, 5)):
        at = luck.randrange(len(changed) + 1)
        match luck.randrange(5):
            case 0:
                changed[at : at + 1] = luck.randbytes(1)
            case 1:
                del changed[at : at + luck.randrange(1, 60)]
            case 2:
                changed[at:at] = luck.randbytes(luck.randrange(1, 60))
            case 3:
                changed[at:at] = changed[at : at + luck.randrange(1, 600)]
            case _:
                changed[at : at + 8] = luck.choice((b"\0" * 8, b"\xff" * 8, b"99999999", b"'\n\x1b[0m''", b"../../.."))
    return bytes(changed)


def _bytes(seed: Seed, luck: random.Random) -> bytes:
    if luck.randrange(4) == 0:
        return seed.content[: luck.randrange(len(seed.content))]
    return _scrambled(seed.content, luck)


def _files(seed: Seed, luck: random.Random) -> bytes:
    """One file scrambled, MANIFEST made to fit or not."""
    files = dict(seed.files)
    name = luck.choice(sorted(files))
    files[name] = _scrambled(files[name], luck)
    if luck.randrange(3) and name != layout.MANIFEST:
        old, new = (hashlib.sha256(each).hexdigest() for each in (seed.files[name], files[name]))
        files[layout.MANIFEST] = files[layout.MANIFEST].replace(old.encode(), new.encode())
    return seed.bundle(gzip.compress(_tar(files), 1, mtime=0))


def _members(seed: Seed, luck: random.Random) -> bytes:
    """Something more in the archive: another type, name or size."""
    info = tarfile.TarInfo(luck.choice(EVIL_NAMES))
    info.type = luck.choice(b"0 1 2 3 4 5 6 7 K L N S V X x g D M".split())
    info.linkname = luck.choice(EVIL_NAMES)
    info.size = luck.choice((0, 1, 511, 512, 1 << 20, 1 << 33, 1 << 40))
    info.mode = luck.choice((0o600, 0o4755))
    info.mtime = MTIME
    if luck.randrange(3) == 0:
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.size": "1" * 15, "path": "../x", "size": "9" * 12}
    if luck.randrange(2):
        header = info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    else:
        header = info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    member = header + luck.randbytes(luck.choice((0, 512)))
    good = _tar(seed.files)[:-1024]
    raw = luck.choice((member + good, good + member, member * 40 + good)) + bytes(1024)
    return seed.bundle(gzip.compress(raw, 1, mtime=0))


def _headers(seed: Seed, luck: random.Random) -> bytes:
    """Tar headers scrambled, with or without a checksum that fits; gzip members without end; bombs."""
    raw = bytearray(_tar(seed.files))
    match luck.randrange(4):
        case 0:
            start = luck.randrange(len(raw) // 512) * 512
            raw[start + luck.randrange(512)] ^= 1 << luck.randrange(8)
            raw[start + 148 : start + 156] = b"%06o\0 " % _checksum(raw[start : start + 512])
            return seed.bundle(gzip.compress(bytes(raw), 1, mtime=0))
        case 1:
            return seed.bundle(
                gzip.compress(bytes(raw), 1, mtime=0) + gzip.compress(b"", 1, mtime=0) * luck.randrange(3000)
            )
        case 2:
            zeros = gzip.compress(bytes(luck.randrange(1 << 22)), 9, mtime=0)
            return seed.bundle(*luck.sample([gzip.compress(bytes(raw), 1, mtime=0), zeros], 2))
        case _:
            return seed.bundle(gzip.compress(_scrambled(bytes(raw), luck), 1, mtime=0))


def _stubs(seed: Seed, luck: random.Random) -> bytes:
    """The numbers in the stub."""
    old = luck.choice((b'skip="', b'filesizes="', b'SHA="', b'totalsize="', b"#!/bin/sh", b'CRCsum="'))
    new = luck.choice(
        (b'skip="99999', b'filesizes="-1 ', b'filesizes="' + b"9 " * 300, b'SHA="z', b"", b"\0", old + b"0")
    )
    return seed.content.replace(old, new, luck.randrange(1, 3))


def _checksum(header: bytearray) -> int:
    return sum(header[:148]) + 8 * 32 + sum(header[156:])


def _tar(files) -> bytes:
    parts = []
    for name, content in files.items():
        parts += [header(name, len(content)), content, bytes(-len(content) % 512)]
    return b"".join(parts) + bytes(1024)


def survive(content: bytes, place: Path) -> str:
    """Everything a receiver would do with the file; returns how far it got. Fails on anything but a message."""
    place.mkdir()
    outside = {path for path in place.parent.rglob("*") if path != place}
    path, target = place / "infra0.run", place / "unpacked"
    path.write_bytes(content)
    outcome = []
    for action in (
        lambda: _inspect(path),
        lambda: extract(path, target),
        lambda: verify(path, now()),
    ):
        started = time.monotonic()
        try:
            action()
            outcome.append("done")
        except VerificationError:
            outcome.append("refused")
        assert time.monotonic() - started < LONGEST
    assert {each.name for each in place.iterdir()} <= {"infra0.run", "unpacked"}
    if target.exists():
        assert all(each.is_dir() or each.is_file() for each in target.rglob("*"))
        assert not any(each.is_symlink() or each.stat().st_mode & 0o077 for each in target.rglob("*"))
    shutil.rmtree(place)
    assert {path for path in place.parent.rglob("*") if path != place} == outside
    return outcome[0]


def _inspect(path: Path) -> None:
    bundle = read(path, looking=True)
    faults = examine(bundle).faults
    assert "\x1b" not in show.text(bundle, now(), faults)
    show.data(bundle, now(), faults)


@pytest.mark.parametrize("part", range(PARTS))
def test_no_bundle_is_too_strange(seed: Seed, place: Path, part: int) -> None:
    outcomes = {"done": 0, "refused": 0}

    @settings(max_examples=CASES // PARTS, database=None)
    @given(number=st.integers(0, 1 << 64))
    @example(number=0)
    def run(number: int) -> None:
        luck = random.Random((number << 3) + part)
        outcomes[survive(mutated(seed, luck), place / "here")] += 1

    run()
    print(f"\nhostile bundles survived: {sum(outcomes.values())} ({outcomes})")
    assert sum(outcomes.values()) >= CASES // PARTS
    assert outcomes["refused"] > outcomes["done"]


def test_bombs_end_soon(seed: Seed, tmp_path: Path) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = header("images/a", 1 << 34)
    bomb = packer.compress(head) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(600)) + packer.flush()
    started = time.monotonic()
    assert survive(seed.bundle(bomb), tmp_path / "bomb") == "refused"
    assert survive(seed.bundle(gzip.compress(bytes(100 << 20))), tmp_path / "zeros") == "refused"
    small = gzip.compress(b"", mtime=0) * 100_000
    assert survive(seed.bundle(small), tmp_path / "members") == "refused"
    assert time.monotonic() - started < 6 * LONGEST


def test_what_is_no_file(seed: Seed, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.run")
    for path in (tmp_path / "pipe.run", tmp_path, Path("/dev/zero"), tmp_path / "missing"):
        with pytest.raises(BundlegenError, match="cannot read"):
            read(path)
