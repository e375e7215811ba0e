"""What a bundle says of the images in its archives: images/LIST, and their architecture. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from bundlegen.images.contents import Image

# A bare tag, as an OCI layout may have for a name, is none that a runtime keeps: containerd puts the day before it.
_REFERENCE: Final = re.compile(r"(?=.*[/:@])[A-Za-z0-9][A-Za-z0-9._:/@-]{0,511}")


def listing(found: Mapping[str, Sequence[Image]]) -> bytes:
    """The content of images/LIST from images by archive: ID, archive and name, one line per name, sorted."""
    lines = {
        f"{image.config} {name} {reference}\n"
        for name, images in found.items()
        for image in images
        for reference in image.names
        if _REFERENCE.fullmatch(reference)
    }
    return "".join(sorted(lines)).encode("ascii")


def machine(found: Mapping[str, Sequence[Image]]) -> str:
    """The one architecture that all archives have, from images by archive; empty if each has several.

    Raises ValueError for a mixture.
    """
    common: set[str] = set()
    first = ""
    for name, images in found.items():
        machines = {image.machine for image in images}
        if first and not common & machines:
            ours, theirs = ", ".join(sorted(common)), ", ".join(sorted(machines))
            raise ValueError(f"{first} is for {ours}, {name} for {theirs}: no host can run both")
        common = common & machines if first else machines
        first = first or name
    return common.pop() if len(common) == 1 else ""
