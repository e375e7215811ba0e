"""From a plan to the compressed tar pieces that a bundle carries after its stub.

A gzip stream may consist of members, and a makeself archive of pieces. So what many bundles share is compressed once:
install.sh as the first member of every bundle's first piece, each container image as a piece of its own.
The bytes depend on the plan and on zlib alone: no times, owners, names or folders of this machine.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Final

from bundlegen import layout
from bundlegen.plan import BundlePlan, Entry, entry

MTIME: Final = 315532800
"""1980-01-01: GNU tar warns of times at or before 1970, and of times ahead of a host's late clock."""

_LEVEL: Final = 9
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
    shared = [each for each in entries if each.destination == layout.INSTALLER]
    own = [each for each in entries if each.destination != layout.INSTALLER] + [manifest]
    content = b"".join(_shared_member(each.content or b"") for each in shared)
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

    Raises OSError where the image cannot be read or ``target`` not written, and ValueError where it is no longer the
    one that was planned.
    """
    digest, before = hashlib.sha256(), hashlib.sha256()
    with target.open("xb") as raw:
        sink = _Hashed(raw, digest)
        with gzip.GzipFile("", "wb", 6, sink, 0) as packed:
            packed.write(header(layout.payload_path(image.destination), image.size))
            for block in source:
                before.update(block)
                packed.write(block)
            if before.hexdigest() != image.sha256:
                raise ValueError("it changed while it was read")
            packed.write(bytes(-image.size % tarfile.BLOCKSIZE) + _END)
        size = raw.tell()
    return Piece(size, digest.hexdigest(), image.size, path=target)


class _Hashed:
    """A file that is hashed while it is written."""

    def __init__(self, raw: IO[bytes], digest: hashlib._Hash) -> None:
        self._raw = raw
        self._digest = digest

    def write(self, block: bytes) -> int:
        self._digest.update(block)
        return self._raw.write(block)

    def flush(self) -> None:
        self._raw.flush()


@lru_cache(maxsize=4)
def _shared_member(installer: bytes) -> bytes:
    return gzip.compress(_member(layout.INSTALLER, installer), _LEVEL, mtime=0)


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
