"""What an operation is: everything in which one kind of change differs from another. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundlegen.record.story import Story

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster


@dataclass(frozen=True)
class Situation:
    """What an operation decides from.

    ``before``: the cluster as the newest change made it; None before the first. ``after``: as the specification wants
    it. ``differing``: the hosts of ``after``, in order, on which a placed file or a value of bundle.conf (beside the
    change's own identity) would be another one than before. ``issues``: by host, the number of the issue that its
    certificates have; absent: 0, the first. ``asked``: by host that is asked for by name, the number of an issue that
    was never used; empty where the operation is found out from the specification. ``unused``: by host that comes, the
    number of an issue that was never used. ``by``: the host that takes out those that are gone; empty: they do so
    themselves. ``cas``: the CAs in force by their fingerprints, what hosts trust first; none before the first change.
    ``at_once``: it is to be done in one round.
    """

    before: Cluster | None
    after: Cluster
    differing: tuple[str, ...]
    issues: Mapping[str, int]
    asked: Mapping[str, int] = field(default_factory=dict)
    unused: Mapping[str, int] = field(default_factory=dict)
    by: str = ""
    cas: tuple[str, ...] = ()
    at_once: bool = False

    @property
    def going(self) -> tuple[str, ...]:
        """The hosts that there are not any more, in the order of before."""
        known = {host.name for host in self.after.hosts}
        return () if self.before is None else tuple(host.name for host in self.before.hosts if host.name not in known)

    @property
    def coming(self) -> tuple[str, ...]:
        """The hosts that there were not before, in order."""
        known = set() if self.before is None else {host.name for host in self.before.hosts}
        return tuple(host.name for host in self.after.hosts if host.name not in known)


@dataclass(frozen=True)
class Operation:
    """One kind of change.

    ``by_name``: whether it is asked for by its name; the others are found out from what the specification says.
    ``hosts``: who gets a bundle, in the order in which the bundles are run. ``issues``: by host, the number of the
    issue of its certificates afterwards: the same for those that stay, one more for new ones. ``state``: the
    ``--initial-cluster-state`` of members that are born in it. ``makes_up``: whether a later bundle makes up for one
    of this operation that a host skipped; a bundle holds the whole configuration, so most do. ``carrying``: one line
    above the commands that ``build`` prints. ``refusals``: why it must not lead from one cluster to the other: what is
    wrong, and what to do. ``bears_anew``: it is of one host, which may come with another address, and becomes a member
    anew. ``takes_out``: it takes members out of the cluster. ``refounds``: the cluster
    begins anew from a snapshot, all members with it, under a token of its own. ``finds``: it is the first change of a
    cluster that is there already. ``cas``: the CAs in force afterwards; an empty fingerprint: a new one. ``turns_ca``:
    it leads to another CA, in rounds; ``confirms``: by round, what is confirmed on each host, as options of the bundle.
    """

    name: str
    by_name: bool
    hosts: Callable[[Situation], tuple[str, ...]]
    issues: Callable[[Situation], Mapping[str, int]]
    state: str
    makes_up: bool
    carrying: str
    story: Story
    bears_anew: bool = False
    takes_out: bool = False
    refounds: bool = False
    finds: bool = False
    turns_ca: bool = False
    confirms: Mapping[str, str] = field(default_factory=dict)
    cas: Callable[[Situation], tuple[str, ...]] = lambda situation: situation.cas
    refusals: Callable[[Cluster, Cluster], Iterable[tuple[str, str]]] = lambda _before, _after: ()


def same_issues(situation: Situation) -> Mapping[str, int]:
    """The certificates that a host has, or has first where it is new."""
    return {host.name: situation.issues.get(host.name, 0) for host in situation.after.hosts}
