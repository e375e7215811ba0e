"""What ``bundlegen status`` costs over a store of many clusters."""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path

from tests.bench.timing import run, spread, timed
from tests.building import BUNDLEGEN, specification, write

CLUSTERS = 40
RUNS = 5
GOAL = 2.0


def main(work: Path) -> None:
    """Print the row: so many clusters of three hosts, which have the same certificates, each read for itself."""
    folder = work / "stores"
    folder.mkdir()
    write(folder, specification())
    run([*BUNDLEGEN, "build", "cluster.yaml", "--quiet"], folder)
    for number in range(1, CLUSTERS):
        store = shutil.copytree(folder / "pki/prod", folder / f"pki/c{number}")
        about = store / "store.json"
        about.write_text(about.read_text().replace('"cluster": "prod"', f'"cluster": "c{number}"'))
    times = [timed(lambda: run([*BUNDLEGEN, "status"], folder)) for _ in range(RUNS)]
    print(
        f"status of {CLUSTERS} clusters with 3 hosts each: {statistics.median(times):.2f} s "
        f"({spread(times)}; goal {GOAL:.0f})",
        flush=True,
    )
