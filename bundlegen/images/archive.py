"""Container image archives: read block by block, believing nothing, handed on as the plain tar a runtime imports."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import re
import tarfile
import zlib
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from bundlegen import layout
from bundlegen.bundle import pieces
from bundlegen.bundle.entry import ImageFile
from bundlegen.errors import Problem, SpecError
from bundlegen.images import contents
from bundlegen.images.contents import Image, ImageError, Part
from bundlegen.images.listing import listing, machine

_BLOCK: Final = 1 << 20
_PARTS_MAX: Final = 20000
_HEADER_MAX: Final = 1 << 20
_HELD_MAX: Final = 32 << 20
_UNPACKED_MAX: Final = 64 << 30
_XZ_MEMORY: Final = 96 << 20
_HEADERS: Final = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE)
_DAMAGED: Final = "is truncated, damaged, or no image archive"


@dataclass(frozen=True)
class Archive:
    """An archive as a bundle carries it, uncompressed, and the images in it."""

    path: Path
    size: int
    sha256: str
    images: tuple[Image, ...]


@dataclass(frozen=True)
class Archives:
    """What bundles carry: ``files`` by name, the ``images`` in them, and the list of these that goes with them.

    ``machine``: the architecture of all images, as ``uname -m`` says it; empty: any.
    """

    files: tuple[ImageFile, ...]
    images: tuple[Image, ...]
    index: bytes
    machine: str


def blocks(path: Path) -> Iterator[bytes]:
    """The archive as a plain tar: decompressed, or, for an OCI layout's folder, made of its files.

    Raises OSError, and ImageError for damaged data.
    """
    try:
        yield from _blocks(path)
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise ImageError(_DAMAGED) from error
    except OSError as error:
        if error.errno is None:  # gzip and bz2 say so that the data, not the disk, is wrong
            raise ImageError(_DAMAGED) from error
        raise


def _blocks(path: Path) -> Iterator[bytes]:
    if path.is_dir():
        yield from _folder(path)
        return
    with path.open("rb") as raw:
        start = raw.read(6)
        raw.seek(0)
        if start.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=raw) as packed:
                yield from _read(packed)
        elif start.startswith(b"BZh"):
            with bz2.BZ2File(raw) as packed_bz2:
                yield from _read(packed_bz2)
        elif start == b"\xfd7zXZ\0":
            yield from _unxz(raw)
        elif start.startswith(b"\x28\xb5\x2f\xfd"):
            raise ImageError("is compressed with zstd", f"decompress it first: zstd -d {path.name}")
        else:
            yield from _read(raw)


def read(path: Path) -> Archive:
    """The archive at ``path``, every part of it checked. Raises ImageError and OSError."""
    stream = _Counted(blocks(path))
    found = _images(stream)
    return Archive(path, stream.size, stream.digest.hexdigest(), found)


def images_of(source: Iterator[bytes]) -> tuple[Image, ...]:
    """The images in an uncompressed archive that comes in blocks, all of which are taken. Raises ImageError."""
    return _images(_Counted(source))


def _images(stream: _Counted) -> tuple[Image, ...]:
    try:
        parts, links = _parts(stream)
    except ImageError:
        raise
    except (EOFError, tarfile.TarError, ValueError, RecursionError) as error:
        # numbers that are none, and headers of headers without end, are no errors of its own to tarfile
        raise ImageError(_DAMAGED) from error
    found = contents.images_in(parts, links)
    while stream.read(_BLOCK):
        pass
    return found


def survey(paths: Sequence[Path], spec: Path) -> Archives:
    """What the archives at ``paths`` hold, all checked; ``spec``: for messages. Raises SpecError with all problems."""
    archives: dict[str, Archive] = {}
    problems = []
    for path in paths:
        try:
            archive = read(path)
        except ImageError as error:
            problems.append(Problem(str(spec), "images", f"{path} {error.message}", error.hint))
        except OSError as error:
            problems.append(Problem(str(spec), "images", f"{path} cannot be read: {error.strerror}", "check the disk"))
        else:
            archives[_name(path, archives)] = archive
    if problems:
        raise SpecError(problems)
    try:
        common = machine({str(each.path): each.images for each in archives.values()})
    except ValueError as error:
        raise SpecError([Problem(str(spec), "images", str(error), "fetch all of them for one architecture")]) from error
    return Archives(
        tuple(ImageFile(name, each.path, each.sha256, each.size) for name, each in sorted(archives.items())),
        tuple(image for each in archives.values() for image in each.images),
        listing({name: each.images for name, each in archives.items()}),
        common,
    )


def _name(path: Path, taken: Container[str]) -> str:
    """The name in a bundle: the archive's own, as it is carried: an uncompressed tar."""
    stem = re.sub(r"\.(gz|xz|bz2|tgz|txz|tbz2?)$", "", path.name)
    name = stem if stem.endswith(".tar") else f"{stem}.tar"
    return name if name not in taken else f"{path.name}.tar"


class _Counted(io.RawIOBase):
    """A stream of blocks that is hashed and counted while it is read."""

    def __init__(self, source: Iterator[bytes]) -> None:
        super().__init__()
        self._source = source
        self._rest = b""
        self.digest = hashlib.sha256()
        self.size = 0

    def read(self, count: int = -1) -> bytes:
        while len(self._rest) < count and (block := next(self._source, b"")):
            self._rest += block
        result, self._rest = self._rest[:count], self._rest[count:]
        self.digest.update(result)
        self.size += len(result)
        if self.size > _UNPACKED_MAX:
            raise ImageError(f"unpacks to more than {_UNPACKED_MAX >> 30} GiB")
        return result


class _Header(tarfile.TarInfo):
    """A tar header whose extensions are not believed to be endless: tarfile holds them in memory whole."""

    # Not frombuf, the documented way: Python's own security fixes, which Debian's 3.11.2 has, no longer call it.
    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _HEADERS and self.size > _HEADER_MAX:
            raise ImageError("has a header of more than 1 MiB")
        if self.type == tarfile.GNUTYPE_SPARSE:
            self._sparse()
        made: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return made

    def _sparse(self, *_: object) -> None:
        """Its size is whatever its map says, and both may be without end."""
        raise ImageError("holds a sparse file, as no image does")

    # The three ways in which extended headers say it.
    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _sparse


def _parts(stream: _Counted) -> tuple[dict[str, Part], dict[str, str]]:
    parts: dict[str, Part] = {}
    links: dict[str, str] = {}
    held = 0
    with tarfile.open(fileobj=stream, mode="r|", bufsize=_BLOCK, tarinfo=_Header, errorlevel=1) as tar:
        while (each := tar.next()) is not None:
            tar.members = []  # type: ignore[attr-defined]
            if len(parts) + len(links) >= _PARTS_MAX:
                raise ImageError(f"holds more than {_PARTS_MAX} files")
            name = each.name.removeprefix("./")
            if each.isfile():
                part = _part(tar, each, hold=held < _HELD_MAX)
                held += len(part.content or b"")
                parts[name] = part
            elif each.issym():
                links[name] = f"{name.rpartition('/')[0]}/{each.linkname}"
            elif each.islnk():
                links[name] = each.linkname.removeprefix("./")
    return parts, links


def _part(tar: tarfile.TarFile, each: tarfile.TarInfo, *, hold: bool) -> Part:
    digest, start, content, left = hashlib.sha256(), b"", b"", each.size
    # What begins otherwise is no JSON, whatever its name: layers are never held.
    keep = hold and each.size <= contents.JSON_MAX
    source = tar.extractfile(each)
    while source is not None and left:
        block = source.read(min(left, _BLOCK))
        if not block:
            raise EOFError
        start = start or block[:4]
        keep = keep and start.lstrip()[:1] in (b"{", b"[")
        digest.update(block)
        left -= len(block)
        if keep:
            content += block
    return Part(each.size, digest.hexdigest(), start, content if keep else None)


def _read(stream: IO[bytes] | gzip.GzipFile | bz2.BZ2File) -> Iterator[bytes]:
    while block := stream.read(_BLOCK):
        yield block


def _unxz(raw: IO[bytes]) -> Iterator[bytes]:
    """lzma's own file objects take no limit on memory, which an archive's header may ask for at will."""
    inflater = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    while True:
        data = raw.read(_BLOCK) if inflater.needs_input else b""
        if inflater.needs_input and not data:
            raise EOFError
        if block := inflater.decompress(data, _BLOCK):
            yield block
        if inflater.eof:
            rest = inflater.unused_data.lstrip(b"\0") or raw.read(_BLOCK).lstrip(b"\0")
            if not rest:
                return
            raise ImageError("consists of several xz streams", "decompress it first: xz -d")


def _folder(path: Path) -> Iterator[bytes]:
    """An OCI layout's files as a tar that depends on their names and bytes alone."""
    for file in sorted(each for each in path.rglob("*") if each.is_file() and not each.is_symlink()):
        name = file.relative_to(path).as_posix()
        if not layout.is_destination(name):
            raise ImageError(f"holds a file whose name no OCI layout has: {ascii(name)[:120]}")
        size = file.stat().st_size
        yield pieces.header(name, size)
        left = size
        with file.open("rb") as stream:
            while left and (block := stream.read(min(left, _BLOCK))):
                left -= len(block)
                yield block
        if left:
            raise EOFError
        yield bytes(-size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)
