"""Unpacks a bundle's pieces in memory, believing nothing: only what :mod:`bundlegen.bundle.pieces` writes is accepted.

A hostile archive works by what a general reader is willing to do: links, devices, sparse files, extended headers,
endless gzip members, sizes that are not true. Here every tar header has to be, byte for byte, the one bundlegen would
write for that name and size, and what is unpacked is counted.
"""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Final, TypeAlias

from bundlegen import layout
from bundlegen.bundle import pieces
from bundlegen.images.archive import images_of
from bundlegen.images.contents import Image, ImageError

_BLOCK: Final = 1 << 18
_NAME_MAX: Final = 4096
_MEMBERS_MAX: Final = 4096
_GZIP_MEMBERS_MAX: Final = 8
_HELD_MAX: Final = 64 << 20
_FILE_MAX: Final = 8 << 20
_GROWTH_BASE: Final = 256 << 20
_GROWTH_FACTOR: Final = 64


Saver: TypeAlias = Callable[[str], IO[bytes]]
"""Opens the file that an image, by its path in the payload, is to be written to."""


Looked: TypeAlias = tuple[Image, ...] | str
"""The images in an archive, or why they cannot be told, in words that continue the archive's name."""


class PayloadError(ValueError):
    """Why the payload is none of bundlegen's, in words that continue "its payload"."""


@dataclass
class Contents:
    """What the pieces hold.

    ``files`` has the small files by their path in the payload, image archives are only hashed; ``sizes`` and ``sums``
    have all. A file whose piece was not read to its end has no sum. ``looking``: what is in image archives is looked
    at, and is then in ``images`` by their path.
    """

    size: int
    looking: bool = False
    images: dict[str, Looked] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict, repr=False)
    sizes: dict[str, int] = field(default_factory=dict)
    sums: dict[str, str] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    unpacked: int = 0
    held: int = 0

    def grow(self, count: int) -> None:
        """Counts what was unpacked. Raises PayloadError if it is more than a file of this size ever holds."""
        self.unpacked += count
        if self.unpacked > _GROWTH_BASE + _GROWTH_FACTOR * self.size:
            raise PayloadError("unpacks to far more than any bundle of its size")

    def hold(self, content: bytes) -> bytes:
        self.held += len(content)
        if self.held > _HELD_MAX:
            raise PayloadError("is larger than any bundle's, images apart")
        return content


class Packed:
    """One compressed piece of the file, hashed as it is read; ``whole`` is the hash of the whole file."""

    def __init__(self, stream: IO[bytes], size: int, whole: hashlib._Hash) -> None:
        self._stream = stream
        self._left = size
        self._whole = whole
        self.digest = hashlib.sha256()

    def block(self) -> bytes:
        """The next bytes; none at the end."""
        block = self._stream.read(min(_BLOCK, self._left))
        self._left -= len(block)
        self.digest.update(block)
        self._whole.update(block)
        return block

    def drain(self) -> None:
        """Reads on to the end."""
        while self.block():
            pass


class _Unpacked:
    """The bytes of a piece, decompressed as they are asked for, gzip member after gzip member."""

    def __init__(self, piece: Packed, contents: Contents) -> None:
        self._blocks = self._inflate(piece, contents)
        self._rest = b""

    def take(self, count: int) -> bytes:
        """Just so many bytes, at most a block; fewer at the end."""
        while len(self._rest) < count and (block := next(self._blocks, b"")):
            self._rest += block
        result, self._rest = self._rest[:count], self._rest[count:]
        return result

    @staticmethod
    def _inflate(piece: Packed, contents: Contents) -> Iterator[bytes]:
        members, unpacked, inflater = 0, 0, None
        waiting = b""
        while data := waiting or piece.block():
            if inflater is None or inflater.eof:
                members, inflater = members + 1, zlib.decompressobj(31)
                if members > _GZIP_MEMBERS_MAX + unpacked // pieces.MEMBER_SIZE:
                    raise PayloadError("is compressed in more parts than any bundle's")
            block = inflater.decompress(data, _BLOCK)
            unpacked += len(block)
            contents.grow(len(block))
            if block:
                yield block
            waiting = inflater.unconsumed_tail or inflater.unused_data
        if inflater is None or not inflater.eof:
            raise PayloadError("ends early")


def unpack(piece: Packed, contents: Contents, *, headers_only: bool = False, save: Saver | None = None) -> int:
    """Adds what is in the piece to ``contents``; returns how many bytes of files there are in it.

    ``save``: images are written there. ``headers_only``: stops where the first file's bytes begin. Raises PayloadError
    for anything bundlegen does not write.
    """
    source = _Unpacked(piece, contents)
    total = 0
    try:
        while header := _header(source):
            name, size, folder = header
            if len(contents.sizes) + len(contents.folders) >= _MEMBERS_MAX:
                raise PayloadError("holds more files than any bundle")
            if name in contents.sizes or name in contents.folders:
                raise PayloadError(f"holds {name[:200]!r} twice")
            if folder:
                contents.folders.add(name)
                continue
            contents.sizes[name] = size
            total += size
            if headers_only:
                return total
            _file(source, contents, name, size, save)
    except zlib.error as error:
        raise PayloadError("cannot be decompressed") from error
    return total


def _header(source: _Unpacked) -> tuple[str, int, bool] | None:
    """Name and size of what comes next, and whether it is a folder; None at the end."""
    raw = source.take(tarfile.BLOCKSIZE)
    if len(raw) < tarfile.BLOCKSIZE:
        raise PayloadError("ends early")
    if not any(raw):
        if source.take(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE) or source.take(1):
            raise PayloadError("goes on after its end")
        return None
    try:
        name, size = _name(raw), tarfile.nti(raw[124:136])  # type: ignore[attr-defined]
        if raw[156:157] == tarfile.GNUTYPE_LONGNAME:
            if not 0 < size <= _NAME_MAX:
                raise PayloadError("names a file in more characters than any bundle")
            text = source.take(size + -size % tarfile.BLOCKSIZE)
            name = text[: size - 1].decode("ascii")
            real = source.take(tarfile.BLOCKSIZE)
            raw += text + real
            size = tarfile.nti(real[124:136])  # type: ignore[attr-defined]
            kind = real[156:157]
        else:
            kind = raw[156:157]
    except (tarfile.HeaderError, UnicodeError) as error:
        raise PayloadError("holds a header that cannot be read") from error
    folder = kind == tarfile.DIRTYPE
    plain = name.removeprefix("./").rstrip("/") if folder else name.removeprefix("./")
    if not layout.is_destination(plain) or plain.startswith("/") or raw != pieces.header(plain, size, folder=folder):
        raise PayloadError(f"holds something that does not belong in a bundle: {name[:200]!r}")
    return plain, size, folder


def _name(raw: bytes) -> str:
    return raw[:100].partition(b"\0")[0].decode("ascii")


def _file(source: _Unpacked, contents: Contents, name: str, size: int, save: Saver | None) -> None:
    if layout.is_archive(name):
        if contents.looking:
            contents.sums[name] = _look(source, contents, name, size)
        elif save is None:
            contents.sums[name] = _copy(source, size, lambda _block: None)
        else:
            with save(name) as target:
                contents.sums[name] = _copy(source, size, target.write)
    else:
        if size > _FILE_MAX:
            raise PayloadError(f"holds a file that is too large: {name[:200]}")
        blocks: list[bytes] = []
        contents.sums[name] = _copy(source, size, lambda block: blocks.append(contents.hold(block)))
        contents.files[name] = b"".join(blocks)
    if any(source.take(-size % tarfile.BLOCKSIZE)):
        raise PayloadError("holds something between its files")


class _File:
    """The blocks of one file, hashed as they are taken, by whoever reads it as an archive: what fails is kept."""

    def __init__(self, source: _Unpacked, size: int) -> None:
        self._source = source
        self._left = size
        self.digest = hashlib.sha256()
        self.failed: PayloadError | zlib.error | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self.failed is not None or not self._left:
            raise StopIteration
        try:
            block = self._source.take(min(self._left, _BLOCK))
        except (PayloadError, zlib.error) as error:
            self.failed = error
            raise StopIteration from error
        if not block:
            self.failed = PayloadError("ends early")
            raise StopIteration
        self._left -= len(block)
        self.digest.update(block)
        return block


def _look(source: _Unpacked, contents: Contents, name: str, size: int) -> str:
    file = _File(source, size)
    try:
        contents.images[name] = images_of(file)
    except ImageError as error:
        contents.images[name] = error.message
    for _ in file:
        pass
    if file.failed is not None:
        raise file.failed
    return file.digest.hexdigest()


def _copy(source: _Unpacked, size: int, write: Callable[[bytes], object]) -> str:
    digest, left = hashlib.sha256(), size
    while left:
        block = source.take(min(left, _BLOCK))
        if not block:
            raise PayloadError("ends early")
        left -= len(block)
        digest.update(block)
        write(block)
    return digest.hexdigest()
