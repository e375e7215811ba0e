"""The templates for Packer as tests want them: written for a cluster, with a change folder beside them."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests import building


def written(folder: Path, *words: str, **changes: Any) -> Path:
    """The folder with the templates of a cluster, whose change folder has a base.run."""
    building.write(folder, {**building.specification(), **changes})
    done = building.run_here(folder, "packer", "cluster.yaml", *words)
    assert done.returncode == 0, done.stderr
    [templates] = (folder / "out").glob("*/packer")
    offer(templates.parent / "create", {"base.run": b"exit 0\n"})
    return templates


def offer(change: Path, files: Mapping[str, bytes]) -> None:
    """A change folder with these files and their sums."""
    change.mkdir(exist_ok=True)
    for name, content in files.items():
        (change / name).write_bytes(content)
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items()]
    (change / "SHA256SUMS").write_text("".join(sums))


def script(guide: Path, name: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", guide / "null/scripts" / name],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def sums(change: Path) -> dict[str, str]:
    listed = [line.split() for line in (change / "SHA256SUMS").read_text().splitlines()]
    return {"FILES": " ".join(name for _, name in listed), "SUMS": " ".join(digest for digest, _ in listed)}


def check(guide: Path, change: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    values = {"CHANGE": str(change), "ALLOWED_SIGNERS": "", "SIGNER": "", **sums(change), **variables}
    return script(guide, "check.sh", **values)
