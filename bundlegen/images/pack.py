"""The container images of a change, compressed once for all of its bundles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bundlegen.bundle.pieces import Piece, image_index, image_piece
from bundlegen.bundle.plan import ImageSet, image_entry
from bundlegen.errors import OutputError
from bundlegen.images import archive


def described(carried: archive.Carried, pieces: Sequence[Piece] = (), file: str = "") -> ImageSet:
    """What bundles bring of ``carried``, whose pieces are ``pieces``; without these, before they are made.

    ``file``: what holds the pieces, where the bundles do not.
    """
    index = image_index(zip((image.name for image in carried.files), pieces, strict=bool(pieces)))
    return ImageSet(carried.files, carried.index, index, carried.machine, file)


def compress(carried: archive.Carried, scratch: Path, step: Callable[[str, int, int], None]) -> list[Piece]:
    """A piece for every archive, by name, in the folder ``scratch``. Raises OutputError."""
    pieces = []
    for number, image in enumerate(carried.files):
        step("compressing images", number, len(carried.files))
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
        step("compressing images", number + 1, len(carried.files))
    return pieces
