"""The container images of a change, compressed once for all of its bundles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bundlegen.bundle.entry import ImageSet
from bundlegen.bundle.pieces import Piece, image_index, image_piece
from bundlegen.bundle.plan import image_entry
from bundlegen.errors import OutputError
from bundlegen.images import archive


def described(archives: archive.Archives, pieces: Sequence[Piece] = (), file: str = "") -> ImageSet:
    """What bundles bring of ``archives``, whose pieces are ``pieces``; without these, before they are made.

    ``file``: what holds the pieces, where the bundles do not.
    """
    index = image_index(zip((image.name for image in archives.files), pieces, strict=bool(pieces)))
    return ImageSet(archives.files, archives.index, index, archives.machine, file)


def compress(archives: archive.Archives, scratch: Path, step: Callable[[str, int, int], None]) -> list[Piece]:
    """A piece for every archive, by name, in the folder ``scratch``. Raises OutputError."""
    pieces = []
    for number, image in enumerate(archives.files):
        step("compressing images", number, len(archives.files))
        try:
            blocks = archive.blocks(image.path)
            pieces.append(image_piece(image_entry(image), blocks, scratch / str(number)))
        except OSError as error:
            raise OutputError(
                f"cannot pack {image.path}: {error.strerror}", hint="free some space and try again"
            ) from error
        except ValueError as error:
            raise OutputError(
                f"cannot pack {image.path}: {error}", hint="build again when nothing writes to it"
            ) from error
        step("compressing images", number + 1, len(archives.files))
    return pieces
