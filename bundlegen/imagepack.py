"""The container images of a change, compressed once for all of its bundles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bundlegen import images, layout, payload
from bundlegen.errors import OutputError
from bundlegen.plan import ImageSet, image_entry
from bundlegen.report import parts, record
from bundlegen.staging import Staging


def described(carried: images.Carried, pieces: Sequence[payload.Piece] = (), file: str = "") -> ImageSet:
    """What bundles bring of ``carried``, whose pieces are ``pieces``; without these, before they are made.

    ``file``: what holds the pieces, where the bundles do not.
    """
    index = payload.image_index(zip((image.name for image in carried.files), pieces, strict=bool(pieces)))
    return ImageSet(carried.files, carried.index, index, carried.machine, file)


def share(stage: Staging, pieces: Sequence[payload.Piece], wanted: parts.Attachments) -> record.Shared:
    """Write the file that holds the pieces for all bundles, one after the other, nothing else. Raises OutputError."""
    blocks = (block for piece in pieces for block in piece.blocks())
    size, digest = stage.write(layout.SHARED_IMAGES, blocks)
    made = parts.make(stage, layout.SHARED_IMAGES, wanted) if wanted.wanted else ()
    return record.Shared(layout.SHARED_IMAGES, size, digest, made)


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
