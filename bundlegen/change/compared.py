"""What a change changes on its hosts, compared with the change before. It takes the store, and nothing of ``out/``."""

from __future__ import annotations

from collections.abc import Callable, Iterable

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
    last_of: Callable[[str], Change | None],
) -> Compared:
    """The comparison with the change ``newest``.

    ``gone`` and ``added``: the members that leave and come. ``last_of``: by host, the newest change before that had a
    bundle for it, which knows what its files were.
    """
    old = {plan.host: _as_made(plan, last_of(plan.host)) for plan in before}
    hosts = tuple(between(old[plan.host], Planned(plan)) for plan in after if plan.host in old)
    found = Comparison(tuple(gone), tuple(added), hosts)
    return recorded(found, change=newest.name, sha256=newest.sums or None)


def _as_made(plan: BundlePlan, last: Change | None) -> Planned:
    made = None if last is None else last.hosts.get(plan.host)
    if last is None or made is None:
        return Planned(plan)
    return Planned(plan, last.bundlegen, made.files)
