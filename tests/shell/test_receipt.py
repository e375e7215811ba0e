"""Receipts are whole, and each names the one before: what `bundlegen reconcile` checks them by."""

from __future__ import annotations

import json
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
