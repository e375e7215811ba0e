"""``changes.jsonl``: the history of a cluster on disk, beside its keys."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bundlegen.errors import StoreError
from bundlegen.pki import history, ledger
from bundlegen.pki.files import failing_as, read_private, sync
from bundlegen.pki.history import Entry, History

FILE: Final = "changes.jsonl"


def read(store: Path) -> History:
    """The history in the store at this path. An unfinished last line, which a crash leaves, is passed over.

    Raises StoreError if a line is none of bundlegen's: what a host may run must not rest on a guess.
    """
    path = store / FILE
    try:
        content = read_private(path)
    except FileNotFoundError:
        return History(missing=True)
    entries = []
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        entry = history.parse(line)
        if entry is None:
            if _is_newer(line):
                raise StoreError(f"{path}:{number} was written by a newer bundlegen", hint="use that one")
            raise StoreError(f"{path}:{number} is damaged", hint="restore it from a backup")
        entries.append(entry)
    return History(tuple(entries))


def append(store: Path, entries: Iterable[Entry]) -> None:
    """Add entries, all or none, and make them durable. Only to be called under the store's lock.

    Raises OutputError if there is no space, else StoreError.
    """
    path = store / FILE
    ledger.append(path, (history.data(entry) for entry in entries))
    with failing_as("write", path):
        sync(store)


def _is_newer(line: bytes) -> bool:
    try:
        found = json.loads(line)
    except ValueError:
        return False
    number = found.get("format") if isinstance(found, dict) else None
    return isinstance(number, int) and number > history.FORMAT
