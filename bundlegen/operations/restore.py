"""``restore``: the cluster anew from a snapshot, on the same hosts or others, fewer or more of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from bundlegen.operations.operation import Operation, Situation, same_issues
from bundlegen.operations.restore_story import STORY

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster


def _hosts(situation: Situation) -> tuple[str, ...]:
    """All that are members then. The others' own installer takes them out of service."""
    return tuple(host.name for host in situation.after.hosts)


def _issues(situation: Situation) -> Mapping[str, int]:
    """A host that was a member once, and is one again, comes back with keys that are new."""
    coming = {name: situation.asked.get(name, 0) for name in situation.coming}
    return {**same_issues(situation), **coming}


def _refusals(_before: Cluster, after: Cluster) -> Iterator[tuple[str, str]]:
    """Member and cluster IDs come from URLs and token: with the one of before, old members would come in."""
    if after.etcd.initial_cluster_token is not None:
        yield (
            "etcd.initialClusterToken is set, and a restored cluster needs a token that was never used",
            "take the field out of the specification: bundlegen makes one",
        )


RESTORE: Final = Operation(
    name="restore",
    by_name=True,
    hosts=_hosts,
    issues=_issues,
    state="new",
    makes_up=False,
    carrying="Check and carry, with the snapshot beside each. Stop ALL members first (sh HOST.run -- stop), then run "
    "them in any "
    "order; CHANGE.md says what API servers need:",
    story=STORY,
    refounds=True,
    refusals=_refusals,
)
