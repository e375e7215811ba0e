"""What tests of builds one after the other share: edits of a specification, and what the store knows of it all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests import records
from tests.building import contents, run, specification, write

FLAG = {"etcd": {"extraArgs": {"heartbeat-interval": "200"}}}
OTHER = {"etcd": {"extraArgs": {"heartbeat-interval": "300"}}}


def edit(folder: Path, **fields: Any) -> None:
    write(folder, {**specification(), **fields})


def kept(folder: Path) -> dict[str, bytes]:
    """Every file; which process had the store, and codes that seal bundles, apart."""
    found = contents(folder).items()
    return {name: content for name, content in found if not name.endswith(".lock") and "/unlock/" not in name}


def with_name(host: int, name: str) -> dict[str, Any]:
    """The guide's hosts, one of them certified for another name as well."""
    hosts = specification()["hosts"]
    hosts[host]["extraSANs"] = [name]
    return {"hosts": hosts}


def entries(folder: Path, kind: str = "change") -> list[dict[str, Any]]:
    text = (folder / "pki/prod/changes.jsonl").read_text()
    return [found for found in map(json.loads, text.splitlines()) if found["entry"] == kind]


def take_in(folder: Path, change: str, *hosts: int, **said: Any) -> None:
    """The store takes in receipts of these hosts, by number, of their runs of ``change``."""
    made = json.loads((folder / "out/prod" / change / "change.json").read_text())
    for host in hosts:
        later: dict[str, Any] = {"startedAt": "2099-01-01T00:00:00Z", "endedAt": "2099-01-01T00:01:00Z"}
        (folder / f"{host}.json").write_bytes(records.receipt(made, host, **later, **said))
        done = run(folder, "reconcile", f"out/prod/{change}", f"{host}.json", "--pki", "pki")
        assert done.returncode in (0, 6), done.stderr
        assert "1 of 1 receipts are new to the store" in done.stderr
