"""What is compared: bundles that were read, and bundles that were only planned. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

from bundlegen import layout
from bundlegen.bundle.plan import BundlePlan
from bundlegen.errors import VerificationError
from bundlegen.trust.bundle import ManifestLine
from bundlegen.trust.flat import flat
from bundlegen.trust.image_index import CarriedImage

FLAGS: Final = "ClusterConfiguration.etcd.local.extraArgs."
COMMAND: Final = "Pod.spec.containers.0.command."

_CONF_LINE: Final = re.compile(r"([A-Z0-9_]+)='([^']*)'\n")


class Side(Protocol):
    """One of the two: a bundle of one host, or the one for images."""

    @property
    def path(self) -> Path: ...
    @property
    def owner(self) -> str: ...
    @property
    def is_base(self) -> bool: ...
    @property
    def conf(self) -> Mapping[str, str]: ...
    @property
    def manifest(self) -> tuple[ManifestLine, ...]: ...
    @property
    def images(self) -> tuple[CarriedImage, ...]: ...
    @property
    def destinations(self) -> frozenset[str]: ...

    def content(self, destination: str) -> bytes | None:
        """The bytes of one file; None where they are sealed, an image's, or not there."""


@dataclass(frozen=True)
class Planned:
    """A bundle that is not made, or not at hand: what its plan says of it. Of images beside it nothing is known."""

    plan: BundlePlan

    @property
    def path(self) -> Path:
        return Path(layout.bundle_name(self.plan.host))

    @property
    def owner(self) -> str:
        return self.plan.host

    @property
    def is_base(self) -> bool:
        return self.plan.kind == layout.KIND_BASE

    @cached_property
    def conf(self) -> Mapping[str, str]:
        return dict(_CONF_LINE.findall((self.content(layout.CONF) or b"").decode()))

    @cached_property
    def manifest(self) -> tuple[ManifestLine, ...]:
        return tuple(ManifestLine(each.mode, layout.OWNER, each.sha256, each.destination) for each in self.plan.entries)

    @property
    def images(self) -> tuple[CarriedImage, ...]:
        return ()

    @cached_property
    def destinations(self) -> frozenset[str]:
        return frozenset(each.destination for each in self.plan.entries)

    def content(self, destination: str) -> bytes | None:
        return next((each.content for each in self.plan.entries if each.destination == destination), None)


def values(bundle: Side, destination: str) -> dict[str, str]:
    """The values of a YAML file by their paths, etcd's flags by their names; empty where there is no such file.

    Raises VerificationError where it cannot be read.
    """
    content = bundle.content(destination)
    if content is None:
        return {}
    try:
        values = flat(content)
    except ValueError as error:
        raise VerificationError(f"{bundle.path}: {destination} is {error}") from error
    return dict(_command(name, value) for name, value in values.items())


def _command(name: str, value: str) -> tuple[str, str]:
    """etcd's flags in the static Pod by their names instead of their places."""
    if name.startswith(COMMAND) and value.startswith("--"):
        flag, _, text = value.partition("=")
        return f"{COMMAND}{flag}", text
    return name, value
