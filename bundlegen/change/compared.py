"""What a change changes on its hosts, compared with the change before. It takes the store, and nothing of ``out/``."""

from __future__ import annotations

from collections.abc import Iterable

from bundlegen.bundle.plan import BundlePlan
from bundlegen.pki.history import Change
from bundlegen.record.schema import Compared
from bundlegen.trust.compare import Comparison, recorded
from bundlegen.trust.diff import between
from bundlegen.trust.side import Planned


def compared(
    before: Iterable[BundlePlan],
    after: Iterable[BundlePlan],
    gone: Iterable[str],
    added: Iterable[str],
    newest: Change,
) -> Compared:
    """The comparison with the change ``newest``. ``gone`` and ``added``: the members that leave and come."""
    old = {plan.host: Planned(plan) for plan in before}
    hosts = tuple(between(old[plan.host], Planned(plan)) for plan in after if plan.host in old)
    found = Comparison(tuple(gone), tuple(added), hosts)
    return recorded(found, change=newest.name, sha256=newest.sums or None)
