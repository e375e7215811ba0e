"""What a bundle has become: its file, its parts, and the file with images beside it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from bundlegen import layout
from bundlegen.pki.certinfo import CertInfo

if TYPE_CHECKING:
    from bundlegen.bundle.plan import BundlePlan


@dataclass(frozen=True)
class Part:
    """One numbered part of a bundle, or all of it under another name."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Shared:
    """The file with the images of all bundles."""

    name: str
    size: int
    sha256: str
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Packed:
    """One finished bundle: its plan, and the file it became."""

    plan: BundlePlan
    size: int
    sha256: str
    certificates: Mapping[str, CertInfo]
    """By the destination they are placed at."""
    parts: tuple[Part, ...] = ()
    """What the bundle was split into, in order."""

    @property
    def name(self) -> str:
        return layout.bundle_name(self.plan.host)

    @property
    def first_expiry(self) -> datetime:
        """When the first of the certificates on this host ends."""
        return min(each.not_after for each in self.certificates.values())
