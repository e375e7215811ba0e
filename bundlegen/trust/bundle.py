"""Reads a bundle as data: the stub's numbers, the pieces, the payload. Executes nothing, extracts nothing to disk.

Everything read from the file is hostile until checked: sizes are bounded before anything is unpacked.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from bundlegen import layout
from bundlegen.errors import VerificationError

_STUB_MAX: Final = 256 * 1024
_SMALL_MAX: Final = 64 * 1024 * 1024
_FILE_MAX: Final = 8 * 1024 * 1024
_MEMBERS_MAX: Final = 4096
_MANIFEST_LINE: Final = re.compile(r"(0[0-7]{3}) ([a-z_][a-z0-9_-]*:[a-z_][a-z0-9_-]*) ([0-9a-f]{64}) (\S+)", re.ASCII)
_CONF_LINE: Final = re.compile(r"([A-Z][A-Z0-9_]*)='([^'\\\x00-\x1f\x7f]*)'")


@dataclass(frozen=True)
class ManifestLine:
    """One line of MANIFEST."""

    mode: int
    owner: str
    sha256: str
    destination: str


@dataclass(frozen=True)
class Bundle:
    """A bundle whose parts are whole and fit together.

    ``files`` holds the small files by their path in the payload; images are hashed only.
    ``sha256`` is of the whole file; ``stub`` the text before the pieces; ``digest`` of MANIFEST.
    """

    path: Path
    size: int
    sha256: str
    stub: bytes = field(repr=False)
    conf: Mapping[str, str]
    manifest: tuple[ManifestLine, ...]
    digest: str
    files: Mapping[str, bytes] = field(repr=False)


def read(path: Path) -> Bundle:
    """The bundle at ``path``, with every sum in it checked.

    Raises VerificationError where it cannot be read, is no bundle, is damaged, or does not agree with itself.
    """
    try:
        with path.open("rb") as stream:
            return _read(path, stream)
    except OSError as error:
        raise VerificationError(
            f"cannot read {path}: {error.strerror}", hint="name a bundle, such as infra0.run"
        ) from error


def _read(path: Path, stream: IO[bytes]) -> Bundle:
    start = stream.read(_STUB_MAX)
    length = _stub_length(path, start)
    stub = start[:length]
    sizes, sums = _pieces(path, stub)
    total = stream.seek(0, io.SEEK_END)
    if total != length + sum(sizes):
        raise _damaged(path, f"it is {total} bytes long and should be {length + sum(sizes)}")
    whole = hashlib.sha256(stub)
    files: dict[str, bytes] = {}
    hashes: dict[str, str] = {}
    stream.seek(length)
    for number, (size, expected) in enumerate(zip(sizes, sums, strict=True), start=1):
        piece = _Piece(stream, size, whole)
        _read_piece(path, piece, files, hashes)
        piece.drain()
        if piece.digest.hexdigest() != expected:
            raise _damaged(path, f"piece {number} does not have the SHA-256 that its stub says")
    conf = _conf(path, files.get(layout.CONF, b""))
    manifest = _manifest(path, files.pop(layout.MANIFEST, b""), hashes)
    return Bundle(path, total, whole.hexdigest(), stub, conf, manifest, hashes[layout.MANIFEST], files)


class _Piece:
    """One compressed piece of the file, hashed as it is read."""

    def __init__(self, stream: IO[bytes], size: int, whole: hashlib._Hash) -> None:
        self._stream = stream
        self._left = size
        self._whole = whole
        self.digest = hashlib.sha256()

    def block(self) -> bytes:
        block = self._stream.read(min(1 << 18, self._left))
        self._left -= len(block)
        self.digest.update(block)
        self._whole.update(block)
        return block

    def drain(self) -> None:
        while self.block():
            pass


class _Unpacked(io.RawIOBase):
    """The bytes of a piece, decompressed as they are asked for, gzip member after gzip member."""

    def __init__(self, piece: _Piece) -> None:
        self._blocks = self._inflate(piece)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, count: int = -1) -> bytes:
        while len(self._rest) < count:
            block = next(self._blocks, b"")
            if not block:
                break
            self._rest += block
        result, self._rest = self._rest[:count], self._rest[count:]
        return result

    @staticmethod
    def _inflate(piece: _Piece) -> Iterator[bytes]:
        inflater, fed = zlib.decompressobj(31), False
        waiting = b""
        while True:
            data = waiting or piece.block()
            waiting = b""
            if not data:
                if fed and not inflater.eof:
                    raise zlib.error("the compressed data ends early")
                return
            if inflater.eof:
                inflater = zlib.decompressobj(31)
            fed = True
            if block := inflater.decompress(data, 1 << 18):
                yield block
            waiting = inflater.unconsumed_tail or inflater.unused_data


def _read_piece(path: Path, piece: _Piece, files: dict[str, bytes], hashes: dict[str, str]) -> None:
    held = sum(map(len, files.values()))
    try:
        with tarfile.open(fileobj=_Unpacked(piece), mode="r|", bufsize=tarfile.RECORDSIZE) as archive:
            for count, member in enumerate(archive):
                name = member.name.removeprefix("./")
                if count > _MEMBERS_MAX:
                    raise _damaged(path, "it holds more files than any bundle")
                if member.isdir() and layout.is_destination(name):
                    continue
                if not member.isreg() or not layout.is_destination(name) or name.startswith("/") or name in hashes:
                    raise _damaged(path, f"it holds something that does not belong in a bundle: {name[:80]!r}")
                content, hashes[name] = _member(archive, member, keep=not name.startswith(f"{layout.IMAGES}/"))
                if content is not None:
                    held += len(content)
                    if held > _SMALL_MAX:
                        raise _damaged(path, "its files are larger than any bundle's")
                    files[name] = content
    except (tarfile.TarError, zlib.error, UnicodeError, OverflowError, ValueError) as error:
        raise _damaged(path, f"its payload cannot be unpacked ({error})") from error


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo, *, keep: bool) -> tuple[bytes | None, str]:
    if keep and member.size > _FILE_MAX:
        raise tarfile.TarError(f"{member.name[:80]} is too large")
    source = archive.extractfile(member)
    if source is None:
        raise tarfile.TarError(f"{member.name[:80]} is no file")
    digest, blocks = hashlib.sha256(), []
    while block := source.read(1 << 18):
        digest.update(block)
        if keep:
            blocks.append(block)
    return (b"".join(blocks) if keep else None), digest.hexdigest()


def _stub_length(path: Path, start: bytes) -> int:
    found = re.search(rb'\nskip="(\d{1,5})"\n', start)
    if not start.startswith(b"#!/bin/sh\n") or found is None:
        raise VerificationError(
            f"{path} is not a bundle", hint="name a file that bundlegen build made, such as infra0.run"
        )
    position = -1
    for _ in range(int(found[1])):
        position = start.find(b"\n", position + 1)
        if position < 0:
            raise _damaged(path, "its stub is cut off")
    return position + 1


def _pieces(path: Path, stub: bytes) -> tuple[list[int], list[str]]:
    sizes = re.search(rb'\nfilesizes="(\d{1,15}(?: \d{1,15}){0,200})"\n', stub)
    sums = re.search(rb'\nSHA="([0-9a-f]{64}(?: [0-9a-f]{64}){0,200})"\n', stub)
    if sizes is None or sums is None or len(sizes[1].split()) != len(sums[1].split()):
        raise _damaged(path, "its stub does not say what follows it")
    return [int(size) for size in sizes[1].split()], sums[1].decode().split()


def _conf(path: Path, content: bytes) -> dict[str, str]:
    values: dict[str, str] = {}
    for line in content.decode("utf-8", "replace").splitlines():
        match = _CONF_LINE.fullmatch(line)
        if match is None or match[1] in values:
            raise _damaged(path, f"{layout.CONF} holds a line that is not KEY='value'")
        values[match[1]] = match[2]
    if values.get("FORMAT") != layout.FORMAT:
        raise VerificationError(
            f"{path} is of format {values.get('FORMAT', 'unknown')}",
            hint=f"this bundlegen reads format {layout.FORMAT}",
        )
    return values


def _manifest(path: Path, content: bytes, hashes: Mapping[str, str]) -> tuple[ManifestLine, ...]:
    lines = []
    for text in content.decode("utf-8", "replace").splitlines():
        match = _MANIFEST_LINE.fullmatch(text)
        if match is None or not layout.is_destination(match[4]):
            raise _damaged(path, f"{layout.MANIFEST} holds a line that is not mode, owner, SHA-256 and destination")
        lines.append(ManifestLine(int(match[1], 8), match[2], match[3], match[4]))
    listed = {layout.payload_path(line.destination): line.sha256 for line in lines}
    there = {name: digest for name, digest in hashes.items() if name != layout.MANIFEST}
    for name in sorted(listed.keys() | there.keys()):
        if listed.get(name) != there.get(name):
            fault = (
                "differs from"
                if name in listed and name in there
                else "is missing from"
                if name in there
                else "is only in"
            )
            raise _damaged(path, f"{name} {fault} {layout.MANIFEST}")
    if not lines or len(listed) != len(lines):
        raise _damaged(path, f"{layout.MANIFEST} is empty or names a file twice")
    return tuple(lines)


def _damaged(path: Path, what: str) -> VerificationError:
    return VerificationError(
        f"{path} is damaged: {what}", hint="fetch it again from where it was made, and check SHA256SUMS"
    )
