"""Failures, interruptions, rollback and uninstall on a real host."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from subprocess import DEVNULL

import pytest

from tests.e2e.clusters import STICK, Cluster, carry, run_bundle
from tests.e2e.rig.host import Host
from tests.e2e.rig.tree import Tree, difference

PREFLIGHT_FAILED, ROLLED_BACK = 11, 13
HEALTH = "/usr/local/sbin/bundlegen-health"


def _tree(host: Host, *, times: bool = True) -> Tree:
    """What an install is accountable for; its receipts are there to stay."""
    return host.snapshot(without=[STICK, "/var/lib/bundlegen", "/var/lib/etcd"], times=times)


def _contents(tree: Tree) -> Tree:
    """Files and links alone: folders' times tell of what came and went, and etcd's data, moved aside, stays there."""
    kept = {path: entry for path, entry in tree.items() if entry.kind != "folder"}
    return {path: entry for path, entry in kept.items() if not path.startswith("/var/lib/etcd.bundlegen-")}


def _break_etcd_image(host: Host) -> None:
    """The image is there by name, and there is no etcd in it."""
    names = host.exec(["ctr", "-n", "k8s.io", "images", "list", "-q"]).stdout.split()
    etcd, pause = (next(name for name in names if f"/{kind}:" in name) for kind in ("etcd", "pause"))
    host.exec(["ctr", "-n", "k8s.io", "images", "tag", "--force", pause, etcd])


def _earlier_files(host: Host) -> None:
    """Files of an earlier, by-hand attempt, that an install replaces and a rollback must bring back."""
    host.write(
        "/etc/systemd/system/kubelet.service.d/20-etcd-service-manager.conf", "# an earlier one\n[Service]\n", 0o640
    )
    host.write("/etc/kubernetes/kubeadmcfg.yaml", "earlier: true\n", 0o644)
    host.exec(["systemctl", "daemon-reload"])


def test_an_unhealthy_etcd_is_rolled_back(single: Cluster, host: Host) -> None:
    _break_etcd_image(host)
    _earlier_files(host)
    before = _tree(host)
    done = run_bundle(host, single.bundle(0), "install", "--wait", "15", expect=ROLLED_BACK)
    assert "rolled back: this host is as it was before" in done.stderr
    assert difference(_contents(before), _contents(_tree(host))) == []
    assert host.exec(["pgrep", "--exact", "etcd"], check=False).returncode == 1
    receipts = sorted(host.path(f"/var/lib/bundlegen/{single.name}/receipts").iterdir())
    assert json.loads(receipts[-1].read_text())["exitCode"] == ROLLED_BACK


def test_after_a_rolled_back_install_the_next_one_succeeds(single: Cluster, host: Host) -> None:
    host.write(
        "/usr/bin/kubelet.broken",
        '#!/bin/sh\n[ "$1" = --version ] && exec /usr/bin/kubelet.real --version\nexit 1\n',
        0o755,
    )
    host.exec(["sh", "-c", "mv /usr/bin/kubelet /usr/bin/kubelet.real && mv /usr/bin/kubelet.broken /usr/bin/kubelet"])
    run_bundle(host, single.bundle(0), "install", "--wait", "10", expect=ROLLED_BACK)
    host.exec(["mv", "/usr/bin/kubelet.real", "/usr/bin/kubelet"])
    run_bundle(host, single.bundle(0))
    host.exec([HEALTH, "--cluster", "--wait", "60"])


def test_uninstall_leaves_the_data_aside_and_nothing_else(single: Cluster, host: Host) -> None:
    _earlier_files(host)
    before = _tree(host)
    run_bundle(host, single.bundle(0))
    run_bundle(host, single.bundle(0), "uninstall")
    assert difference(_contents(before), _contents(_tree(host))) == []
    assert host.exec(["pgrep", "--exact", "etcd"], check=False).returncode == 1
    aside = [path for path in host.path("/var/lib").iterdir() if path.name.startswith("etcd.bundlegen-")]
    assert len(aside) == 1
    assert (aside[0] / "member" / "wal").is_dir()


def test_rollback_undoes_an_install(single: Cluster, host: Host) -> None:
    before = _tree(host)
    run_bundle(host, single.bundle(0))
    run_bundle(host, single.bundle(0), "rollback")
    assert difference(_contents(before), _contents(_tree(host))) == []
    again = run_bundle(host, single.bundle(0), "rollback")
    assert "Nothing to roll back" in again.stdout


def test_a_member_of_another_cluster_is_left_alone(
    single: Cluster, make_cluster: Callable[..., Cluster], host: Host
) -> None:
    other = make_cluster("other", addresses=["10.0.0.6"], pki={"encryptionAlgorithm": "ECDSA-P256"})
    run_bundle(host, other.bundle(0))
    carry(host, single.bundle(0))
    before, etcd = _tree(host), host.exec(["pgrep", "--exact", "etcd"]).stdout
    done = run_bundle(host, single.bundle(0), expect=PREFLIGHT_FAILED)
    assert "another etcd member" in done.stdout + done.stderr
    assert difference(before, _tree(host)) == []
    assert host.exec(["pgrep", "--exact", "etcd"]).stdout == etcd
    host.exec([HEALTH, "--cluster"])


@pytest.mark.parametrize("seconds", [1.0, 4.0])
def test_power_loss_and_the_next_run_finishes(seconds: float, single: Cluster, host: Host) -> None:
    """Or undoes it: etcd that dies while it makes its first log never elects a leader from that, and is moved aside."""
    bundle = carry(host, single.bundle(0))
    running = host.start(["sh", bundle], stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    time.sleep(seconds)
    host.power_off()
    running.wait(timeout=30)
    host.boot()
    done = run_bundle(host, single.bundle(0), "install", "--wait", "90", expect=None)
    if done.returncode == ROLLED_BACK:
        assert "moved etcd's data to" in done.stdout + done.stderr
        done = run_bundle(host, single.bundle(0))
    assert done.returncode == 0, done.stdout + done.stderr
    host.exec([HEALTH, "--cluster", "--wait", "60"])
    done = run_bundle(host, single.bundle(0))
    assert "nothing changed" in done.stdout


@pytest.mark.parametrize("seconds", [2.5])
def test_power_loss_and_rollback_restores(seconds: float, single: Cluster, host: Host) -> None:
    _earlier_files(host)
    before = _tree(host)
    bundle = carry(host, single.bundle(0))
    running = host.start(["sh", bundle], stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    time.sleep(seconds)
    host.power_off()
    running.wait(timeout=30)
    host.boot()
    run_bundle(host, single.bundle(0), "rollback")
    assert difference(_contents(before), _contents(_tree(host))) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_waiting_rolls_back(number: signal.Signals, single: Cluster, host: Host) -> None:
    _break_etcd_image(host)
    before = _tree(host)
    bundle = carry(host, single.bundle(0))
    running = host.start(["setsid", "sh", bundle], stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    manifest = host.path("/etc/kubernetes/manifests/etcd.yaml")
    deadline = time.monotonic() + 60
    while not manifest.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    # As a terminal does on Ctrl-C: to the whole process group.
    group = host.exec(["sh", "-c", "ps -o pgid= -p $(pgrep -of install.sh)"]).stdout.strip()
    host.exec(["kill", f"-{number.value}", "--", f"-{group}"])
    assert running.wait(timeout=120) != 0
    assert difference(_contents(before), _contents(_tree(host))) == []
