"""What tests of trust share: a change that was built, and bundles taken apart and put together again, as an attacker
who knows the format would."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from bundlegen import layout
from bundlegen.bundle.entry import Entry, entry
from bundlegen.bundle.pieces import configuration_piece
from bundlegen.bundle.plan import BundlePlan
from bundlegen.bundle.stub import Stub, blanked
from bundlegen.change.build import Built, build
from bundlegen.change.shape import Options
from bundlegen.record import make as make_record
from bundlegen.system.clock import now
from bundlegen.trust.bundle import read
from bundlegen.trust.finding import Finding
from bundlegen.trust.verify import verify
from tests.building import forget

SPEC: dict[str, Any] = {
    "name": "prod",
    "kubernetesVersion": "v1.31.4",
    "hosts": [{"name": f"infra{number}", "address": f"10.0.0.{6 + number}"} for number in range(3)],
    "pki": {"encryptionAlgorithm": "ECDSA-P256"},
}

Entries = dict[str, Entry]


def make(folder: Path, spec: Mapping[str, Any] = SPEC, name: str = "out", **options: Any) -> Built:
    """Build ``spec`` into ``folder/name`` with the keys in ``folder/pki``, as the first change of its cluster."""
    folder.mkdir(exist_ok=True)
    forget(folder / "pki" / str(spec["name"]))
    (folder / "cluster.yaml").write_text(yaml.safe_dump(dict(spec)), encoding="utf-8")
    return build(folder / "cluster.yaml", Options(folder / name, folder / "pki", **options))


def repack(path: Path, change: Callable[[Entries], None], stub: Callable[[bytes], bytes] = bytes) -> bytes:
    """The bundle with its files changed, and every sum in it made to fit again."""
    bundle = read(path)
    entries = {
        line.destination: Entry(
            line.destination,
            line.mode,
            line.sha256,
            bundle.sizes.get(layout.payload_path(line.destination), 0),
            "",
            content=bundle.content(line.destination),
        )
        for line in bundle.manifest
    }
    change(entries)
    plan = BundlePlan(bundle.conf["HOST"], tuple(sorted(entries.values(), key=lambda each: each.destination)))
    told = _told(entries)
    title = f"etcd {told['CLUSTER']}, {told['CHANGE']}: {told['HOST'] or 'every host'}"
    images, whole = [], path.read_bytes()
    start = len(bundle.stub) + bundle.pieces[0].size
    for piece in bundle.pieces[1:]:
        images.append(replace(piece, content=whole[start : start + piece.size]))
        start += piece.size
    pieces = [configuration_piece(plan), *images]
    header = Stub("", blanked(bundle.stub)).header(title, pieces)
    return stub(header) + b"".join(piece.content or b"" for piece in pieces)


def _told(entries: Entries) -> dict[str, str]:
    """What bundle.conf says by now."""
    lines = (entries[layout.CONF].content or b"").decode("ascii", "replace").splitlines()
    return {key: value.strip("'") for key, _, value in (line.partition("=") for line in lines)}


def put(entries: Entries, destination: str, content: bytes, mode: int = 0o644) -> None:
    entries[destination] = entry(destination, content, mode, "")


def replace_bundle(folder: Path, name: str, content: bytes) -> None:
    """Put a bundle into a change, and make change.json and SHA256SUMS say what they should."""
    (folder / name).write_bytes(content)
    bundle = read(folder / name)
    found = json.loads((folder / layout.RECORD).read_bytes())
    for host in found["hosts"]:
        if host["bundle"] == name:
            host |= {"size": bundle.size, "sha256": bundle.sha256, "payloadDigest": bundle.digest}
            old = {file["path"]: file for file in host["files"]}
            host["files"] = [
                {
                    **old.get(each.destination, {**host["files"][0], "what": "x"}),
                    "path": each.destination,
                    "mode": f"{each.mode:04o}",
                    "owner": each.owner,
                    "sha256": each.sha256,
                }
                for each in bundle.manifest
            ]
    (folder / layout.RECORD).write_bytes(json.dumps(found).encode())
    sum_up(folder)


def sum_up(folder: Path) -> None:
    names = sorted(path.name for path in folder.iterdir() if path.name not in (layout.SUMS, layout.SIGNATURE))
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    (folder / layout.SUMS).write_bytes(make_record.sums(sums))


def findings(path: Path, **asked: Any) -> list[Finding]:
    return [each for each in verify(path, asked.pop("at", None) or now(), **asked) if each.fatal]


def sentences(path: Path, **asked: Any) -> list[str]:
    return [str(each) for each in findings(path, **asked)]
