"""reconcile: which receipts count, which do not and why, and what follows for each host."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundlegen.record import metrics
from bundlegen.record.receipts import Reconciled, reconcile
from bundlegen.record.schema import Change
from tests import records
from tests.records import ISSUED, receipt

MADE = records.change(records.cluster())
CHANGE = Change.model_validate(MADE)
NOW = ISSUED + timedelta(days=5)


def judge(*contents: bytes) -> Reconciled:
    return reconcile(CHANGE, [(f"r{number}.json", content) for number, content in enumerate(contents)], NOW)


def all_installed() -> list[bytes]:
    return [receipt(MADE, host) for host in range(3)]


def refused(found: Reconciled) -> list[tuple[str, str]]:
    return [(each.name, each.fault) for each in found.refused]


def test_every_host_ran_its_bundle() -> None:
    found = judge(*all_installed())
    assert found.complete
    assert [(each.host, each.state) for each in found.hosts] == [(f"infra{n}", "installed") for n in range(3)]
    assert [each.days_to_expiry for each in found.hosts] == [360] * 3
    assert found.hosts[1].payload_digest == MADE["hosts"][1]["payloadDigest"]


def test_missing() -> None:
    found = judge(*all_installed()[:2])
    assert not found.complete
    assert [each.state for each in found.hosts] == ["installed", "installed", "missing"]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"installed"', '"Installed"'),
        lambda text: text.replace('"exitCode": 0', '"exitCode": 1'),
        lambda text: text.replace("infra0", "infra1"),
        lambda text: text.replace('"error": ""', '"error":""'),
        lambda text: text.replace("},\n", "}, \n", 1),
    ],
    ids=["outcome", "exit-code", "host", "a-blank-less", "a-blank-more"],
)
def test_altered(change: Any) -> None:
    altered = change(receipt(MADE).decode()).encode()
    assert refused(judge(altered)) == [("r0.json", "altered")]
    assert judge(altered).hosts[0].state == "missing"


def test_altered_without_a_digest_of_its_own() -> None:
    text = receipt(MADE).decode()
    start = text.index('  "receiptDigest"')
    assert refused(judge(f"{text[:start].rstrip().rstrip(',')}\n}}\n".encode())) == [("r0.json", "unreadable")]


def test_altered_with_a_new_digest_contradicts_the_record() -> None:
    """Who rewrites the digest as well still cannot make the host hold other files than the bundle's."""
    files = [{"path": MADE["hosts"][0]["files"][0]["path"], "before": None, "after": "0" * 64, "mode": "0644"}]
    found = judge(receipt(MADE, changed=files))
    assert refused(found) == [("r0.json", "altered")]
    assert "was placed as something else" in found.refused[0].why


def test_line_ends_of_another_system_alter_nothing() -> None:
    turned = receipt(MADE).replace(b"\n", b"\r\n")
    assert judge(b"\xef\xbb\xbf" + turned).hosts[0].state == "installed"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"cluster": "other"}, "is of the change create of cluster other"),
        ({"change": "renew"}, "is of the change renew of cluster prod-etcd"),
        ({"host": "infra9"}, "is of infra9, which is no host of this change"),
        ({"address": "10.9.9.9"}, "is of an address 10.9.9.9; infra0 has 10.0.0.6"),
        ({"payloadDigest": "a" * 64}, "infra0 ran another bundle (payload aaaaaaaaaaaa…) than this change's"),
    ],
)
def test_foreign(changes: dict[str, Any], why: str) -> None:
    found = judge(receipt(MADE, **changes))
    assert refused(found) == [("r0.json", "foreign")]
    assert found.refused[0].why == why


def test_replayed_twice_the_same() -> None:
    found = judge(*all_installed(), receipt(MADE, 1))
    assert refused(found) == [("r3.json", "replayed")]
    assert found.refused[0].why == "is the same receipt as r1.json"
    assert not found.complete


def test_replayed_from_before_the_change() -> None:
    assert refused(judge(receipt(MADE, minutes=-60))) == [("r0.json", "replayed")]


def test_replayed_for_another_host() -> None:
    found = judge(receipt(MADE, 0), receipt(MADE, 1, minutes=70, machineId=records.digest("infra0")[:32]))
    assert refused(found) == [("r1.json", "replayed")]
    assert found.refused[0].why == "comes from the machine that is infra0"


def test_replayed_beside_the_chain() -> None:
    found = judge(receipt(MADE), receipt(MADE, minutes=90))
    assert refused(found) == [("r1.json", "replayed")]
    assert "follows the same receipt as r0.json" in found.refused[0].why


def undone(after: bytes, verb: str = "rollback", outcome: str = "rolled-back", **changes: Any) -> bytes:
    return receipt(
        MADE, minutes=90, verb=verb, outcome=outcome, previousReceiptDigest=sha256(after).hexdigest(), **changes
    )


@pytest.mark.parametrize(("verb", "outcome"), [("rollback", "rolled-back"), ("uninstall", "uninstalled")])
def test_the_newest_receipt_decides(verb: str, outcome: str) -> None:
    first = receipt(MADE)
    found = judge(undone(first, verb, outcome), first)
    assert found.hosts[0].state == "undone"
    assert found.hosts[0].words == f"was taken back by {verb}"
    assert not found.complete


def test_a_failed_run() -> None:
    found = judge(receipt(MADE, exitCode=13, outcome="rolled-back", error="etcd did not become healthy"))
    assert found.hosts[0].state == "failed"
    assert found.hosts[0].words == "install: rolled-back: etcd did not become healthy"


def test_a_gap_in_the_chain_is_said() -> None:
    found = judge(undone(b"never given"))
    assert found.hosts[0].words.endswith("follows a receipt that was not given")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b"{}" + b" " * (2 << 20), b'{"format": 2}', b"1e999"],
)
def test_unreadable(content: bytes) -> None:
    assert refused(judge(content)) == [("r0.json", "unreadable")]


def test_moments_without_a_zone_are_refused() -> None:
    assert refused(judge(receipt(MADE, endedAt="2026-11-22T13:00:00"))) == [("r0.json", "unreadable")]


@given(st.binary(max_size=300), st.integers(0, 4000))
def test_damage_anywhere_never_counts(noise: bytes, where: int) -> None:
    whole = receipt(MADE)
    where %= len(whole)
    damaged = whole[:where] + noise + whole[where + len(noise) :]
    # What only turns line ends, or blanks at the very end, is no damage.
    same = damaged.replace(b"\r\n", b"\n").rstrip() == whole.rstrip()
    assert (judge(damaged).hosts[0].state == "installed") == same


def test_metrics() -> None:
    text = metrics.render(CHANGE, judge(*all_installed()[:2], b"{"))
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    common = 'cluster="prod-etcd",change="create"'
    assert values[f'bundlegen_host_installed{{{common},host="infra1"}}'] == "1"
    assert values[f'bundlegen_host_installed{{{common},host="infra2"}}'] == "0"
    assert values[f'bundlegen_receipts_refused{{{common},fault="unreadable"}}'] == "1"
    assert values[f"bundlegen_change_complete{{{common}}}"] == "0"
    expiry = int((ISSUED + timedelta(days=365)).timestamp())
    assert values[f'bundlegen_certificate_not_after_seconds{{{common},host="infra0"}}'] == str(expiry)
    names = {line.split("{")[0] for line in text.splitlines() if not line.startswith("#")}
    assert {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")} == names
