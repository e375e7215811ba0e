"""The history of a cluster: what is in force, what counts, what a host must have run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bundlegen import layout
from bundlegen.operations.table import OPERATIONS
from bundlegen.pki import history
from bundlegen.pki.history import History
from tests.histories import DIGEST, change, receipt, withdrawal

CREATE = change(1, "create")
SECOND = change(2, "configure", ["infra1"])


def names(found: History) -> list[str]:
    return [each.name for each in found.changes]


def test_nothing_yet() -> None:
    empty = History()
    assert (empty.newest, empty.next_number, empty.changes, empty.just_withdrawn) == (None, 1, (), None)


@pytest.mark.parametrize("entry", [CREATE, SECOND, withdrawal(2), receipt(1, "infra0", minutes=3)])
def test_what_is_written_is_read(entry: history.Entry) -> None:
    line = json.dumps(history.data(entry)).encode()
    assert history.parse(line) == entry
    assert b"memberBefore" not in line
    assert {"entry", "format", "number"} <= json.loads(line).keys()


def test_a_change_as_it_is_promised() -> None:
    found = history.data(CREATE)
    assert list(found) == [
        "entry", "format", "number", "name", "operation", "time", "bundlegen", "spec", "options", "membersBefore",
        "members", "cas", "issues", "hosts", "token", "sums",
    ]  # fmt: skip
    assert list(found["members"][0]) == ["name", "address", "initialCluster", "state"]
    assert found["hosts"]["infra0"] == {"payloadDigest": DIGEST, "sha256": DIGEST, "files": {}}


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "3-configure"},
        {"name": "create"},
        {"number": 0, "name": "0-configure"},
        {"number": True},
        {"format": 2},
        {"entry": "other"},
        {"operation": "../x", "name": "2-../x"},
        {"hosts": {"../x": {"payloadDigest": DIGEST, "sha256": DIGEST}}},
        {"hosts": {"infra0": {"payloadDigest": "abc", "sha256": DIGEST}}},
        {"issues": {"infra0": -1}},
        {"time": "yesterday"},
        {"members": None},
    ],
)
def test_what_no_bundlegen_wrote_is_nothing(changed: dict[str, Any]) -> None:
    assert history.parse(json.dumps({**history.data(SECOND), **changed}).encode()) is None


@pytest.mark.parametrize("line", [b"", b"[]", b"{", b'"x"', b"\xff", b"null"])
def test_no_line_is_too_odd(line: bytes) -> None:
    assert history.parse(line) is None


def test_more_than_this_version_knows_is_passed_over() -> None:
    assert history.parse(json.dumps({**history.data(SECOND), "mood": "good"}).encode()) == SECOND


def test_a_withdrawn_change_is_not_in_force_and_its_number_never_used_again() -> None:
    found = History((CREATE, SECOND, withdrawal(2)))
    assert names(found) == ["create"]
    assert found.next_number == 3
    assert found.just_withdrawn == SECOND
    assert found.withdrawn("2-configure")
    assert not found.withdrawn("create")
    assert found.named("2-configure") is None
    third = change(3, "configure")
    later = History((*found.entries, third))
    assert names(later) == ["create", "3-configure"]
    assert later.just_withdrawn is None


def test_the_first_one_withdrawn() -> None:
    found = History((CREATE, withdrawal(1)))
    assert found.newest is None
    assert found.next_number == 2
    again = History((*found.entries, change(2, "create")))
    assert names(again) == ["2-create"]


def test_a_change_made_again_counts_as_it_was_made_last() -> None:
    again = change(2, "configure", ["infra0"])
    assert History((CREATE, SECOND, again)).changes == (CREATE, again)


def test_as_it_was_when_a_change_was_made() -> None:
    whole = History((CREATE, SECOND, withdrawal(2), change(3, "configure"), receipt(1, "infra0")))
    assert names(whole.before(3)) == ["create"]
    assert names(whole.before(1)) == []


def test_who_has_run_it() -> None:
    entries = (
        receipt(1, "infra1"),
        receipt(1, "infra0", minutes=1),
        receipt(1, "infra0", "rolled-back", minutes=2),
        receipt(2, "infra2"),
        receipt(1, "stranger"),
    )
    assert History((CREATE, SECOND, *entries)).ran(CREATE) == ("infra1",)
    # Receipts come in any order; the later one counts.
    assert History((CREATE, *reversed(entries))).ran(CREATE) == ("infra1",)
    # What half a rollback left is not nothing.
    assert History((CREATE, receipt(1, "infra0", "rollback-incomplete"))).ran(CREATE) == ("infra0",)
    assert History((CREATE, *entries)).knows(receipt(1, "infra0", minutes=2).receipt_digest)
    assert not History((CREATE, *entries)).knows(DIGEST)


def test_the_newest_that_a_host_had_a_bundle_of() -> None:
    found = History((CREATE, SECOND, withdrawal(2), change(3, "configure", ["infra2"])))
    assert {host: each.name for host in ("infra0", "infra1", "infra2") if (each := found.last_of(host))} == {
        "infra0": "create", "infra1": "create", "infra2": "3-configure",
    }  # fmt: skip
    assert found.last_of("infra9") is None


def test_what_a_host_must_have_run() -> None:
    made_up = {operation.name: operation.makes_up for operation in OPERATIONS}
    four = ("infra0", "infra1", "infra2", "infra3")
    entries = (
        CREATE,
        SECOND,
        change(3, "upgrade"),
        change(4, "add", four, members=four, before=four[:3]),
        change(5, "configure", members=four, before=four),
    )
    found = History(entries)

    def required(host: str) -> str:
        each = found.required_of(host, lambda name: {**made_up, "upgrade": False, "add": True}[name])
        return each.name if each else ""

    assert [required(host) for host in four] == ["3-upgrade", "3-upgrade", "3-upgrade", "4-add"]
    assert required("infra9") == ""


@pytest.mark.parametrize("own", [True, False], ids=["by its own bundle", "by another host's"])
def test_who_has_left_begins_anew(own: bool) -> None:
    """What it ran before it left is nothing that it must have run when it comes again, maybe as another machine."""
    stay, all_three = ("infra0", "infra1"), ("infra0", "infra1", "infra2")
    gone = change(2, "remove", all_three if own else stay, members=stay, before=all_three)
    again = change(3, "add", all_three, members=all_three, before=stay)
    for entries in ((CREATE, gone), (CREATE, gone, change(4, "configure", stay, members=stay, before=stay))):
        found = History(entries)
        assert found.last_of("infra2") is None
        assert found.required_of("infra2", lambda _: False) is None
    found = History((CREATE, gone, again))
    assert [each.name for each in (found.required_of("infra2", lambda _: True),) if each] == ["3-add"]


@pytest.mark.parametrize(
    ("number", "operation", "name"), [(1, "create", "create"), (2, "create", "2-create"), (12, "renew", "12-renew")]
)
def test_names_and_numbers(number: int, operation: str, name: str) -> None:
    assert layout.change_name(number, operation) == name
    assert layout.change_number(name) == number


@pytest.mark.parametrize("name", ["", "0-renew", "2", "2-", "x-renew", "2-Renew", "create2", "99999999-renew", "2-a/b"])
def test_what_no_change_is_called(name: str) -> None:
    assert layout.change_number(name) is None
