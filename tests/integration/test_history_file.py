"""``changes.jsonl``: kept privately, only ever longer, whole lines or none."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from bundlegen.errors import StoreError
from bundlegen.pki import changes, files, history, ledger
from bundlegen.pki.history import History
from tests.histories import change, receipt, withdrawal

ENTRIES = (change(1, "create"), change(2, "configure", ["infra1"]), receipt(1, "infra0"), withdrawal(2))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "prod"
    with files.private_umask():
        files.make_folder(path)
    return path


def test_what_is_kept_is_found_again(store: Path) -> None:
    assert changes.read(store) == History(missing=True)
    for entry in ENTRIES:
        changes.append(store, [entry])
    assert changes.read(store) == History(ENTRIES)
    assert stat.S_IMODE((store / changes.FILE).stat().st_mode) == 0o600


def test_a_history_without_an_entry_is_not_missing(store: Path) -> None:
    changes.append(store, [])
    assert changes.read(store) == History()


def test_nothing_is_rewritten(store: Path) -> None:
    changes.append(store, ENTRIES[:2])
    before = (store / changes.FILE).read_bytes()
    changes.append(store, ENTRIES[2:])
    assert (store / changes.FILE).read_bytes().startswith(before)


def test_every_length_that_a_crash_can_leave(store: Path) -> None:
    changes.append(store, ENTRIES[:1])
    first = (store / changes.FILE).read_bytes()
    changes.append(store, ENTRIES[1:2])
    whole = (store / changes.FILE).read_bytes()
    for length in range(len(first), len(whole)):
        (store / changes.FILE).write_bytes(whole[:length])
        assert changes.read(store) == History(ENTRIES[:1])
    # The unfinished line is cut off before the next one is written.
    changes.append(store, [ENTRIES[1]])
    assert (store / changes.FILE).read_bytes() == whole


def test_a_full_disk_leaves_it_as_it_was(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes.append(store, ENTRIES[:1])
    before = (store / changes.FILE).read_bytes()

    def part_of_it(descriptor: int, content: bytes) -> None:
        os.write(descriptor, content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ledger, "write_all", part_of_it)
    with pytest.raises(Exception, match="no space left") as caught:
        changes.append(store, ENTRIES[1:])
    assert caught.value.exit_code == 7  # type: ignore[attr-defined]
    assert (store / changes.FILE).read_bytes() == before


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"garbage", r"changes\.jsonl:2 is damaged"),
        (b"\x00\xff", r":2 is damaged"),
        (b"", r":2 is damaged"),
        (json.dumps({**history.data(ENTRIES[1]), "format": 2}).encode(), r":2 was written by a newer bundlegen"),
        (json.dumps({**history.data(ENTRIES[1]), "name": "create"}).encode(), r":2 is damaged"),
    ],
)
def test_a_damaged_line_is_no_guess(store: Path, line: bytes, said: str) -> None:
    changes.append(store, ENTRIES[:1])
    with (store / changes.FILE).open("ab") as stream:
        stream.write(line + b"\n")
    with pytest.raises(StoreError, match=said):
        changes.read(store)


def test_it_is_private_or_refused(store: Path) -> None:
    changes.append(store, ENTRIES)
    (store / changes.FILE).chmod(0o644)
    with pytest.raises(StoreError, match="is open to others"):
        changes.read(store)
