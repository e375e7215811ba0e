"""Snapshots by a timer on a real host: systemd runs it, etcd's own tool accepts what it takes, and the newest stay."""

from __future__ import annotations

import json
import random
import shlex
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests import figures
from tests.e2e.clusters import Cluster, run_bundle
from tests.e2e.rig import images
from tests.e2e.rig.host import Host
from tests.e2e.rig.session import Session
from tests.e2e.running import HEALTH

DIR = "/srv/snapshots"
TAKEN = "/root/taken"
TIMER = "bundlegen-snapshot.timer"


def test_the_timer_takes_them(make_cluster: Callable[..., Cluster], boot: Callable[..., list[Host]]) -> None:
    backup = {"schedule": "*-*-* *:*:0/5", "keep": 2, "directory": DIR}
    pki = {"encryptionAlgorithm": "ECDSA-P256"}
    cluster = make_cluster("kept", addresses=("10.0.0.6",), backup=backup, pki=pki)
    (host,) = boot(cluster)
    run_bundle(host, cluster.bundle(0))
    assert host.exec(["systemctl", "is-enabled", TIMER]).stdout == "enabled\n"
    assert host.exec(["systemctl", "is-active", TIMER]).stdout == "active\n"
    seen: set[str] = set()
    for _ in range(3):
        host.exec(["systemctl", "start", "bundlegen-snapshot.service"])
        seen |= set(host.exec(["ls", DIR]).stdout.split())
        time.sleep(1.1)
    kept = host.exec(["ls", DIR]).stdout.split()
    assert len(seen) >= 3
    assert kept == sorted(seen)[-2:]
    told = host.exec([HEALTH]).stdout
    assert "the newest snapshot is 0 minutes old" in told
    off = cluster.change(backup=None)
    done = run_bundle(host, off.bundle(0))
    assert "snapshots are not taken by themselves any more; those that were taken stay" in done.stdout
    assert host.exec(["systemctl", "is-enabled", TIMER], check=False).returncode != 0
    assert host.exec(["ls", DIR]).stdout.split() == kept
    run_bundle(host, off.bundle(0), "rollback")
    assert host.exec(["systemctl", "is-active", TIMER]).stdout == "active\n"


@dataclass(frozen=True)
class Large:
    """A member that holds 60 MB, and how etcdctl asks it."""

    host: Host
    session: Session
    client: str

    def take(self, *words: str) -> list[str]:
        return ["bash", "/var/lib/bundlegen/large/bundle/install.sh", "snapshot", *words]

    def status(self, name: str) -> dict[str, Any]:
        """What etcd's own tool says of a snapshot on the host. Raises CommandError for one that is not whole."""
        tool = images.etcd_programs() / "usr/bin/etcdutl"
        told = self.session.run([tool, "snapshot", "status", "-w", "json", self.host.shared_path(name)])
        found: dict[str, Any] = json.loads(told.stdout)
        return found

    def kept(self) -> list[str]:
        return self.host.exec(["sh", "-c", f"ls -A {TAKEN}"]).stdout.split()

    def struck(self, strike: str, after: float) -> int:
        """A snapshot during which this is done, so many seconds after its start; its exit code."""
        script = f"{shlex.join(self.take('--output', f'{TAKEN}/x.db'))} & sleep {after:.2f}; {strike}; wait $!"
        return self.host.exec(["bash", "-c", script], check=False, timeout=100).returncode

    def well(self) -> None:
        self.host.exec([HEALTH, "--wait", "60"])


@pytest.fixture(scope="module")
def large(make_cluster: Callable[..., Cluster], boot: Callable[..., list[Host]], session: Session) -> Large:
    pki = {"encryptionAlgorithm": "ECDSA-P256"}
    cluster = make_cluster("large", addresses=("10.0.0.7",), pki=pki)
    (host,) = boot(cluster)
    run_bundle(host, cluster.bundle(0))
    folder, program = host.shared_path("/etc/kubernetes/pki/etcd"), images.etcd_programs() / "usr/bin/etcdctl"
    client = f"{program} --cacert {folder}/ca.crt --cert {folder}/healthcheck-client.crt --key"
    client += f" {folder}/healthcheck-client.key --endpoints {cluster.endpoint(0)}"
    script = f"for i in $(seq 60); do head -c 750000 /dev/urandom | base64 -w 0 | {client} put large/$i; done"
    session.run(["bash", "-c", script], timeout=300)
    host.exec(["mkdir", TAKEN])
    return Large(host, session, client)


def test_60_megabytes(large: Large) -> None:
    """In time; and with all that etcdctl's own snapshot has, by etcd's own account."""
    began = time.monotonic()
    large.host.exec(large.take("--output", "/root/own.db"), timeout=100)
    took = time.monotonic() - began
    saved = f"{large.client} snapshot save {large.host.shared_path('/root')}/theirs.db"
    large.session.run(["bash", "-c", saved], timeout=100)
    own, theirs = (large.status(f"/root/{name}.db") for name in ("own", "theirs"))
    print(f"a snapshot of {own['totalSize'] / 1e6:.0f} MB: {took:.1f} s; {own}, {theirs}")
    assert own["totalSize"] > 55_000_000
    same = ("hash", "revision", "totalKey")
    assert [own[word] for word in same] == [theirs[word] for word in same]


def test_whatever_stops_a_snapshot_no_file_is_there_that_is_not_whole(large: Large) -> None:
    """After the test above."""
    began = time.monotonic()
    large.host.exec(large.take("--output", f"{TAKEN}/whole.db"))
    took, outcomes = time.monotonic() - began, Counter[str]()

    def look(what: str, code: int) -> None:
        there = [name for name in large.kept() if name.endswith(".db") and not name.startswith(".")]
        assert set(there) <= {"whole.db", "x.db"}
        for name in there:
            assert large.status(f"{TAKEN}/{name}")["totalKey"] > 0
        assert ("x.db" in there) or code != 0
        outcomes[f"{what}: {'whole' if 'x.db' in there else 'no file'}"] += 1
        large.host.exec(["rm", "-f", f"{TAKEN}/x.db"])

    for _ in range(figures.of(8, 40)):
        look("killed", large.struck("kill -9 $!; pkill -9 -P $!", random.uniform(0, took * 1.1)))
    for _ in range(figures.of(2, 10)):
        look("etcd killed", large.struck("pkill -9 -x etcd", random.uniform(0.2, took)))
        large.well()
    look("power", _without_power(large, random.uniform(0.2, took)))
    large.well()
    # all that killed runs left goes with the next one
    large.host.exec(large.take("--output", f"{TAKEN}/x.db"))
    assert sorted(large.kept()) == ["whole.db", "x.db"]
    large.host.exec(["rm", f"{TAKEN}/x.db"])
    large.host.exec(["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", TAKEN])
    look("disk filled meanwhile", large.struck(f"head -c 390M /dev/zero > {TAKEN}/fill", random.uniform(0.1, 0.5)))
    assert large.kept() == ["fill"]
    print(dict(outcomes))


def _without_power(large: Large, after: float) -> int:
    run = large.host.start(
        large.take("--output", f"{TAKEN}/x.db"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(after)
    large.host.power_off()
    run.wait()
    large.host.boot()
    return run.returncode
