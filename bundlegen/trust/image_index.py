"""Which image archives a bundle brings, and where: images/PIECES and images/LIST against what is really there. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bundlegen import layout
from bundlegen.bundle.pieces import Piece

_LINE: Final = re.compile(r"([A-Za-z0-9._+@-]+) (0|[1-9][0-9]{0,14}) ([1-9][0-9]{0,14}) ([0-9a-f]{64})", re.ASCII)
_LISTED: Final = re.compile(r"sha256:[0-9a-f]{64} ([A-Za-z0-9._+@-]+) [A-Za-z0-9][A-Za-z0-9._:/@-]*", re.ASCII)


@dataclass(frozen=True)
class CarriedImage:
    """A line of images/PIECES: an archive's name, and where among the pieces of images its compressed one is."""

    archive: str
    offset: int
    size: int
    sha256: str


def images(
    files: Mapping[str, bytes], conf: Mapping[str, str], on_board: Sequence[tuple[str, Piece]]
) -> tuple[CarriedImage, ...]:
    """What images/PIECES says, if all agree: it, images/LIST, bundle.conf, and the pieces ``on_board`` by archive.

    Of images that are carried beside the bundle nothing is seen here but their sums.

    Raises ValueError, in words, where they do not.
    """
    found = _pieces(files.get(layout.IMAGE_PIECES))
    if (layout.IMAGE_PIECES in files) != (layout.IMAGE_LIST in files):
        raise ValueError(f"it has one of {layout.IMAGE_PIECES} and {layout.IMAGE_LIST} alone")
    listed = _listed(files.get(layout.IMAGE_LIST, b""))
    if strange := sorted(listed - {each.archive for each in found}):
        raise ValueError(f"{layout.IMAGE_LIST} names an archive that is not in {layout.IMAGE_PIECES}: {strange[0]}")
    if conf["IMAGES_FILE"]:
        if conf["IMAGES_FILE"] != layout.SHARED_IMAGES or on_board or not found:
            raise ValueError(f"{layout.CONF} names a file of images that it does not need")
    elif [(each.archive, each.size, each.sha256) for each in found] != [
        (archive, piece.size, piece.sha256) for archive, piece in on_board
    ]:
        raise ValueError(f"{layout.IMAGE_PIECES} is not about the images that follow")
    return found


def _pieces(content: bytes | None) -> tuple[CarriedImage, ...]:
    found: list[CarriedImage] = []
    offset = 0
    for line in _lines(content):
        match = _LINE.fullmatch(line)
        if match is None or int(match[2]) != offset or any(match[1] == each.archive for each in found):
            raise ValueError(f"{layout.IMAGE_PIECES} holds a line that is not archive, offset, size and SHA-256")
        found.append(CarriedImage(match[1], offset, int(match[3]), match[4]))
        offset += found[-1].size
    return tuple(found)


def _listed(content: bytes) -> set[str]:
    found = set()
    for line in _lines(content):
        match = _LISTED.fullmatch(line)
        if match is None:
            raise ValueError(f"{layout.IMAGE_LIST} holds a line that is not image ID, archive and name")
        found.add(match[1])
    return found


def _lines(content: bytes | None) -> list[str]:
    return (content or b"").decode("utf-8", "replace").removesuffix("\n").split("\n") if content else []
