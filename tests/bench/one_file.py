"""How long the one-file program takes to start, beside the checkout doing the same."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
from pathlib import Path

from tests.bench.timing import Cost, cost, spread
from tests.building import BUNDLEGEN, ROOT

RUNS = 15
GOAL = 1.0


def main(work: Path) -> None:
    """Print what a start costs, by a command that does nothing and by one that reads a specification."""
    program = made()
    shutil.copy(ROOT / "examples/three-hosts.yaml", work / "cluster.yaml")
    print(f"{program.name}, {program.stat().st_size / 2**20:.1f} MiB (goal {GOAL:.1f} s):")
    for words in (["--version"], ["plan", "cluster.yaml"]):
        ours: list[Cost] = []
        theirs: list[Cost] = []
        for _ in range(RUNS):
            ours.append(cost([str(program), *words], work))
            theirs.append(cost([*BUNDLEGEN, *words], work))
        wall, processor = ([getattr(each, what) for each in ours] for what in ("wall", "processor"))
        print(
            f"  {' '.join(words)}: {statistics.median(wall):.2f} s ({spread(wall)}), "
            f"processor {statistics.median(processor):.2f} s; "
            f"the checkout {statistics.median(each.wall for each in theirs):.2f} s",
            flush=True,
        )


def made() -> Path:
    """The program in dist/, made if it is not there."""
    pattern = f"bundlegen-*-linux-{os.uname().machine}"
    if not list((ROOT / "dist").glob(pattern)):
        subprocess.run([ROOT / ".ci/dist"], check=True, capture_output=True)
    (program,) = (ROOT / "dist").glob(pattern)
    return program
