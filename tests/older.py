"""Version 0.1, out of this project's own history: what it left is what later versions must go on with."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from tests.building import ROOT, TIMEOUT, environment
from tests.needs import lacking, program

VERSION = "0.1.0"
COMMIT = "b9292246b8a0fe97daabf3e8ebc418d8665dd261"  # the last one with its code
PARTS = ("bundlegen", "templates", "setup.cfg")  # it looks for its templates beside setup.cfg


class Older:
    """The program as it was, in a folder of its own and run by the interpreter of the tests."""

    def __init__(self, folder: Path) -> None:
        """Unpack it to ``folder``. The test is skipped if this is no clone, or one without that commit."""
        program("git")
        done = subprocess.run(
            ["git", "archive", "--format=tar", COMMIT, *PARTS], cwd=ROOT, capture_output=True, check=False
        )
        if done.returncode != 0:
            lacking(f"version {VERSION} is not in this clone's history: {done.stderr.decode().strip()}")
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            archive.extractall(folder, filter="data")
        self._environment = environment(PYTHONPATH=str(folder), PYTHONDONTWRITEBYTECODE="1")
        assert self.run(["--version"], folder).stdout == f"bundlegen {VERSION}\n"

    def run(self, words: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
        """The older bundlegen with ``words`` in ``folder``; it must end well."""
        done = subprocess.run(
            # -P: the working folder is not where the package is looked for
            [sys.executable, "-P", "-m", "bundlegen", *words],
            cwd=folder, env=self._environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=TIMEOUT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done
