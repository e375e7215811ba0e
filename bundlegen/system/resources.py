"""Where the templates are: inside an installed wheel, inside the one-file program, or in the checkout.

Nothing else in bundlegen knows or computes their place. All three ways give the same names, relative to
``templates/`` with ``/`` between the parts, such as ``kubelet/kubelet.conf.j2``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from bundlegen.errors import BundlegenError

BROKEN = "this installation is broken: reinstall"


def templates_dir() -> Traversable:
    """The folder that holds the templates.

    Raises BundlegenError if this installation has none, which is a fault of its packaging.
    """
    package = files("bundlegen")
    packaged = package / "templates"
    if packaged.is_dir():
        return packaged
    # In a one-file program the path would be inside its unpacking folder, where a second guess only hides the fault.
    if not getattr(sys, "frozen", False):
        checkout = Path(str(package)).parent
        if (checkout / "setup.cfg").is_file() and (checkout / "templates").is_dir():
            return checkout / "templates"
    raise BundlegenError(
        f"bundlegen's templates are missing: {packaged}", hint="this installation is broken: reinstall"
    )


def template_names() -> tuple[str, ...]:
    """The names of all templates, sorted. Raises BundlegenError as :func:`templates_dir`."""
    return tuple(sorted(_names(templates_dir(), "")))


def template_text(name: str) -> str:
    """The text of the template ``name``, its bytes decoded and otherwise unchanged.

    Raises BundlegenError if this installation lacks it.
    """
    folder = templates_dir()
    try:
        return folder.joinpath(*name.split("/")).read_bytes().decode("utf-8")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise BundlegenError(f"bundlegen's template {name} is missing from {folder}", hint=BROKEN) from error


def carried(program: str) -> Path | None:
    """The folder with another program that the one-file program carries; None if bundlegen is not one file."""
    if not getattr(sys, "frozen", False):
        return None
    folder = Path(str(files("bundlegen"))) / program
    if not folder.is_dir():
        raise BundlegenError(f"the carried {program} is missing: {folder}", hint=BROKEN)
    return folder


def _names(folder: Traversable, prefix: str) -> Iterator[str]:
    for entry in folder.iterdir():
        if entry.is_dir():
            # A folder of compiled Python appears where somebody imported from templates/; it is never a template.
            if entry.name != "__pycache__":
                yield from _names(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name
