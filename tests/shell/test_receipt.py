"""Receipts are whole, and each names the one before: what `bundlegen reconcile` checks them by."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path

from tests.shell.payload import Payload
from tests.shell.sandbox import Sandbox


def _checked(path: Path) -> str:
    """What a receipt names as the one before it, once its last line is the digest of all above."""
    text = path.read_text()
    receipt = json.loads(text)
    last = f'  "receiptDigest": "{receipt["receiptDigest"]}"\n}}\n'
    assert text.endswith(last)
    assert sha256(text.removesuffix(last).encode()).hexdigest() == receipt["receiptDigest"]
    return receipt["previousReceiptDigest"] or ""


def test_every_receipt_ends_in_its_digest_and_names_the_one_before(host: Sandbox) -> None:
    folder = host.unpack(Payload())
    for verb in ("install", "rollback", "install"):
        assert host.run(folder, verb).returncode == 0
    receipts = sorted(host.receipts(), key=lambda path: path.stat().st_mtime_ns)
    assert len(receipts) == 3
    named = [_checked(path) for path in receipts]
    assert named == ["", *(sha256(path.read_bytes()).hexdigest() for path in receipts[:-1])]


def test_the_name_of_a_receipt_holds_its_host(host: Sandbox) -> None:
    """Receipts of several hosts are put into one folder; two of the same second must not be one."""
    folder = host.unpack(Payload())
    assert host.run(folder, "install").returncode == 0
    (receipt,) = host.receipts()
    assert re.fullmatch(r"\d{8}T\d{6}Z-infra0-install[.]json", receipt.name)


def test_within_a_second_the_names_do_not_tell_which_receipt_is_newest(host: Sandbox) -> None:
    folder = host.unpack(Payload())
    for verb in ("install", "rollback"):
        assert host.run(folder, verb).returncode == 0
    older, newer = sorted(host.receipts(), key=lambda path: path.stat().st_mtime_ns)
    older = older.rename(older.with_name("20260101T000000Z-infra0-rollback.json"))
    newer = newer.rename(newer.with_name("20260101T000000Z-infra0-install.json"))
    assert host.run(folder, "install").returncode == 0
    (last,) = set(host.receipts()) - {older, newer}
    assert _checked(last) == sha256(newer.read_bytes()).hexdigest()


def test_a_receipt_with_a_name_of_before_is_followed(host: Sandbox) -> None:
    folder = host.unpack(Payload())
    assert host.run(folder, "install").returncode == 0
    (first,) = host.receipts()
    old = first.rename(first.with_name(first.name.replace("-infra0", "")))
    assert host.run(folder, "rollback").returncode == 0
    (second,) = set(host.receipts()) - {old}
    assert _checked(second) == sha256(old.read_bytes()).hexdigest()
