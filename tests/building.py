"""What tests that build share: a specification in a folder, and bundlegen as a program."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bundlegen import cli
from bundlegen.trust import bundle
from tests.needs import WITH_SIGNALS

ROOT = Path(__file__).parent.parent
# What the command-line tests run: the checkout, or the one-file program that is to pass them too.
PROGRAM = os.environ.get("BUNDLEGEN_PROGRAM")
MAKESELF_IS_CARRIED = "the one-file program carries its own makeself"
BUNDLEGEN = [PROGRAM] if PROGRAM else [sys.executable, "-m", "bundlegen"]
TIMEOUT = 120


def environment(**changes: str) -> dict[str, str]:
    """The environment of a plain run, in which ``bundlegen`` is found from every folder."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", **changes}


def specification(hosts: int = 3, **changes: Any) -> dict[str, Any]:
    """The guide's cluster, with keys that take no time to make."""
    return {
        "name": "prod",
        "kubernetesVersion": "v1.31.4",
        "hosts": [{"name": f"infra{number}", "address": f"10.0.0.{6 + number}"} for number in range(hosts)],
        "pki": {"encryptionAlgorithm": "ECDSA-P256"},
        **changes,
    }


def write(folder: Path, data: Mapping[str, Any], name: str = "cluster.yaml") -> Path:
    path = folder / name
    path.write_text(json.dumps(data))
    return path


def run(
    folder: Path, *words: str, env: Mapping[str, str] | None = None, before: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """bundlegen with ``words`` in ``folder``; ``before``: a program that starts it, as ``unshare -n``."""
    return subprocess.run(
        [*WITH_SIGNALS, *before, *BUNDLEGEN, *words],
        cwd=folder, env=dict(env or environment()), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=TIMEOUT, check=False,
    )  # fmt: skip


def run_here(
    folder: Path, *words: str, env: Mapping[str, str] | None = None, before: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """The same in this process, which saves most of the time: for tests whose point is not the process.

    Another program's business stays one: that of an environment, of a program that starts it, of the one-file program.
    """
    if env is None and not before and not PROGRAM:
        return _run_here(folder, words)
    return run(folder, *words, env=env, before=before)


def _run_here(folder: Path, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """The same as a process of its own would do: in its folder and a plain environment, with streams of its own."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
    with (
        contextlib.chdir(folder),
        patch.dict(os.environ, environment(), clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = cli.main(list(words))
    said = [stream.detach().getvalue().decode() for stream in (out, err)]
    return subprocess.CompletedProcess([*BUNDLEGEN, *words], code, *said)


def main(words: Sequence[str]) -> int:
    """The exit code of bundlegen with ``words``: in this process, so without a start, or by the one-file program."""
    if not PROGRAM:
        return cli.main(list(words))
    done = subprocess.run(
        [PROGRAM, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    # Through Python's own streams, where pytest's capsys looks.
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return done.returncode


def build(folder: Path, *words: str, env: Mapping[str, str] | None = None) -> Path:
    """Build cluster.yaml in ``folder`` and return the change folder."""
    return _change(folder, run(folder, "build", "cluster.yaml", *words, env=env))


def build_here(folder: Path, *words: str, env: Mapping[str, str] | None = None) -> Path:
    """The same in this process; see run_here."""
    return _change(folder, run_here(folder, "build", "cluster.yaml", *words, env=env))


def _change(folder: Path, done: subprocess.CompletedProcess[str]) -> Path:
    assert done.returncode == 0, done.stderr
    if "--json" in done.args:
        return folder / json.loads(done.stdout)["folder"]
    if "--quiet" in done.args:
        assert done.stdout == ""
        return max(folder.glob("out/*/*/SHA256SUMS"), key=lambda sums: sums.stat().st_mtime_ns).parent
    made = re.search(rf"^All of it is in (.+){os.sep}; ", done.stdout, re.MULTILINE)
    assert made, done.stdout
    return folder / made[1]


def forget(store: Path) -> None:
    """Empty the history of the store, if it has one: the next build makes the first change, with the same keys."""
    if (store / "changes.jsonl").exists():
        (store / "changes.jsonl").write_bytes(b"")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder``, by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def read(change: Path, host: str = "infra0") -> bundle.Bundle:
    return bundle.read(change / f"{host}.run")
