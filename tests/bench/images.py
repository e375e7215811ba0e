"""What carrying a container image costs, against compressing it once and copying the result, and against makeself."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from tests import image_archives
from tests.bench.timing import peak_memory, run, spread, timed
from tests.building import BUNDLEGEN, specification, write

IMAGE = "etcd.tar"
IMAGE_SIZE = 70 << 20
RUNS = 3
MAKESELF = ("makeself", "--quiet", "--sha256", "--nomd5", "--nocrc", "--nox11", "--tar-quietly")


def main(work: Path) -> None:
    """Print the figures: three hosts and seven, with one image of 70 MiB on board."""
    # In a process of its own: what this one holds would count as every child's.
    making = (
        f"from pathlib import Path; from tests.bench.images import program_image as make; make(Path({str(work)!r}))"
    )
    run([sys.executable, "-c", making], work)
    image = work / IMAGE
    few, many = prepare(work / "3", image, 3), prepare(work / "7", image, 7)
    ours, once, more, more_copies = [], [], [], []
    for _ in range(RUNS):
        ours.append(timed(lambda: fresh_build(few)))
        once.append(timed(lambda: compress_and_copy(image, work / "once", 3)))
        more.append(timed(lambda: fresh_build(many)))
        more_copies.append(timed(lambda: copies(work / "once", 4)))
    by_host = trees(few, work / "makeself", 3)
    theirs = timed(lambda: by_makeself(by_host, 3))
    mine, least = statistics.median(ours), statistics.median(once)
    print(f"3 hosts with an image of {IMAGE_SIZE >> 20} MiB:")
    print(f"  bundlegen {mine:.2f} s ({spread(ours)})")
    print(f"  gzip once and three copies {least:.2f} s ({spread(once)}), ratio {mine / least:.2f} (goal 1.50)")
    print(f"  three makeself runs {theirs:.2f} s, {theirs / mine:.1f} times as long (goal 2.5)")
    grown, copying = statistics.median(more) - mine, statistics.median(more_copies)
    print(f"  four hosts more: {grown:.2f} s more; four copies more by hand {copying:.2f} s")
    shutil.rmtree(few / "out")
    print(f"  peak memory {peak_memory([*BUNDLEGEN, 'build', 'cluster.yaml'], few):.0f} MiB (goal 200)", flush=True)


def program_image(folder: Path) -> None:
    """An image archive of 70 MiB in the folder; it is made of this machine's libraries, to compress as programs do."""
    content = bytearray()
    for file in sorted(Path("/usr/lib").rglob("*.so*")):
        if len(content) < IMAGE_SIZE and file.is_file() and not file.is_symlink():
            content += file.read_bytes()
    layer = image_archives.pack({"usr/bin/program": bytes(content[:IMAGE_SIZE])})
    image_archives.write(folder / IMAGE, image_archives.docker(content=layer))


def prepare(folder: Path, image: Path, hosts: int) -> Path:
    """A folder with a specification of so many hosts that carry the image."""
    folder.mkdir()
    write(folder, specification(hosts, images=[str(image)]))
    return folder


def fresh_build(folder: Path) -> None:
    """From nothing: keys, certificates, and all."""
    for name in ("out", "pki"):
        shutil.rmtree(folder / name, ignore_errors=True)
    run([*BUNDLEGEN, "build", "cluster.yaml"], folder)


def compress_and_copy(image: Path, folder: Path, count: int) -> None:
    """The least that anybody has to do."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with (folder / "image.gz").open("wb") as target:
        subprocess.run(["gzip", "-c", str(image)], stdout=target, check=True)
    copies(folder, count)


def copies(folder: Path, count: int) -> None:
    """So many copies of the compressed image, each of them on the disk as a bundle is."""
    for number in range(count):
        copy = folder / f"copy{number}"
        shutil.copyfile(folder / "image.gz", copy)
        with copy.open("rb") as stream:
            os.fsync(stream.fileno())


def trees(built: Path, folder: Path, hosts: int) -> Path:
    """The files of our own bundles, images and all, a folder per host."""
    for number in range(hosts):
        extracted = folder / f"infra{number}"
        folder.mkdir(exist_ok=True)
        run([*BUNDLEGEN, "extract", f"out/prod/create/infra{number}.run", str(extracted)], built)
    return folder


def by_makeself(folder: Path, hosts: int) -> None:
    """makeself, once per host, over the same files."""
    for number in range(hosts):
        run([*MAKESELF, f"infra{number}", f"infra{number}.run", "bundle", "./install.sh"], folder)
