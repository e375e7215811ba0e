"""Killed, crowded out, out of space: the store is never the worse for it, and the next run succeeds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from bundlegen.errors import OutputError, StoreError
from bundlegen.pki import files, ledger
from bundlegen.pki.store import Store
from tests.pki_cases import NOW, cluster, ensure

PROJECT = Path(__file__).parents[2]
WORKER = """
import sys
from pathlib import Path
from tests.pki_cases import cluster, ensure
print("ready", flush=True)
for hosts in map(int, sys.argv[2:]):
    ensure(Path(sys.argv[1]), cluster(hosts))
"""


def worker(root: Path, *hosts: int) -> subprocess.Popen[str]:
    """A process that runs over the store once for each number of hosts."""
    arguments = [sys.executable, "-c", WORKER, str(root), *map(str, hosts)]
    process = subprocess.Popen(arguments, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def pairs(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.suffix in (".crt", ".key")}


def assert_sound(root: Path, before: dict[str, bytes]) -> None:
    """Whatever appeared is whole, what was there is untouched, and every certificate is in the record."""
    settled = {path: content for path, content in pairs(root).items() if "/.new/" not in path}
    assert before.items() <= settled.items()
    for path in settled:
        sibling = path[:-4] + (".crt" if path.endswith(".key") else ".key")
        assert sibling in settled, path
    recorded = ledger.read(root / "prod" / "issued.jsonl").fingerprints
    for path, content in settled.items():
        if path.endswith(".crt"):
            assert x509.load_pem_x509_certificate(content).fingerprint(SHA256()).hex() in recorded


def test_killed_at_every_step_of_making_a_store(tmp_path: Path) -> None:
    """A run is killed just before its first change of the disk, another before its second, and so on to the end."""
    step = 0
    while True:
        step += 1
        root = tmp_path / str(step)
        if not _killed_at(step, root):
            break
        assert_sound(root, {})
        before = {path: content for path, content in pairs(root).items() if "/.new/" not in path}
        assert len(ensure(root, cluster(2)).leaves) == 8
        assert_sound(root, before)
        assert ensure(root, cluster(2)).new == ()
        assert not (root / "prod" / ".new").exists()
    # A folder and two files for each of nine pairs, and a rename: fewer steps would mean that not every one is counted.
    assert step > 4 * 9


def _killed_at(step: int, root: Path) -> bool:
    """Makes a store in a process of its own, killed before its ``step``-th change; False where it had fewer."""
    with warnings.catch_warnings():
        # Later Pythons warn of threads in the parent. The child starts none and ends without looking back.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            _die_at(step)
            ensure(root, cluster(2))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def _die_at(step: int) -> None:
    left = step

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **keywords)

        return call

    for name in ("mkdir", "write", "rename", "ftruncate", "pwrite"):
        setattr(os, name, counted(getattr(os, name)))
    files.sync = counted(files.sync)


def test_killed_at_random_moments_while_hosts_are_added(tmp_path: Path) -> None:
    root = tmp_path / "pki"
    ensure(root, cluster(1))
    for round_number in range(12):
        before = {path: content for path, content in pairs(root).items() if "/.new/" not in path}
        hosts = 1 + 4 * (round_number + 1)
        process = worker(root, hosts)
        time.sleep(0.004 * round_number)
        process.kill()
        process.communicate(timeout=30)
        assert_sound(root, before)
    final = ensure(root, cluster(60))
    assert len(final.leaves) == 240
    assert not (root / "prod" / ".new").exists()


def test_two_runs_at_once_do_not_meet(tmp_path: Path) -> None:
    with Store.open(tmp_path, cluster(1).name, clock=lambda: NOW) as store:
        process = worker(tmp_path, 1)
        _, errors = process.communicate(timeout=30)
        assert process.returncode != 0
        assert f"{tmp_path}/prod is in use by another bundlegen (process {os.getpid()})" in errors
        store.ensure(cluster(1))
    assert ensure(tmp_path, cluster(1)).new == ()


def test_many_runs_at_once_end_with_one_store(tmp_path: Path) -> None:
    outcomes: list[str] = []

    def run() -> None:
        process = worker(tmp_path, 5)
        _, errors = process.communicate(timeout=60)
        outcomes.append("done" if process.returncode == 0 else errors.strip().splitlines()[-1])

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "done" in outcomes
    assert all(outcome == "done" or "is in use by another bundlegen" in outcome for outcome in outcomes)
    assert ensure(tmp_path, cluster(5)).new == ()
    lines = (tmp_path / "prod" / "issued.jsonl").read_text(encoding="utf-8").splitlines()
    assert len([json.loads(line) for line in lines]) == 21


def test_a_lock_left_behind_holds_nobody_up(tmp_path: Path) -> None:
    ensure(tmp_path, cluster(1))
    (tmp_path / "prod" / ".lock").write_text("99999999\n", encoding="utf-8")
    assert ensure(tmp_path, cluster(1)).new == ()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", f"{disk}"], check=True)
    yield disk
    subprocess.run(["umount", f"{disk}"], check=True)


def fill(disk: Path, leave: int) -> Path:
    filler = disk / "filler"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    filler.write_bytes(b"x" * (free - leave))
    return filler


@pytest.mark.parametrize("leave", [0, 4096, 8192, 20480, 40960, 65536])
def test_a_full_disk_is_an_error_and_then_none(leave: int, small_disk: Path) -> None:
    root = small_disk / "pki"
    filler = fill(small_disk, leave)
    with pytest.raises(OutputError, match="no space left on device") as refused:
        ensure(root, cluster(3))
    assert "free some space" in refused.value.hint
    filler.unlink()
    assert len(ensure(root, cluster(3)).new) == 13


def test_a_full_disk_keeps_nobody_from_reading(small_disk: Path) -> None:
    root = small_disk / "pki"
    issued = ensure(root, cluster(3))
    fill(small_disk, 0)
    assert ensure(root, cluster(3)).leaves == issued.leaves
    before = pairs(root)
    whole = (root / "prod" / "issued.jsonl").read_bytes()
    with pytest.raises(OutputError):
        ensure(root, cluster(4))
    assert pairs(root) == before
    assert (root / "prod" / "issued.jsonl").read_bytes() == whole


def test_a_read_only_disk_is_named(small_disk: Path) -> None:
    ensure(small_disk / "pki", cluster(1))
    subprocess.run(["mount", "-o", "remount,ro", f"{small_disk}"], check=True)
    with pytest.raises(StoreError, match="read-only file system") as refused:
        ensure(small_disk / "pki", cluster(1))
    assert "--pki" in refused.value.hint
    with pytest.raises(StoreError, match=r"cannot make .*other.*read-only"):
        ensure(small_disk / "other", cluster(1))
