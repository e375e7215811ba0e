"""Reads a bundle as data: the stub's numbers, the pieces, the payload. Executes nothing, extracts nothing to disk.

Everything read from the file is hostile until checked: time and memory are bounded by the size of the file.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Final

from bundlegen import layout
from bundlegen.bundle.conf import completed, missing
from bundlegen.bundle.pieces import Piece
from bundlegen.errors import VerificationError
from bundlegen.system.files import opened
from bundlegen.trust import image_index
from bundlegen.trust.image_index import CarriedImage
from bundlegen.trust.unpack import Contents, Looked, Packed, PayloadError, Saver, unpack

_STUB_MAX: Final = 256 * 1024
_MANIFEST_LINE: Final = re.compile(r"(0[0-7]{3}) ([a-z_][a-z0-9_-]*:[a-z_][a-z0-9_-]*) ([0-9a-f]{64}) (\S+)", re.ASCII)
_PART: Final = re.compile(r"\.run\.[0-9]{3}(\.[A-Za-z0-9]+)?$", re.ASCII)
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

    ``files`` holds the small files by their path in the payload, images are hashed only; ``sizes`` has the size of
    every file. ``sha256`` is of the whole file; ``stub`` the text before the pieces; ``digest`` of MANIFEST.
    ``images``: where the image archives are, on board or, as bundle.conf says, in a file beside the bundle.
    ``looked``: where they were looked at, the images in each archive on board, or why they cannot be told.
    ``sealed``: the destinations whose files are there only in their encrypted form.
    """

    path: Path
    size: int
    mode: int
    sha256: str
    stub: bytes = field(repr=False)
    pieces: tuple[Piece, ...]
    images: tuple[CarriedImage, ...]
    looked: Mapping[str, Looked]
    conf: Mapping[str, str]
    manifest: tuple[ManifestLine, ...]
    digest: str
    files: Mapping[str, bytes] = field(repr=False)
    sizes: Mapping[str, int] = field(repr=False)
    sealed: frozenset[str]

    @property
    def is_base(self) -> bool:
        """Whether it is the one for images, which no host owns."""
        return self.conf["KIND"] == layout.KIND_BASE

    @property
    def owner(self) -> str:
        """The host it is for, by name; ``layout.BASE`` for the one for images."""
        return layout.BASE if self.is_base else self.conf["HOST"]

    def beside(self, other: Bundle) -> Bundle:
        """The same for a folder of many bundles, once it has been examined by itself.

        What is byte for byte in ``other`` as well is held once: all hosts share the installer. The specification, which
        names every host, is let go; nobody reads it any more.
        """
        files = {
            name: other.files[name] if other.files.get(name) == content else content
            for name, content in self.files.items()
            if name != layout.SPECIFICATION
        }
        conf = {key: other.conf[key] if other.conf.get(key) == value else value for key, value in self.conf.items()}
        return replace(self, files=files, conf=conf, stub=other.stub if other.stub == self.stub else self.stub)

    @property
    def manifest_text(self) -> bytes:
        """MANIFEST, byte for byte."""
        lines = (f"{each.mode:04o} {each.owner} {each.sha256} {each.destination}\n" for each in self.manifest)
        return "".join(lines).encode()

    @property
    def destinations(self) -> frozenset[str]:
        """What MANIFEST names."""
        return frozenset(line.destination for line in self.manifest)

    def content(self, destination: str) -> bytes | None:
        """The bytes of one file; None if they are sealed, an image's, or not there."""
        return self.files.get(layout.payload_path(destination))


def read(path: Path, *, hashed: str = "", save: Saver | None = None, looking: bool = False) -> Bundle:
    """The bundle at ``path``, with every sum in it checked.

    ``looking``: what is in image archives is looked at.
    ``hashed``: the SHA-256 of the whole file, from a caller that has just written it; images are then not read again.
    ``save``: images are written there, before anything is known of them.
    Raises VerificationError if it cannot be read, is no bundle, is damaged, or does not agree with itself.
    """
    try:
        with opened(path) as stream:
            return _read(path, stream, hashed, save, looking=looking)
    except OSError as error:
        raise VerificationError(
            f"cannot read {path}: {error.strerror or error}", hint="name a bundle, such as infra0.run"
        ) from error
    except PayloadError as error:
        raise _damaged(path, f"its payload {error}") from error


def _read(path: Path, stream: IO[bytes], hashed: str, save: Saver | None, *, looking: bool) -> Bundle:
    status = os.fstat(stream.fileno())
    start = stream.read(_STUB_MAX)
    length = _stub_length(path, start)
    stub = start[:length]
    sizes, sums = _pieces(path, stub)
    if status.st_size < length + sum(sizes):
        _check_whole(path)
    if status.st_size != length + sum(sizes):
        raise _damaged(path, f"it is {status.st_size} bytes long and should be {length + sum(sizes)}")
    whole = hashlib.sha256(stub)
    contents = Contents(status.st_size, looking)
    pieces, position = [], length
    archives: list[str] = []
    for number, (size, expected) in enumerate(zip(sizes, sums, strict=True), start=1):
        stream.seek(position)
        position += size
        packed = Packed(stream, size, whole)
        skipping = bool(hashed) and number > 1
        known = set(contents.sizes)
        pieces.append(Piece(size, expected, unpack(packed, contents, headers_only=skipping, save=save)))
        archives += _archives(path, number, contents.sizes.keys() - known)
        if skipping:
            continue
        packed.drain()
        if packed.digest.hexdigest() != expected:
            raise _damaged(path, f"piece {number} does not have the SHA-256 that its stub says")
    manifest_text = contents.files.pop(layout.MANIFEST, b"")
    digest = contents.sums.pop(layout.MANIFEST, "")
    contents.sizes.pop(layout.MANIFEST, None)
    conf = _conf(path, contents.files.get(layout.CONF, b""))
    manifest = _manifest(path, manifest_text)
    sealed = _sealed(conf, manifest)
    _compare(path, manifest, sealed, contents)
    try:
        images = image_index.images(contents.files, conf, list(zip(archives, pieces[1:], strict=True)))
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    return Bundle(
        path=path,
        size=status.st_size,
        mode=stat.S_IMODE(status.st_mode),
        sha256=hashed or whole.hexdigest(),
        stub=stub,
        pieces=tuple(pieces),
        images=images,
        looked={name.removeprefix(f"{layout.IMAGES}/"): found for name, found in contents.images.items()},
        conf=conf,
        manifest=manifest,
        digest=digest,
        files=contents.files,
        sizes=contents.sizes,
        sealed=sealed,
    )


def _check_whole(path: Path) -> None:
    """Raises VerificationError for a numbered part, which has less than a bundle."""
    if _PART.search(path.name):
        raise VerificationError(f"{path} is a part of a bundle", hint="join the parts with cat, in their order")


def _stub_length(path: Path, start: bytes) -> int:
    found = re.search(rb'\nskip="(\d{1,5})"\n', start)
    if not start.startswith(b"#!/bin/sh\n") or found is None:
        raise VerificationError(
            f"{path} is not a bundle", hint="name a file that bundlegen build made, such as infra0.run"
        )
    lines = start.split(b"\n", int(found[1]))
    if len(lines) <= int(found[1]):
        _check_whole(path)
        raise _damaged(path, "its stub is cut off")
    return len(start) - len(lines[-1])


def _pieces(path: Path, stub: bytes) -> tuple[list[int], list[str]]:
    sizes = re.search(rb'\nfilesizes="(\d{1,13}(?: \d{1,13}){0,200})"\n', stub)
    sums = re.search(rb'\nSHA="([0-9a-f]{64}(?: [0-9a-f]{64}){0,200})"\n', stub)
    if sizes is None or sums is None or len(sizes[1].split()) != len(sums[1].split()):
        raise _damaged(path, "its stub does not say what follows it")
    return [int(size) for size in sizes[1].split()], sums[1].decode().split()


def _archives(path: Path, number: int, names: AbstractSet[str]) -> list[str]:
    """The image archives in a piece: one, and nothing else, in each but the first. Raises VerificationError."""
    found = sorted(name.removeprefix(f"{layout.IMAGES}/") for name in names if layout.is_archive(name))
    if (len(names), len(found)) != (1, 1) if number > 1 else found:
        raise _damaged(path, f"piece {number} does not hold what it should")
    return found


def _conf(path: Path, content: bytes) -> dict[str, str]:
    try:
        values = told(content)
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    if values.get("FORMAT") != layout.FORMAT:
        raise VerificationError(
            f"{path} is of format {values.get('FORMAT', 'unknown')[:20]}",
            hint=f"this bundlegen reads format {layout.FORMAT}",
        )
    values = completed(values)
    if lacking := missing(values):
        raise _damaged(path, f"{layout.CONF} lacks {', '.join(lacking)}")
    return values


def told(content: bytes) -> dict[str, str]:
    """The values in a bundle.conf by key. Raises ValueError, in words, for anything else in it."""
    values: dict[str, str] = {}
    for line in _lines(content):
        match = _CONF_LINE.fullmatch(line)
        if match is None or match[1] in values:
            raise ValueError(f"{layout.CONF} holds a line that is not KEY='value'")
        values[match[1]] = match[2]
    return values


def _manifest(path: Path, content: bytes) -> tuple[ManifestLine, ...]:
    lines = []
    for text in _lines(content):
        match = _MANIFEST_LINE.fullmatch(text)
        if match is None or not layout.is_destination(match[4]):
            raise _damaged(path, f"{layout.MANIFEST} holds a line that is not mode, owner, SHA-256 and destination")
        lines.append(ManifestLine(int(match[1], 8), match[2], match[3], match[4]))
    names = [line.destination for line in lines]
    if not names or len({layout.payload_path(name) for name in names}) != len(names) or names != sorted(names):
        raise _damaged(path, f"{layout.MANIFEST} is empty, names a file twice or is not sorted")
    return tuple(lines)


def _lines(content: bytes) -> list[str]:
    """The lines as the shell reads them: ended by LF alone."""
    text = content.decode("utf-8", "replace")
    return text.removesuffix("\n").split("\n") if text.endswith("\n") else [*text.split("\n"), "no end"]


def _sealed(conf: Mapping[str, str], manifest: tuple[ManifestLine, ...]) -> frozenset[str]:
    if conf["SEALED"] != "yes":
        return frozenset()
    names = {line.destination for line in manifest}
    return frozenset(name for name in names if name.startswith("/") and layout.sealed_path(name) in names)


def _compare(path: Path, manifest: tuple[ManifestLine, ...], sealed: frozenset[str], contents: Contents) -> None:
    """MANIFEST and the payload name the same files with the same sums. Raises VerificationError."""
    listed = {layout.payload_path(line.destination): line.sha256 for line in manifest if line.destination not in sealed}
    for name in sorted(listed.keys() | contents.sizes.keys()):
        if name not in contents.sizes:
            raise _damaged(path, f"{name} is in {layout.MANIFEST} only")
        if name not in listed:
            raise _damaged(path, f"{name} is not in {layout.MANIFEST}")
        if contents.sums.get(name, listed[name]) != listed[name]:
            raise _damaged(path, f"{name} differs from {layout.MANIFEST}")


def _damaged(path: Path, what: str) -> VerificationError:
    return VerificationError(
        f"{path} is damaged: {what}", hint=f"fetch it again from where it was made, and check {layout.SUMS}"
    )
