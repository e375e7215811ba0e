"""How long the one-file program takes to start, beside the checkout doing the same."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
from pathlib import Path

from tests.bench.timing import run, spread, timed
from tests.building import BUNDLEGEN, ROOT

RUNS = 15
GOAL = 1.0


def main(work: Path) -> None:
    """Print what a start costs, by a command that does nothing and by one that reads a specification."""
    program = made()
    shutil.copy(ROOT / "examples/three-hosts.yaml", work / "cluster.yaml")
    print(f"{program.name}, {program.stat().st_size / 2**20:.1f} MiB (goal {GOAL:.1f} s):")
    for words in (["--version"], ["plan", "cluster.yaml"]):
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(RUNS):
            ours.append(seconds([str(program), *words], work))
            theirs.append(seconds([*BUNDLEGEN, *words], work))
        print(
            f"  {' '.join(words)}: {statistics.median(ours):.2f} s ({spread(ours)}), "
            f"the checkout {statistics.median(theirs):.2f} s",
            flush=True,
        )


def seconds(argv: list[str], folder: Path) -> float:
    """What one run takes."""
    return timed(lambda: run(argv, folder))


def made() -> Path:
    """The program in dist/, made if it is not there."""
    pattern = f"bundlegen-*-linux-{os.uname().machine}"
    if not list((ROOT / "dist").glob(pattern)):
        subprocess.run([ROOT / ".ci/dist"], check=True, capture_output=True)
    (program,) = (ROOT / "dist").glob(pattern)
    return program
