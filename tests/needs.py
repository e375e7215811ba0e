"""What a test may lack on a machine, said once and with its reason; and the signals that its programs start with."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from typing import NoReturn

import pytest

# In front of a program that is to be interrupted: nohup and some CI ignore these signals, which programs inherit.
WITH_SIGNALS = ("/usr/bin/env", "--default-signal=HUP,INT,TERM")


def lacking(reason: str) -> NoReturn:
    """Skip the test with that reason; in continuous integration, fail it.

    Called by a module when it is imported, it skips all its tests, and shows one line for them.
    """
    if os.environ.get("CI") == "true":
        pytest.fail(f"in continuous integration this must run, and cannot: {reason}", pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def program(name: str) -> None:
    """The test starts a program of that name."""
    if shutil.which(name) is None:
        lacking(f"{name} is not installed")


def no_network() -> list[str]:
    """The words in front of a program that make it run without a network; the test is skipped if there can be none."""
    # Root needs no user namespace, and in a chroot the kernel refuses one.
    words = ["unshare", "--net", *(["--map-root-user"] if os.geteuid() != 0 else [])]
    if refusal := _refusal(*words):
        lacking(f"no network namespace can be made here: {refusal}")
    return words


@cache
def _refusal(*words: str) -> str:
    """Why a program cannot be started with these words in front of it; empty if it can."""
    if shutil.which(words[0]) is None:
        return f"{words[0]} is not installed"
    done = subprocess.run([*words, "true"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr.strip() or f"exit {done.returncode}"
