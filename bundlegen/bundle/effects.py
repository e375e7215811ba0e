"""What it may cost on a host if a file there changes: the kinds. Pure.

Which file has which is in :mod:`bundlegen.bundle.effects_table`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

Effect: TypeAlias = Literal["none", "kubelet", "etcd", "pod"]
NONE: Final = "none"
WORDS: Final[dict[Effect, str]] = {
    NONE: "no restart",
    "kubelet": "kubelet restarts; etcd goes on running",
    "etcd": "etcd restarts in its Pod, within seconds",
    "pod": "etcd restarts in a new Pod, in about half a minute",
}
"""Every effect, as people read it."""

_RESTARTS: Final[dict[Effect, str]] = {"kubelet": "kubelet", "etcd": "etcd", "pod": "etcd"}


def restarts(effects: Iterable[Effect]) -> tuple[str, ...]:
    """What is restarted in all, for the ``effects`` of a host's files: of ``kubelet`` and ``etcd``, in this order."""
    wanted = {_RESTARTS[effect] for effect in effects if effect != NONE}
    return tuple(name for name in ("kubelet", "etcd") if name in wanted)
