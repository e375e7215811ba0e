"""The file with the images of all bundles: is it what each bundle's images/PIECES says? Nothing is extracted."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from bundlegen import layout
from bundlegen.images import listing
from bundlegen.system.files import opened
from bundlegen.trust.bundle import Bundle
from bundlegen.trust.finding import Finding
from bundlegen.trust.image_index import CarriedImage
from bundlegen.trust.unpack import Contents, Packed, PayloadError, unpack


def needed(bundles: Sequence[Bundle]) -> list[Bundle]:
    """Those whose images are not on board."""
    return [bundle for bundle in bundles if bundle.conf["IMAGES_FILE"]]


def faults(path: Path, bundles: Sequence[Bundle], *, whole: bool = True) -> Iterator[Finding]:
    """What is wrong with the file at ``path``, which these bundles need. ``whole``: every byte of it is looked at."""
    named = {
        (bundle.images, bundle.files.get(layout.IMAGE_LIST, b""), bundle.conf["ARCHITECTURE"]): bundle.path.name
        for bundle in reversed(bundles)
    }
    for (images, listed, machine), name in named.items():
        try:
            with opened(path) as stream:
                wrong = _fault(stream, images, listed, machine, whole=whole)
        except OSError as error:
            yield Finding(path.name, f"cannot be read: {error.strerror or error}")
            return
        if wrong:
            yield Finding(path.name, f"{wrong}: it does not belong to {name}")


def _fault(stream: IO[bytes], images: Sequence[CarriedImage], listed: bytes, machine: str, *, whole: bool) -> str:
    size, wanted = os.fstat(stream.fileno()).st_size, sum(image.size for image in images)
    if size != wanted:
        return f"is {size} bytes long and should be {wanted}"
    if not whole:
        return ""
    contents = Contents(size, looking=True)
    for image in images:
        stream.seek(image.offset)
        packed = Packed(stream, image.size, hashlib.sha256())
        known = set(contents.sizes)
        try:
            unpack(packed, contents)
        except PayloadError as error:
            return f"holds a piece for {image.archive} that {error}"
        packed.drain()
        if packed.digest.hexdigest() != image.sha256:
            return f"holds other bytes for {image.archive}"
        if contents.folders or contents.sizes.keys() - known != {f"{layout.IMAGES}/{image.archive}"}:
            return f"holds something else than {image.archive}"
    return _contradiction(contents, listed, machine)


def _contradiction(contents: Contents, listed: bytes, machine: str) -> str:
    """In what the archives are not what the bundle says of them."""
    sound = {}
    for name, found in contents.images.items():
        bare = name.removeprefix(f"{layout.IMAGES}/")
        if isinstance(found, str):
            return f"holds {bare}, which {found}"
        sound[bare] = found
    try:
        if listing.machine(sound) != machine:
            return f"holds images for another architecture than {machine or 'any'}"
    except ValueError as error:
        return f"holds images of which {error}"
    return "" if listing.listing(sound) == listed else f"holds other images than {layout.IMAGE_LIST} says"
