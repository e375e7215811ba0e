"""Bundles in numbered parts, or under another name, for systems that limit what may be attached."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundlegen import layout
from bundlegen.bundle.finished import Part, Shared
from bundlegen.bundle.pieces import Piece
from bundlegen.change import parts
from bundlegen.change.folder import Staging
from bundlegen.errors import UsageError

_SIZE: Final = re.compile(r"([0-9]{1,12})(|[kKMG]|[KMG]i)(|B)", re.ASCII)
_EXTENSION: Final = re.compile(r"[A-Za-z0-9]{1,16}", re.ASCII)
# A limit of "10 MB" is meant in either way; a part made by the smaller one fits in both.
_UNITS: Final = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
SMALLEST: Final = 1024
MOST_PARTS: Final = 999
_BLOCK: Final = 1 << 20


@dataclass(frozen=True)
class Attachments:
    """How bundles are to be attached: at most ``size`` bytes each (None: whole), names ending in ``extension``."""

    size: int | None = None
    extension: str = ""

    @property
    def wanted(self) -> bool:
        """Whether anything has to be made."""
        return self.size is not None or bool(self.extension)


NONE: Final = Attachments()


def attachments(size: str | None, extension: str | None) -> Attachments:
    """What ``--split`` and ``--extension`` ask for. Raises UsageError."""
    return Attachments(None if size is None else _size(size), _extension(extension or ""))


def make(stage: Staging, bundle: str, wanted: Attachments) -> tuple[Part, ...]:
    """Write the parts of the staged file ``bundle``. Raises OutputError, and UsageError if they are too many."""
    path = stage.folder / bundle
    whole = path.stat().st_size
    limit = whole if wanted.size is None else wanted.size
    count = -(-whole // limit)
    if count > MOST_PARTS:
        raise UsageError(
            f"--split: {bundle} would be in {count} parts, at most {MOST_PARTS} are possible",
            hint=f"give at least {-(-whole // MOST_PARTS)} bytes",
        )
    made = []
    for number in range(count):
        pieces = [bundle, *([f"{number + 1:03d}"] if wanted.size is not None else []), wanted.extension]
        name = ".".join(piece for piece in pieces if piece)
        size, digest = stage.write(name, _blocks(path, number * limit, limit), layout.MODE_SECRET)
        made.append(Part(name, size, digest))
    return tuple(made)


def _blocks(path: Path, start: int, limit: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(start)
        while limit > 0 and (block := stream.read(min(limit, _BLOCK))):
            limit -= len(block)
            yield block


def _size(text: str) -> int:
    found = _SIZE.fullmatch(text)
    size = int(found[1]) * _UNITS[found[2]] if found else 0
    if size < SMALLEST:
        raise UsageError(f"--split {text}: not a size of at least {SMALLEST} bytes", hint="write it as 10M or 9500K")
    return size


def _extension(text: str) -> str:
    bare = text.removeprefix(".")
    if text and not _EXTENSION.fullmatch(bare):
        raise UsageError(f"--extension {text}: not a file name extension", hint="letters and digits, such as txt")
    if bare == layout.BUNDLE_SUFFIX.removeprefix("."):
        raise UsageError(f"--extension {text}: bundles end in {layout.BUNDLE_SUFFIX} already", hint="choose another")
    return bare


def share(stage: Staging, pieces: Sequence[Piece], wanted: parts.Attachments) -> Shared:
    """Write the file that holds the pieces for all bundles, one after the other, nothing else. Raises OutputError."""
    blocks = (block for piece in pieces for block in piece.blocks())
    size, digest = stage.write(layout.SHARED_IMAGES, blocks)
    made = parts.make(stage, layout.SHARED_IMAGES, wanted) if wanted.wanted else ()
    return Shared(layout.SHARED_IMAGES, size, digest, made)
