"""What the bundles of hosts that are no members any more are made from: the cluster, and their keys, as of before."""

from __future__ import annotations

from dataclasses import replace

from bundlegen.change.run import Run
from bundlegen.errors import StoreError
from bundlegen.pki import catalog
from bundlegen.pki.cas import Cas
from bundlegen.pki.store import Issued


def with_going(run: Run, issued: Issued) -> Issued:
    """``issued``, and what the store keeps for hosts that leave and get a bundle. Nothing is issued for them.

    Raises StoreError where the store has lost some of it.
    """
    decision, newest = run.decision, run.decision.earlier.newest
    if not run.prepared.going or decision.before is None or newest is None:
        return issued
    kept = run.store.kept(decision.before, newest.issues, Cas(newest.cas), issued)
    for host in run.prepared.going:
        lost = [spec.name for spec in catalog.LEAF_SPECS if (host, spec.name) not in kept.leaves]
        if lost:
            raise StoreError(
                f"{run.store.path} no longer has the certificates of {host}: {', '.join(lost)}",
                hint="restore them from a backup, or let another host take it out: --by HOST",
            )
    leaves = {key: pair for key, pair in kept.leaves.items() if key[0] in run.prepared.going}
    moments = {host: kept.issued_at[host] for host in run.prepared.going}
    return replace(issued, leaves={**issued.leaves, **leaves}, issued_at={**issued.issued_at, **moments})
