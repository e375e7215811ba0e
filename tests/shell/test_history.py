"""The order of changes is kept on the host: what is installed there decides what may run."""

from __future__ import annotations

import json

import pytest

from tests.shell.changes import as_version_0_1_left_it, configure
from tests.shell.payload import KUBELET_CONFIG, POD, STATE, Payload
from tests.shell.sandbox import Sandbox


@pytest.fixture(params=["this version", "0.1"])
def member(request: pytest.FixtureRequest, host: Sandbox) -> Sandbox:
    """A host on which `create` has run, also as version 0.1 did it."""
    assert host.install(Payload(mode="kubeadm")).returncode == 0
    if request.param == "0.1":
        as_version_0_1_left_it(host)
        assert "CHANGE_NUMBER" not in host.path(f"{STATE}/bundle/bundle.conf").read_text()
    return host


def test_a_member_is_configured(member: Sandbox) -> None:
    folder = member.unpack(configure(mode="kubeadm"))
    done = member.run(folder, "install")
    assert done.returncode == 0, done.stderr
    assert "makes up for" not in done.stdout
    assert b"--snapshot-count=2000" in member.path(POD).read_bytes()
    assert "CHANGE='2-configure'" in member.path(f"{STATE}/bundle/bundle.conf").read_text()
    again = member.run(folder, "install")
    assert (again.returncode, "Already installed; nothing changed." in again.stdout) == (0, True)


def test_back_to_what_version_0_1_had(member: Sandbox) -> None:
    before, settings = member.tree(), member.settings()
    folder = member.unpack(configure(mode="kubeadm"))
    assert member.run(folder, "install").returncode == 0
    done = member.run(folder, "rollback")
    assert done.returncode == 0, done.stderr
    assert member.tree() == before
    assert member.settings() == settings


def test_uninstall_undoes_the_first_day_as_well(member: Sandbox) -> None:
    assert member.install(configure(mode="kubeadm")).returncode == 0
    done = member.install(configure(mode="kubeadm"), "uninstall")
    assert done.returncode == 0, done.stderr
    assert not member.path(POD).exists()
    assert [path.name for path in member.path(STATE).iterdir()] == ["receipts"]


def test_an_older_bundle_touches_nothing(host: Sandbox) -> None:
    assert host.install(Payload()).returncode == 0
    assert host.install(configure("3-configure")).returncode == 0
    before = host.tree(times=True, receipts=True)
    for payload in (configure("2-configure"), Payload()):
        done = host.install(payload)
        assert done.returncode == 11
        assert (
            f"history: this bundle is of {payload.conf['CHANGE']}, and the newer 3-configure is installed"
            in done.stderr
        )
        assert host.tree(times=True, receipts=True) == before
    done = host.install(configure("2-configure"), "--ignore", "history")
    assert done.returncode == 0, done.stderr
    receipt = json.loads(host.receipts()[-1].read_text())
    assert receipt["ignored"] == ["history"]


def test_a_skipped_change_is_made_up_for_and_that_is_said(host: Sandbox) -> None:
    assert host.install(Payload()).returncode == 0
    done = host.install(configure("4-configure", after="3-configure"))
    assert done.returncode == 0, done.stderr
    assert "3-configure did not run here; this run makes up for it." in done.stdout
    checks = {check["name"]: check for check in json.loads(host.receipts()[-1].read_text())["checks"]}
    assert checks["history"]["verdict"] == "ok"
    assert "makes up for 3-configure" in checks["history"]["text"]


def test_what_cannot_be_made_up_for_is_asked_for(host: Sandbox) -> None:
    assert host.install(Payload()).returncode == 0
    before = host.tree(times=True, receipts=True)
    done = host.install(configure("4-configure", after="3-renew", required="2-rotate-ca"))
    assert done.returncode == 11
    assert "2-rotate-ca must run on this host before 4-configure, and only create is installed here" in done.stderr
    assert "Run infra0's bundle of 2-rotate-ca first." in done.stderr
    assert host.tree(times=True, receipts=True) == before


def test_nothing_is_configured_where_nothing_was_created(host: Sandbox) -> None:
    before = host.tree(times=True)
    done = host.install(configure())
    assert done.returncode == 11
    assert "create must run on this host before 2-configure, and no change is installed here" in done.stderr
    assert "member-data: there is no log of etcd in /var/lib/etcd/member/wal" in done.stderr
    assert host.tree(times=True) == before


def test_a_member_without_its_disk_is_not_configured(host: Sandbox) -> None:
    assert host.install(Payload()).returncode == 0
    host.execute("/bin/mount", "-t", "tmpfs", "tmpfs", "/var/lib/etcd")
    done = host.install(configure(), "--ignore", "member-data")
    assert done.returncode == 2
    done = host.install(configure())
    assert done.returncode == 11
    assert "Mount the disk with its data; kubelet then starts by itself." in done.stderr


def test_another_change_of_the_same_number(host: Sandbox) -> None:
    assert host.install(Payload()).returncode == 0
    assert host.install(configure("2-configure")).returncode == 0
    done = host.install(configure("2-renew"))
    assert done.returncode == 11
    assert "2-configure, which has the same number, is installed here" in done.stderr


def test_a_change_of_the_kubelet_alone(host: Sandbox) -> None:
    assert host.install(Payload()).returncode == 0
    pid = host.stubbed("etcd-pid")
    payload = configure(etcd_argument="--snapshot-count=10000")
    payload.files[KUBELET_CONFIG] = ("0644", b"kind: KubeletConfiguration\nmaxPods: 10\n")
    done = host.install(payload)
    assert done.returncode == 0, done.stderr
    assert host.stubbed("etcd-pid") == pid
    checks = {check["name"]: check for check in json.loads(host.receipts()[-1].read_text())["checks"]}
    assert checks["quorum"]["text"] == "this run restarts no etcd"


def test_another_metrics_port(host: Sandbox) -> None:
    """Before the change etcd is asked where it listens then, and after it, or after the way back, where it does now."""
    assert host.install(Payload()).returncode == 0
    moved = {"METRICS_PORT": "12381", "METRICS_URL": "http://127.0.0.1:12381"}
    folder = host.unpack(configure(etcd_argument="--listen-metrics-urls=http://127.0.0.1:12381", conf=moved))
    done = host.run(folder, "install")
    assert done.returncode == 0, done.stderr
    done = host.run(folder, "rollback")
    assert done.returncode == 0, done.stderr
    assert "etcd runs again as before. The cluster test is healthy" in done.stdout
