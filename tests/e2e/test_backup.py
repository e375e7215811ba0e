"""Snapshots by a timer on a real host: systemd runs it, etcd's own tool accepts what it takes, and the newest stay."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from tests.e2e.clusters import Cluster, run_bundle
from tests.e2e.rig import images
from tests.e2e.rig.host import Host
from tests.e2e.rig.session import Session
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


def test_60_megabytes(make_cluster: Callable[..., Cluster], boot: Callable[..., list[Host]], session: Session) -> None:
    """In time; and with all that etcdctl's own snapshot has, by etcd's own account."""
    pki = {"encryptionAlgorithm": "ECDSA-P256"}
    cluster = make_cluster("large", addresses=("10.0.0.7",), pki=pki)
    (host,) = boot(cluster)
    run_bundle(host, cluster.bundle(0))
    folder, program = host.shared_path("/etc/kubernetes/pki/etcd"), images.etcd_programs() / "usr/bin/etcdctl"
    client = f"{program} --cacert {folder}/ca.crt --cert {folder}/healthcheck-client.crt --key"
    client += f" {folder}/healthcheck-client.key --endpoints {cluster.endpoint(0)}"
    script = f"for i in $(seq 60); do head -c 750000 /dev/urandom | base64 -w 0 | {client} put large/$i; done"
    session.run(["bash", "-c", script], timeout=300)
    began = time.monotonic()
    installer = "/var/lib/bundlegen/large/bundle/install.sh"
    host.exec(["bash", installer, "snapshot", "--output", "/root/own.db"], timeout=100)
    took = time.monotonic() - began
    session.run(["bash", "-c", f"{client} snapshot save {host.shared_path('/root')}/theirs.db"], timeout=100)
    tool = images.etcd_programs() / "usr/bin/etcdutl"
    found = [
        json.loads(session.run([tool, "snapshot", "status", "-w", "json", host.shared_path(f"/root/{name}.db")]).stdout)
        for name in ("own", "theirs")
    ]
    print(f"a snapshot of {found[0]['totalSize'] / 1e6:.0f} MB: {took:.1f} s; {found}")
    assert found[0]["totalSize"] > 55_000_000
    assert [(each["hash"], each["revision"], each["totalKey"]) for each in found[:1]] == [
        (each["hash"], each["revision"], each["totalKey"]) for each in found[1:]
    ]
