"""From a plan to the compressed tar pieces that a bundle carries after its stub.

A gzip stream may consist of members, and a makeself archive of pieces. So what many bundles share is compressed once:
install.sh and image.sh as the first members of every bundle's first piece, each container image as a piece of its own.
The bytes depend on the plan and on zlib alone: no times, owners, names or folders of this machine.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from bundlegen import layout
from bundlegen.bundle.entry import Entry, entry
from bundlegen.bundle.plan import BundlePlan

MTIME: Final = 315532800
"""1980-01-01: GNU tar warns of times at or before 1970, and of times ahead of a host's late clock."""

MEMBER_SIZE: Final = 4 << 20
"""Bytes of an image's tar in one gzip member: small enough to hold some, large enough to compress as well as one."""

_SHARED: Final = (layout.INSTALLER, layout.IMAGE_SCRIPT)
_LEVEL: Final = 9
_IMAGE_LEVEL: Final = 6
_THREADS_MAX: Final = 8
_BLOCK: Final = 1 << 20
_END: Final = bytes(2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True)
class Piece:
    """One compressed tar: its bytes, or the file that holds them. ``unpacked`` is what it grows to, in bytes."""

    size: int
    sha256: str
    unpacked: int
    content: bytes | None = None
    path: Path | None = None

    def blocks(self) -> Iterator[bytes]:
        """The bytes, in blocks of at most 1 MiB."""
        if self.content is not None:
            yield self.content
        elif self.path is not None:
            with self.path.open("rb") as stream:
                while block := stream.read(_BLOCK):
                    yield block


def configuration_piece(plan: BundlePlan) -> Piece:
    """The piece with everything of ``plan`` that is at hand: all but the images."""
    manifest = entry(layout.MANIFEST, plan.manifest, layout.MODE_PLAIN, "")
    entries = [each for each in plan.entries if each.content is not None]
    shared = [each for each in entries if each.destination in _SHARED]
    own = [each for each in entries if each.destination not in _SHARED] + [manifest]
    content = b"".join(_shared_member(each.destination, each.content or b"") for each in shared)
    body = io.BytesIO()
    for name in _folders(own):
        body.write(header(name, 0, folder=True))
    for each in sorted(own, key=lambda one: layout.payload_path(one.destination)):
        body.write(_member(layout.payload_path(each.destination), each.content or b""))
    body.write(_END)
    content += gzip.compress(body.getvalue(), _LEVEL, mtime=0)
    unpacked = sum(each.size for each in entries) + manifest.size
    return Piece(len(content), hashlib.sha256(content).hexdigest(), unpacked, content=content)


def image_piece(image: Entry, source: Iterable[bytes], target: Path) -> Piece:
    """The piece with one container image, the blocks of ``source``, compressed into ``target`` as they come.

    The tar is cut into gzip members of :data:`MEMBER_SIZE`, compressed side by side: the bytes do not depend on the
    number of processors. Raises OSError if the image cannot be read or ``target`` not written, and ValueError where
    it is no longer the one that was planned.
    """
    before = hashlib.sha256()

    def tar() -> Iterator[bytes]:
        yield header(layout.payload_path(image.destination), image.size)
        for block in source:
            before.update(block)
            yield block
        if before.hexdigest() != image.sha256:
            raise ValueError("it changed while it was read")
        yield bytes(-image.size % tarfile.BLOCKSIZE) + _END

    digest = hashlib.sha256()
    with target.open("xb") as raw:
        for packed in _side_by_side(_pack, _cut(tar(), MEMBER_SIZE)):
            digest.update(packed)
            raw.write(packed)
        size = raw.tell()
    return Piece(size, digest.hexdigest(), image.size, path=target)


def image_index(pieces: Iterable[tuple[str, Piece]]) -> bytes:
    """The content of images/PIECES: a line per archive, by name in the order in which the pieces follow one another."""
    lines, offset = [], 0
    for name, piece in pieces:
        lines.append(f"{name} {offset} {piece.size} {piece.sha256}\n")
        offset += piece.size
    return "".join(lines).encode("ascii")


def _pack(content: bytes) -> bytes:
    """One gzip member; zlib writes its header, without name or time, as gzip's own module does not in every Python."""
    packer = zlib.compressobj(_IMAGE_LEVEL, zlib.DEFLATED, 31)
    return packer.compress(content) + packer.flush()


def _cut(blocks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in blocks of just ``size``, the last one apart."""
    waiting = bytearray()
    for block in blocks:
        waiting += block
        while len(waiting) >= size:
            yield bytes(waiting[:size])
            del waiting[:size]
    if waiting:
        yield bytes(waiting)


def _side_by_side(work: Callable[[bytes], bytes], items: Iterable[bytes]) -> Iterator[bytes]:
    """``work`` of each item, in order, on as many threads as there are processors; only so many are held at once."""
    threads = min(os.cpu_count() or 1, _THREADS_MAX)
    running: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            running.append(pool.submit(work, item))
            if len(running) > threads:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


@lru_cache(maxsize=4)
def _shared_member(name: str, content: bytes) -> bytes:
    return gzip.compress(_member(name, content), _LEVEL, mtime=0)


def _member(name: str, content: bytes) -> bytes:
    return header(name, len(content)) + content + bytes(-len(content) % tarfile.BLOCKSIZE)


@lru_cache(maxsize=256)
def header(name: str, size: int, *, folder: bool = False) -> bytes:
    """The tar header of one file or folder: nothing in it depends on more than its name and size."""
    info = tarfile.TarInfo(f"./{name}")
    info.size, info.mtime = size, MTIME
    info.mode = layout.MODE_PRIVATE_DIR if folder else layout.MODE_SECRET
    info.uname = info.gname = "root"
    info.type = tarfile.DIRTYPE if folder else tarfile.REGTYPE
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")


def _folders(entries: list[Entry]) -> list[str]:
    parents: set[str] = set()
    for each in entries:
        parts = layout.payload_path(each.destination).split("/")[:-1]
        parents.update("/".join(parts[: count + 1]) for count in range(len(parts)))
    return sorted(parents)
