"""What building costs, against the same work by hand: ``python -m tests.bench``, or ``make bench``.

Every figure is the median of several runs, the two ways taking turns, so that a busy machine slows both. Ratios are of
wall-clock times on all the machine's processors, and of processor time, which tells more on a busy machine.
Nothing here is a test: whoever changes the core reads it.
"""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bundlegen.trust import bundle
from tests.bench import images, installer, one_file, stores
from tests.bench.timing import Cost, cost, peak_memory, run, spread, timed
from tests.building import BUNDLEGEN, specification, write

BY_HAND = Path(__file__).parent / "byhand.sh"
PHASES = (
    (
        "starting and importing",
        "import bundlegen.cli, bundlegen.commands.build",
    ),
    ("one RSA-2048 key", "from bundlegen.pki import entropy; entropy.new_key('RSA-2048')"),
    ("one ECDSA-P256 key", "from bundlegen.pki import entropy; entropy.new_key('ECDSA-P256')"),
    ("makeself's stub", "from bundlegen.bundle import stub; stub.make_stub()"),
)


def main() -> int:
    """Print every figure. Returns 0."""
    print(f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory(prefix="bundlegen-bench.") as name:
        work = Path(name)
        compare(work / "small", hosts=3, algorithm="RSA-2048", runs=3, goal=0.30)
        compare(work / "large", hosts=40, algorithm="ECDSA-P256", runs=3, goal=0.20)
        start_up()
        stores.main(work)
        one_file.main(work)
        memory(work / "memory", hosts=300)
        images.main(work)
        installer.main(work)
        phases()
    return 0


def compare(work: Path, *, hosts: int, algorithm: str, runs: int, goal: float) -> None:
    """Build ``hosts`` hosts both ways, in turns, from nothing each time."""
    ours: list[Cost] = []
    theirs: list[Cost] = []
    for number in range(runs):
        folder = work / str(number)
        folder.mkdir(parents=True)
        prepare(folder, hosts, algorithm)
        ours.append(cost([*BUNDLEGEN, "build", "cluster.yaml"], folder))
        trees = by_hand_trees(folder, hosts)
        pairs = [f"h{host}={address(host)}" for host in range(hosts)]
        theirs.append(cost([str(BY_HAND), str(trees), str(folder / "byhand"), algorithm, *pairs], folder))
        shutil.rmtree(folder)
    print(f"{hosts} hosts, {algorithm} (goal {goal:.2f}):")
    for what in ("wall", "processor"):
        mine, hand = ([getattr(each, what) for each in costs] for costs in (ours, theirs))
        middle, other = statistics.median(mine), statistics.median(hand)
        print(
            f"  {what} time: bundlegen {middle:.2f} s ({spread(mine)}), by hand {other:.2f} s ({spread(hand)}), "
            f"ratio {middle / other:.3f}",
            flush=True,
        )


def prepare(folder: Path, hosts: int, algorithm: str) -> None:
    """A specification of so many hosts."""
    names = [{"name": f"h{host}", "address": address(host)} for host in range(hosts)]
    write(folder, specification() | {"hosts": names, "pki": {"encryptionAlgorithm": algorithm}})


def address(host: int) -> str:
    """The address of a host by its number."""
    return f"10.1.{host // 200}.{host % 200 + 1}"


def by_hand_trees(folder: Path, hosts: int) -> Path:
    """What is to be packed by hand: every file of our own bundles but the keys and certificates."""
    trees = folder / "trees"
    for host in range(hosts):
        found = bundle.read(folder / f"out/prod/create/h{host}.run")
        for name, content in found.files.items():
            if "/pki/" not in name:
                path = trees / f"h{host}" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        (trees / f"h{host}" / "install.sh").chmod(0o755)
    (folder / "byhand").mkdir()
    return trees


def start_up() -> None:
    """How long ``bundlegen --version`` takes."""
    times = [timed(lambda: run([*BUNDLEGEN, "--version"], Path.cwd())) for _ in range(21)]
    bare = [timed(lambda: run([sys.executable, "-c", "pass"], Path.cwd())) for _ in range(21)]
    ours, python = statistics.median(times), statistics.median(bare)
    print(f"bundlegen --version: {ours:.3f} s (goal 0.150); Python alone {python:.3f} s", flush=True)


def memory(work: Path, *, hosts: int) -> None:
    """The largest resident size of a build of so many hosts, in a process of its own."""
    work.mkdir()
    prepare(work, hosts, "ECDSA-P256")
    before = time.perf_counter()
    peak = peak_memory([*BUNDLEGEN, "build", "cluster.yaml"], work)
    took = time.perf_counter() - before
    print(f"{hosts} hosts, ECDSA-P256: peak memory {peak:.0f} MiB (goal 200), {took:.2f} s")


def phases() -> None:
    """Where the time goes: each part by itself, less the time Python needs to import what it needs."""
    print("by itself:")
    for what, statement in PHASES:
        imports, _, work = statement.partition(";")
        program = f"import time\n{'' if work else 't=time.perf_counter()'}\n{imports}\n"
        program += f"{'t=time.perf_counter()' if work else ''}\n{work.strip()}\nprint(time.perf_counter()-t)"
        times = [float(run([sys.executable, "-c", program], Path.cwd())) for _ in range(9)]
        print(f"  {what}: {statistics.median(times) * 1000:.1f} ms")


if __name__ == "__main__":
    sys.exit(main())
