"""What a bundle is made from, beside its files: the host, its member, its certificates' dates and its change. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from bundlegen import layout

if TYPE_CHECKING:
    from bundlegen.bundle.member import Birth
    from bundlegen.spec.model import Cluster, Host


@dataclass(frozen=True)
class Position:
    """Where a host's bundle stands in the history of its cluster.

    ``after``: the newest earlier change that had a bundle for this host. ``required``: the newest earlier one that must
    have run there, since no later one makes up for it. Both are empty if there is none. ``members_before``: name and
    address of each member that the cluster has before this change. ``replaced``: the host whose member comes anew.
    ``removes``: the members that this bundle takes out, in order. ``ca_round``: which round of another CA it is.
    ``snapshot``: the SHA-256 of the one that the cluster begins with.
    """

    change: str = layout.FIRST_CHANGE
    number: int = 1
    operation: str = layout.FIRST_CHANGE
    after: str = ""
    required: str = ""
    members_before: tuple[tuple[str, str], ...] = ()
    replaced: str = ""
    removes: tuple[str, ...] = ()
    ca_round: str = ""
    snapshot: str = ""


FIRST = Position()
"""The position of every bundle of a cluster's first change."""


@dataclass(frozen=True)
class Window:
    """When a host's certificates were issued (the newest of them), and when all of them are valid."""

    issued_at: datetime
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True)
class Content:
    """What else a bundle is told about itself. ``window`` is None in the bundle for images, which has no certificate.

    ``architecture``: of the images, as ``uname -m`` says it, empty for any; ``images_file``: the file beside the
    bundle that holds them, empty for none; ``sealed``: whether its keys are encrypted.
    """

    position: Position = FIRST
    window: Window | None = None
    architecture: str = ""
    images_file: str = ""
    sealed: bool = False


@dataclass(frozen=True)
class Facts:
    """All that bundle.conf is made from."""

    cluster: Cluster
    host: Host
    token: str
    birth: Birth
    content: Content

    @property
    def position(self) -> Position:
        """Where the bundle stands in the history."""
        return self.content.position
