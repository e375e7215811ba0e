"""Times and sizes of whole programs."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.building import environment


class Cost(NamedTuple):
    """Seconds that a program took: on the clock, and of the processors, all its children included."""

    wall: float
    processor: float


def cost(argv: Sequence[str], folder: Path) -> Cost:
    """What running the program costs."""
    before, used = time.perf_counter(), os.times()
    run(argv, folder)
    after = os.times()
    processor = after.children_user + after.children_system - used.children_user - used.children_system
    return Cost(time.perf_counter() - before, processor)


def timed(work: Callable[[], object]) -> float:
    """Seconds that ``work`` takes."""
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def run(argv: Sequence[str], folder: Path) -> str:
    """What the program prints. Raises CalledProcessError where it fails."""
    return subprocess.run(argv, cwd=folder, env=environment(), check=True, capture_output=True, text=True).stdout


def spread(times: list[float]) -> str:
    """The fastest and the slowest."""
    return f"{min(times):.2f} to {max(times):.2f}"


def peak_memory(argv: Sequence[str], folder: Path) -> float:
    """The largest resident size of the program and of each program it starts, in MiB. Raises where it fails."""
    started = subprocess.Popen(argv, cwd=folder, env=environment(), stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(started.pid, 0)
    started.returncode = os.waitstatus_to_exitcode(status)
    if started.returncode:
        raise subprocess.CalledProcessError(started.returncode, argv)
    return used.ru_maxrss / 1024
