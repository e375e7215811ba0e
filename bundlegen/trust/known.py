"""What bundlegen itself writes into every bundle, known by its SHA-256: the stub, install.sh and image.sh."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final

from bundlegen import __version__
from bundlegen.bundle import install_script, stub
from bundlegen.trust.bundle import Bundle

STUBS: Final = {
    "bb5dd02d2e9782986c9d7dc35894f3675b5198ce56ac7a89e134f17dbd4905e1": "2.4.5",
    "fe501526702bf8cde90272ef8de417d9c7863a965142b487968bee993341c255": "2.5.0",
    "290cd37d0c1ce4200086e4665d483225e64f44a61e2ecd17187966923cf6be0c": "2.4.5",
    "1dcdf686c4ee4365666794835fa3becd3f4febd50d64515c80d3a33ff6d15f80": "2.5.0",
}
"""Makeself's version by the SHA-256 of the stub's template that :func:`bundlegen.bundle.stub.adapt` makes of it.

In the table, so that a stub is judged without makeself installed. A change to what stub.py changes in the stub adds
lines; those of a release stay, for the bundles that are out there.
"""

INSTALLERS: Final = {
    "4d2091cd63a28314a035e7dcba0a444c3eefda9b73cfb2b3e5025cd4c64cd470": "0.1.0",
}
"""bundlegen's version by the SHA-256 of its install.sh, for the releases before this one; 0.1.0 is the first."""


def stub_fault(bundle: Bundle) -> str:
    """Why the stub is not what bundlegen writes for this very bundle, in words; empty if it is."""
    template = stub.blanked(bundle.stub)
    version = _version(template)
    if not version:
        return "its stub, the part that runs first, is not one that bundlegen writes"
    conf = bundle.conf
    try:
        label = stub.label(conf["CLUSTER"], conf["CHANGE"], conf["HOST"])
    except ValueError as error:
        return f"its stub, the part that runs first, belongs to no bundle: {error}"
    if stub.Stub(version, template).header(label, bundle.pieces) != bundle.stub:
        return "its stub, the part that runs first, was altered: it is not the one for what follows it"
    return ""


def stub_version(bundle: Bundle) -> str:
    """The version of the makeself that the stub is of; empty if it is of none that is known."""
    return _version(stub.blanked(bundle.stub))


def _version(template: str) -> str:
    return STUBS.get(hashlib.sha256(template.encode()).hexdigest(), "")


@lru_cache(maxsize=1)
def own_installer() -> str:
    """The SHA-256 of the install.sh that this bundlegen writes."""
    return hashlib.sha256(install_script.install_script()).hexdigest()


@lru_cache(maxsize=1)
def own_image_script() -> str:
    """The SHA-256 of the image.sh that this bundlegen writes; the first release had none."""
    return hashlib.sha256(install_script.image_script()).hexdigest()


def digest(bundle: Bundle, destination: str) -> str:
    """The SHA-256 that MANIFEST has for a file; empty if it does not list it."""
    return next((line.sha256 for line in bundle.manifest if line.destination == destination), "")


def installer_version(digest: str) -> str:
    """Whose install.sh it is: a version of bundlegen; empty if it is nobody's."""
    return __version__ if digest == own_installer() else INSTALLERS.get(digest, "")
