"""What a bundle holds, file by file: the values that a plan is made of. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bundlegen import layout


@dataclass(frozen=True)
class Entry:
    """One file of the payload. ``destination``: absolute, placed there on the host; relative, only carried.

    Its bytes are ``content``, or those of the file at ``source`` where they are too many to hold, or, where it has
    neither, they travel in a sealed entry of their own. ``what`` says in words what it is; ``private``: it holds a key.
    """

    destination: str
    mode: int
    sha256: str
    size: int
    what: str
    private: bool = False
    content: bytes | None = field(default=None, repr=False)
    source: Path | None = None

    @property
    def placed(self) -> bool:
        return self.destination.startswith("/")

    @property
    def manifest_line(self) -> str:
        return f"{self.mode:04o} {layout.OWNER} {self.sha256} {self.destination}"


@dataclass(frozen=True)
class ImageFile:
    """A container image archive to carry: its name below ``images/``, and the file it is."""

    name: str
    path: Path
    sha256: str
    size: int


@dataclass(frozen=True)
class ImageSet:
    """The image archives that every bundle brings, by name.

    ``index`` and ``pieces``: the content of images/LIST and images/PIECES; ``architecture``: of all the images, as
    ``uname -m`` says it, empty for any. ``file``: the name of the file beside the bundles that holds the archives;
    empty: each bundle holds them.
    """

    files: tuple[ImageFile, ...] = ()
    index: bytes = b""
    pieces: bytes = b""
    architecture: str = ""
    file: str = ""


NO_IMAGES: Final = ImageSet()


def sha256(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def entry(destination: str, content: bytes, mode: int, what: str, *, private: bool = False) -> Entry:
    """An entry whose bytes are at hand. Raises ValueError for a destination that MANIFEST cannot hold."""
    if not layout.is_destination(destination):
        raise ValueError(f"not a destination: {destination!r}")
    return Entry(destination, mode, sha256(content), len(content), what, private, content)
