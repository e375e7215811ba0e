"""Snapshots by a timer on a real host: systemd runs it, etcd's own tool accepts what it takes, and the newest stay."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.e2e.clusters import Cluster, run_bundle
from tests.e2e.rig.host import Host
from tests.e2e.running import HEALTH

DIR = "/srv/snapshots"
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
