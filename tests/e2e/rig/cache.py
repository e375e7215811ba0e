"""What is slow to make is made once per machine and kept outside the checkout."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

UNUSED_AFTER = 7 * 24 * 3600


def folder() -> Path:
    """The cache: BUNDLEGEN_E2E_CACHE, or ~/.cache/bundlegen-e2e."""
    given = os.environ.get("BUNDLEGEN_E2E_CACHE")
    path = Path(given) if given else Path.home() / ".cache" / "bundlegen-e2e"
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the machine-wide lock of that name; the kernel lets go of it when the process dies."""
    with (folder() / f"{name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def made_once(kind: str, recipe: object, make: Callable[[Path], None]) -> Path:
    """The folder that `make` fills, made by the first who asks and kept under the hash of its recipe.

    kind: short name; recipe: everything that decides the contents, as JSON values; make: fills the given new folder.
    """
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
    wanted = folder() / f"{kind}-{digest}"
    with locked(kind):
        if not wanted.exists():
            partial = folder() / f"{kind}-{digest}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            make(partial)
            partial.rename(wanted)
            _forget_unused(kind)
        os.utime(wanted)
    return wanted


def _forget_unused(kind: str) -> None:
    """Old recipes would fill the disk; recent ones may be under somebody's running hosts."""
    for path in folder().glob(f"{kind}-{'?' * 16}/"):
        if path.stat().st_mtime < time.time() - UNUSED_AFTER:
            shutil.rmtree(path, ignore_errors=True)
