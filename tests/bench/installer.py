"""What runs of the installer cost a host: processes and processor time, in the sandbox of ``tests/shell``."""

from __future__ import annotations

import os
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.shell.processes import everything, seconds, traced
from tests.shell.sandbox import Sandbox

RUNS = 3
VERBS = {"preflight": ("preflight",), "install": (), "second run": (), "health": ("health",)}

T = TypeVar("T")


def main(work: Path) -> None:
    """Print a row for each verb, on one host after the other."""
    if os.geteuid() != 0 or shutil.which("strace") is None:
        print("the installer: not measured, as that needs root and strace")
        return
    counts = on_a_host(work / "counted", lambda host, folder, words: traced(host, folder, *words).processes)
    times = [on_a_host(work / f"timed-{number}", seconds_of) for number in range(RUNS)]
    print("the installer, with etcd and kubelet as stand-ins:")
    for verb in VERBS:
        used = [each[verb] for each in times]
        print(
            f"  {verb}: {counts[verb]} processes, {statistics.median(used):.2f} s of processor time "
            f"({min(used):.2f} to {max(used):.2f})",
            flush=True,
        )


def seconds_of(host: Sandbox, folder: str, words: tuple[str, ...]) -> float:
    """The processor time of one run."""
    return seconds(host, folder, *words)


def on_a_host(folder: Path, measure: Callable[[Sandbox, str, tuple[str, ...]], T]) -> dict[str, T]:
    """Each verb in turn on a new host, by name."""
    with Sandbox(folder) as host:
        payload = everything(host)
        return {verb: measure(host, host.unpack(payload), words) for verb, words in VERBS.items()}
