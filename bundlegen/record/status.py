"""How the clusters of a store are: what ``status`` found, as values. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True)
class HostStatus:
    """One member. ``bundle``: the newest change with a bundle for it; ``ran``: the newest that its receipts say it has
    run, and ``ran_at`` when; both empty where that is not known.

    ``first_expiry``: when the first of its certificates ends, and ``certificate`` which one that is. Where receipts say
    what it has run, they are those that it then has; otherwise those of the newest change.
    """

    name: str
    address: str
    bundle: str
    ran: str
    ran_at: datetime | None
    first_expiry: datetime
    certificate: str


@dataclass(frozen=True)
class ClusterStatus:
    """One cluster. ``newest``: its newest change, empty for a store of bundlegen 0.1 that no build has taken over.

    ``bundles``: the hosts with a bundle of that change, and ``ran`` those of them that have run it, by the receipts
    that the store has. ``ca_expiry``: None for a CA that was brought along, which the store does not have.
    ``problem``: why nothing is known of it, in a sentence; everything else is then empty.
    """

    name: str
    newest: str = ""
    number: int = 0
    made_at: datetime | None = None
    bundles: tuple[str, ...] = ()
    ran: tuple[str, ...] = ()
    ca_expiry: datetime | None = None
    hosts: tuple[HostStatus, ...] = field(default=())
    problem: str = ""

    @property
    def leaf_expiry(self) -> datetime | None:
        """When the first certificate of a host ends."""
        return min((host.first_expiry for host in self.hosts), default=None)

    @property
    def first_expiry(self) -> datetime | None:
        """When the first certificate of all ends."""
        return min((end for end in (self.leaf_expiry, self.ca_expiry) if end is not None), default=None)

    def due(self, until: datetime) -> bool:
        """Whether one of them ends by then."""
        end = self.first_expiry
        return end is not None and end <= until

    def due_hosts(self, until: datetime) -> tuple[str, ...]:
        """The hosts with a certificate that ends by then."""
        return tuple(host.name for host in self.hosts if host.first_expiry <= until)


def in_order(clusters: Iterable[ClusterStatus]) -> tuple[ClusterStatus, ...]:
    """What is due first comes first, and before it all of which nothing is known."""

    def urgency(cluster: ClusterStatus) -> tuple[float, str]:
        end = cluster.first_expiry
        return (end.timestamp() if end else float("-inf"), cluster.name)

    return tuple(sorted(clusters, key=urgency))


def days_left(end: datetime, now: datetime) -> int:
    """Whole days; negative where it has ended."""
    return (end - now) // timedelta(days=1)
