"""The container images of a change, compressed once for all of its bundles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bundlegen import images, payload
from bundlegen.errors import OutputError
from bundlegen.plan import ImageSet, image_entry


def described(carried: images.Carried, pieces: Sequence[payload.Piece] = ()) -> ImageSet:
    """What bundles bring of ``carried``, whose pieces are ``pieces``; without these, before they are made."""
    index = payload.image_index(zip((image.name for image in carried.files), pieces, strict=bool(pieces)))
    return ImageSet(carried.files, carried.index, index, carried.machine)


def compress(carried: images.Carried, scratch: Path, step: Callable[[str, int, int], None]) -> list[payload.Piece]:
    """A piece for every archive, by name, in the folder ``scratch``. Raises OutputError."""
    pieces = []
    for number, image in enumerate(carried.files):
        step("compressing images", number, len(carried.files))
        try:
            blocks = images.blocks(image.path)
            pieces.append(payload.image_piece(image_entry(image), blocks, scratch / str(number)))
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
