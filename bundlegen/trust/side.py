"""What is compared: bundles that were read, and bundles that were only planned. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
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
        """The bytes of one file; None if they are sealed, an image's, or not there."""


@dataclass(frozen=True)
class Planned:
    """A bundle that is not at hand: what its plan says of it, and what was written down when it was made.

    Of images beside it nothing is known. ``made_by``: the version of bundlegen that made it, empty for this one;
    ``files``: the sums that the files had which it placed, the PKI's apart, empty if they are not known. Of a file that
    came out otherwise than it would now, the sum is all that is known.
    """

    plan: BundlePlan
    made_by: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

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
        found = dict(_CONF_LINE.findall((self.content(layout.CONF) or b"").decode()))
        return found | ({"BUNDLEGEN_VERSION": self.made_by} if self.made_by else {})

    @cached_property
    def manifest(self) -> tuple[ManifestLine, ...]:
        planned = {each.destination: each for each in self.plan.entries}
        sums = {name: each.sha256 for name, each in planned.items()}
        if self.files:
            sums = {name: digest for name, digest in sums.items() if name not in self.plan.configured} | dict(
                self.files
            )
        modes = {name: planned[name].mode if name in planned else layout.MODE_PLAIN for name in sums}
        return tuple(ManifestLine(modes[name], layout.OWNER, sums[name], name) for name in sorted(sums))

    @property
    def images(self) -> tuple[CarriedImage, ...]:
        return ()

    @cached_property
    def destinations(self) -> frozenset[str]:
        return frozenset(line.destination for line in self.manifest)

    def content(self, destination: str) -> bytes | None:
        found = next((each for each in self.plan.entries if each.destination == destination), None)
        if found is None or self.files.get(destination, found.sha256) != found.sha256:
            return None
        return found.content


def hidden(side: Side, destination: str) -> bool:
    """Whether there is such a file, and nothing but its sum is known."""
    return destination in side.destinations and side.content(destination) is None


def values(bundle: Side, destination: str) -> dict[str, str]:
    """The values of a YAML file by their paths, etcd's flags by their names; empty if there is no such file.

    Raises VerificationError if it cannot be read.
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
