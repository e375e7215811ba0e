"""Taking back the newest change, which no host has run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bundlegen import layout
from bundlegen.change import folder
from bundlegen.errors import ConflictError, UsageError
from bundlegen.pki.history import Change, History, Withdrawal
from bundlegen.pki.store import Store
from bundlegen.pki.survey import demand
from bundlegen.spec.load import load
from bundlegen.system import clock


@dataclass(frozen=True)
class Withdrawn:
    """``newest``: the change that counts now; None if there is none. ``already``: it was withdrawn before.

    ``folder``: where the change's folder is or was; ``left``: it is still there, because it is not as it was made.
    """

    change: Change
    newest: Change | None
    already: bool
    folder: Path
    left: bool


def withdraw(spec: Path, output: Path, pki: Path, name: str | None) -> Withdrawn:
    """Take back the newest change of the cluster at ``spec``, and its folder in ``output``.

    ``name``: which change is meant. Without it, what was withdrawn just now is not followed by the change before.
    Raises SpecError, UsageError, StoreError, and ConflictError if a host has run it.
    """
    cluster = load(spec, with_images=False).cluster
    demand(pki, cluster, existing=True)
    with Store.open(pki, cluster.name) as store:
        history = store.history()
        change, already = _meant(history, name)
        if not already:
            ran = history.ran(change)
            if ran:
                raise ConflictError(
                    f"{', '.join(ran[:4])} ran {change.name}, as receipts say",
                    hint="undo it there first (rollback) and take in those receipts, or make another change",
                )
            store.record(Withdrawal(number=change.number, time=clock.now()))
        place = output / cluster.name / change.name
        sums = {layout.bundle_name(host): each.sha256 for host, each in change.hosts.items()}
        folder.sweep(place)
        if folder.holds(place, sums):
            folder.remove(place)
        return Withdrawn(change, store.history().newest, already, place, os.path.lexists(place))


def _meant(history: History, name: str | None) -> tuple[Change, bool]:
    """The change to take back, and whether that was done before."""
    just, newest = history.just_withdrawn, history.newest
    if just is not None and name in (None, just.name):
        return just, True
    if newest is None:
        raise UsageError("there is no change to withdraw", hint="a change is made by: bundlegen build")
    if name not in (None, newest.name):
        raise UsageError(
            f"--change {name}: the newest change is {newest.name}", hint="only the newest one can be withdrawn"
        )
    return newest, False
