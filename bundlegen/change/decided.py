"""What was decided of a change: which it is, and what follows from that for its members. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bundlegen import layout
from bundlegen.bundle import member
from bundlegen.operations.operation import Operation
from bundlegen.pki.history import Change, History, Member
from bundlegen.spec.differences import Difference
from bundlegen.spec.model import Cluster, Host


@dataclass(frozen=True)
class How:
    """How an operation is asked for, beside its name. ``hosts``: none: all; ``at_once``: in one round; ``snapshot``:
    the SHA-256 of the one that the cluster begins with."""

    hosts: tuple[str, ...] = ()
    at_once: bool = False
    snapshot: str = ""


@dataclass(frozen=True)
class Decision:
    """A change that is to be made, for the first time or again.

    ``cluster``: what its bundles are made from. ``before``: the cluster as the change before made it; None before the
    first. ``earlier``: the history until then. ``made``: how it was made before; None for a new one.
    ``differences``: what it changes in the specification, field by field. ``idle``: what the specification says
    otherwise than this change, and no host is told of. ``reborn``: the members that come anew. ``at_once``: a new CA
    comes in one round. ``snapshot``: the SHA-256 of the one that the cluster begins with; empty: with none.
    """

    operation: Operation
    number: int
    cluster: Cluster
    before: Cluster | None
    earlier: History
    made: Change | None
    differences: tuple[Difference, ...]
    idle: tuple[Difference, ...] = ()
    reborn: frozenset[str] = frozenset()
    at_once: bool = False
    snapshot: str = ""

    @property
    def name(self) -> str:
        """What the change is called."""
        return layout.change_name(self.number, self.operation.name)

    @property
    def members_before(self) -> tuple[tuple[str, str], ...]:
        """Name and address of each member that there is before it."""
        if self.operation.finds:
            return tuple((each.name, each.address) for each in self.cluster.hosts)
        newest = self.earlier.newest
        return () if newest is None else tuple((each.name, each.address) for each in newest.members)

    @property
    def replaced(self) -> frozenset[str]:
        """The members that come anew in it, and were there before. Each gets new keys, however it is born."""
        before = self.earlier.newest
        if before is None:
            return frozenset()
        if self.made is None:
            return self.reborn & before.births.keys()
        issues = self.made.issues
        return frozenset(name for name in before.births if name in issues and issues[name] != before.issues.get(name))

    @property
    def cas(self) -> tuple[str, ...]:
        """The CAs in force until then, by their fingerprints; none before the first change."""
        return () if self.earlier.newest is None else self.earlier.newest.cas

    @property
    def ca_round(self) -> str:
        """Which round of another CA it is: ``1``, ``2``, or ``now`` for all at once; empty if it is none."""
        if not self.operation.turns_ca:
            return ""
        if self.at_once:
            return "now"
        return "2" if len(self.cas) > 1 else "1"

    def token(self, base: str) -> str:
        """etcd's initial cluster token. ``base``: that of the store, which a restored cluster must not have again."""
        if self.made is not None:
            return self.made.token or base
        if self.operation.refounds:
            return f"{base}-{self.number}-{self.snapshot[:8]}"
        return self.token_before(base)

    def token_before(self, base: str) -> str:
        """The one until then."""
        return base if self.earlier.newest is None else self.earlier.newest.token or base

    @property
    def issues(self) -> Mapping[str, int]:
        """By host, the issue of its certificates until then."""
        return {} if self.earlier.newest is None else self.earlier.newest.issues

    @property
    def members(self) -> tuple[Member, ...]:
        """The members afterwards, each with what it was born with."""
        if self.made is not None:
            return self.made.members
        births = {} if self.earlier.newest is None else self.earlier.newest.births
        born = {name: each for name, each in births.items() if name not in self.reborn}
        joining = member.joining(self.cluster, born)
        founding = member.founding(self.cluster)
        return tuple(
            born.get(host.name) or _member(host, founding if self.operation.state == "new" else joining[host.name])
            for host in self.cluster.hosts
        )


def _member(host: Host, birth: member.Birth) -> Member:
    return Member(name=host.name, address=host.address, initial_cluster=birth.initial_cluster, state=birth.state)
