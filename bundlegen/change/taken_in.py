"""Receipts that the store takes in: which hosts have run a change is then known to every later build."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from bundlegen import layout
from bundlegen.errors import ConflictError, StoreError
from bundlegen.pki import history as kept
from bundlegen.pki import pairs
from bundlegen.pki.history import History
from bundlegen.pki.store import Store
from bundlegen.record.receipts import Receipt


def take_in(pki: Path, cluster: str, change: str, receipts: Iterable[Receipt]) -> int:
    """Add the receipts, which have been judged against the record of ``change``, to the history; say how many are new.

    Raises StoreError if there is no store of the cluster, ConflictError if it knows no such change or bundle.
    """
    path = pki / cluster
    if not os.path.lexists(path / pairs.STORE_JSON):
        raise StoreError(f"there is no store in {path}", hint="name the folder of this cluster's store with --pki")
    with Store.open(pki, cluster) as store:
        history = store.history()
        number = layout.change_number(change)
        new = 0
        for each in receipts:
            if number is None or not _known(history, change, each):
                raise ConflictError(
                    f"{path} knows no bundle of {change} for {each.host} such as the one that was run",
                    hint="build with the specification first, or name the store that made the change",
                )
            if not history.knows(each.receipt_digest):
                store.record(_entry(number, each))
                new += 1
        return new


def _entry(number: int, receipt: Receipt) -> kept.Receipt:
    try:
        return kept.Receipt(
            number=number,
            host=receipt.host,
            payload_digest=receipt.payload_digest,
            verb=receipt.verb,
            outcome=receipt.outcome,
            exit_code=receipt.exit_code,
            ended_at=receipt.ended_at,
            receipt_digest=receipt.receipt_digest,
        )
    except ValidationError as error:
        raise ConflictError(
            f"a receipt of {receipt.host} says what no installer writes", hint="leave it out"
        ) from error


def _known(history: History, change: str, receipt: Receipt) -> bool:
    """Whether the bundle that the host ran was made from this store, also if the change was made anew or withdrawn."""
    return any(
        isinstance(entry, kept.Change)
        and entry.name == change
        and receipt.host in entry.hosts
        and entry.hosts[receipt.host].payload_digest == receipt.payload_digest
        for entry in history.entries
    )
