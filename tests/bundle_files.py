"""What tests of a bundle as a file share: small bundles whose installer tells what it was given."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bundlegen import layout
from bundlegen.bundle.conf import KEYS
from bundlegen.bundle.entry import Entry, entry
from bundlegen.bundle.pieces import configuration_piece, image_index, image_piece
from bundlegen.bundle.plan import BundlePlan
from bundlegen.bundle.stub import Stub, label

SHELLS = {"dash": ["dash"], "bash": ["bash"], "busybox": ["busybox", "sh"]}

# Stands for the installer: tells what it was given and where it runs, and ends as it is told.
INSTALLER = b"""#!/bin/bash
umask 077
printf '%s\\n' "$PWD" > "$TOLD/where"
stat -c %a . > "$TOLD/mode"
stat -f -c %T . > "$TOLD/disk"
printf '<%s>' "$@" > "$TOLD/arguments"
printf '%s\\n' "$BUNDLEGEN_FILE" > "$TOLD/file"
tail -c "+$((BUNDLEGEN_IMAGES_AT + 1))" "$BUNDLEGEN_FILE" > "$TOLD/pieces"
ls > "$TOLD/unpacked"
cat images/*.tar 2> /dev/null > "$TOLD/images"
exit "${CODE:-0}"
"""
LABEL = label("prod", "create", "infra0")


def make(folder: Path, stub: Stub, images: int = 0) -> Path:
    conf = "".join(f"{key.name}='{layout.FORMAT if key.name == 'FORMAT' else ''}'\n" for key in KEYS)
    entries = [
        entry(layout.INSTALLER, INSTALLER, 0o755, "installer"),
        entry(layout.CONF, conf.encode(), 0o600, "conf"),
        entry("/etc/kubernetes/pki/etcd/ca.crt", b"certificate", 0o644, "a certificate"),
    ]
    carried = []
    for number in range(images):
        content = f"image {number}".encode() * 70_000
        source = folder / f"{number}.tar"
        source.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        entries.append(Entry(f"images/{number}.tar", 0o644, digest, len(content), "image", source=source))
        carried.append((f"{number}.tar", image_piece(entries[-1], [content], folder / f"{digest}.gz")))
    if carried:
        entries.append(entry(layout.IMAGE_LIST, b"", 0o644, "list"))
        entries.append(entry(layout.IMAGE_PIECES, image_index(carried), 0o644, "pieces"))
    plan = BundlePlan("infra0", tuple(sorted(entries, key=lambda each: each.destination)))
    pieces = [configuration_piece(plan), *(piece for _, piece in carried)]
    path = folder / "infra0.run"
    with path.open("wb") as stream:
        stream.write(stub.header(LABEL, pieces))
        for piece in pieces:
            stream.writelines(piece.blocks())
    return path


def run(
    shell: list[str],
    path: Path,
    *words: str,
    stdin: str = "",
    told_in: Path | None = None,
    given: Mapping[str, str] | None = None,
    **env: str,
) -> subprocess.CompletedProcess[str]:
    folder = told_in or path.parent
    (folder / "told").mkdir(exist_ok=True)
    return subprocess.run(
        [*shell, str(path), *words], cwd=folder, input=stdin, capture_output=True, text=True, timeout=60,
        env={"PATH": os.environ["PATH"], "TOLD": str(folder / "told"), "TMPDIR": str(folder), **env, **(given or {})},
        check=False,
    )  # fmt: skip


def told(path: Path, what: str) -> str:
    return (path.parent / "told" / what).read_text().rstrip("\n")
