"""What version 0.1 left, for tests of what later versions make of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from bundlegen import layout

VERSION = "0.1.0"
LATER = (
    "operation", "number", "after", "membersBefore", "members", "differences", "cas",
)  # fmt: skip


def as_made_by_0_1(folder: Path, cluster: str) -> None:
    """Make of a store and its ``create``, built a moment ago, what version 0.1 would have left.

    It wrote no history; and its record says which version it was, and nothing that later ones added to it. It knew no
    guard, and its drop-in for kubelet was another.
    """
    (folder / "pki" / cluster / "changes.jsonl").unlink()
    change = folder / "out" / cluster / "create"
    record = json.loads((change / "change.json").read_text())
    for name in LATER:
        record.pop(name, None)
    for host in record["hosts"]:
        for name in ("after", "required", "afterRan"):
            host.pop(name, None)
        host["files"] = [file for file in host["files"] if file["path"] != layout.GUARD_COMMAND]
        for file in host["files"]:
            if file["path"] == layout.KUBELET_DROPIN:
                file["sha256"] = hashlib.sha256(b"a drop-in without the guard").hexdigest()
    record["versions"]["bundlegen"] = VERSION
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    (change / "change.json").write_text(text)
    sums = (change / "SHA256SUMS").read_text().splitlines()
    digest = hashlib.sha256(text.encode()).hexdigest()
    lines = [f"{digest}  change.json" if line.endswith("  change.json") else line for line in sums]
    (change / "SHA256SUMS").write_text("\n".join(lines) + "\n")
