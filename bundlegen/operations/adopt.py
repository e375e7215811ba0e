"""``adopt``: a cluster that was made by hand, or by another tool, as kubeadm lays it out. Nothing is restarted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from bundlegen.operations.adopt_story import STORY
from bundlegen.operations.operation import Operation, Situation, same_issues

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster


def _all(situation: Situation) -> tuple[str, ...]:
    return tuple(host.name for host in situation.after.hosts)


def _refusals(_before: Cluster, after: Cluster) -> Iterator[tuple[str, str]]:
    """Members trust the CA that they were made with."""
    if after.pki.ca_files is None:
        yield (
            "pki.ca is not set, and members that are there already trust a CA that is theirs",
            "name the cluster's CA: pki.ca.certificate and pki.ca.key, such as copies of etcd/ca.crt and etcd/ca.key",
        )


ADOPT: Final = Operation(
    name="adopt",
    by_name=True,
    hosts=_all,
    issues=same_issues,
    state="new",
    makes_up=False,
    carrying="Check, carry and run, one host after the other; nothing is restarted but kubelet:",
    story=STORY,
    finds=True,
    refusals=_refusals,
)
