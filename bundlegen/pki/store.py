"""Where a cluster's keys and certificates are kept: issued once, kept, never overwritten."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from bundlegen import clock as system_clock
from bundlegen.pki import entropy as system_entropy
from bundlegen.pki.entropy import Entropy
from bundlegen.pki.issue import KeyPair

if TYPE_CHECKING:
    from bundlegen.spec import Cluster

__all__ = ["Issued", "KeyPair", "Progress", "Store"]

Progress: TypeAlias = Callable[[int, int], None]
"""Called with how many of the new certificates are made, and how many there will be."""


@dataclass(frozen=True)
class Issued:
    """Everything the bundles of a cluster need from its store.

    ``leaves`` is by host name and catalogue name; ``issued_at`` says for each host when the newest of its certificates was
    issued (not back-dated); ``new`` says in words what was issued just now and why; ``warnings`` what people should know.
    """

    ca: KeyPair
    leaves: Mapping[tuple[str, str], KeyPair]
    token: str = field(repr=False)
    issued_at: Mapping[str, datetime]
    new: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Store:
    """The store of one cluster, held under its lock."""

    def __init__(self, path: Path, cluster: Cluster, *, clock: Callable[[], datetime], entropy: Entropy) -> None:
        self.path = path
        self._cluster = cluster
        self._clock = clock
        self._entropy = entropy

    @classmethod
    @contextmanager
    def open(
        cls,
        pki_root: Path,
        cluster: Cluster,
        *,
        clock: Callable[[], datetime] = system_clock.now,
        entropy: Entropy = system_entropy,
    ) -> Iterator[Store]:
        """The store at ``<pki_root>/<cluster name>``, made if it is not there, locked until the end of the block."""
        yield cls(pki_root / cluster.name, cluster, clock=clock, entropy=entropy)

    def ensure(self, *, jobs: int | None = None, progress: Progress | None = None) -> Issued:
        """Everything the specification asks for: what the store has, and what it lacks issued and kept."""
        raise NotImplementedError
