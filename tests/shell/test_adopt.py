"""A member that was made by hand is taken over under an etcd that runs on; what differs is said, item by item."""

from __future__ import annotations

from typing import Any

import pytest

from tests.shell.changes import THREE, adopting, configure, renew
from tests.shell.payload import DROP_IN, HEALTH, KUBELET_CONFIG, PKI, POD, STATE, Payload
from tests.shell.sandbox import Sandbox, Tree
from tests.shell.steps import stops
from tests.shell.test_renew import PROOF, refused

OTHERS = ("infra1", "infra2")
SOME = 4  # of the steps that a run is killed at


@pytest.fixture
def by_hand(host: Sandbox) -> Sandbox:
    """As the guide has it: kubeadm's manifest without a token, and a drop-in without a guard."""
    for name in OTHERS:
        host.neighbour(name, THREE[name])
    make(host)
    return host


def make(host: Sandbox, **changes: Any) -> None:
    files = Payload(members=THREE, **changes).files
    for path, (mode, content) in files.items():
        if not path.startswith((f"{PKI}/", POD, KUBELET_CONFIG, DROP_IN)):
            continue
        lines = [line for line in content.splitlines(keepends=True) if b"ExecStartPre" not in line]
        place = host.path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"".join(line for line in lines if b"initial-cluster-token" not in line))
        place.chmod(int(mode, 8))
    for words in (("daemon-reload",), ("enable", "kubelet.service"), ("restart", "kubelet.service")):
        host.execute("/usr/local/sbin/systemctl", *words)
    host.until(lambda: bool(host.stubbed("etcd-pid")))
    host.until(lambda: host.path("/var/lib/etcd/member/wal").exists())


def outside(host: Sandbox) -> Tree:
    """All but what the installer keeps for itself."""
    return {path: facts for path, facts in host.tree().items() if not path.startswith("var/lib/bundlegen")}


@pytest.mark.parametrize("mode", ["rendered", "kubeadm"])
def test_under_an_etcd_that_runs_on(by_hand: Sandbox, mode: str) -> None:
    pid, pod = by_hand.stubbed("etcd-pid"), by_hand.path(POD).read_bytes()
    before = outside(by_hand)
    done = by_hand.install(adopting(mode=mode))
    assert done.returncode == 0, done.stdout + done.stderr
    assert PROOF in done.stdout
    assert "The cluster test is healthy: all 3 members answer." in done.stdout
    assert f"kubelet's set-up is not as the specification makes it, and is replaced: {DROP_IN}\n" in done.stderr
    assert (by_hand.stubbed("etcd-pid"), by_hand.path(POD).read_bytes()) == (pid, pod)
    assert by_hand.path(f"{STATE}/member").exists()
    assert b"ExecStartPre" in by_hand.path(DROP_IN).read_bytes()
    told = by_hand.execute(HEALTH)
    assert told.returncode == 0, told.stdout
    assert "Already installed; nothing changed." in by_hand.install(adopting(mode=mode)).stdout
    done = by_hand.install(adopting(mode=mode), "rollback")
    assert done.returncode == 0, done.stdout + done.stderr
    assert by_hand.stubbed("etcd-pid") == pid
    assert outside(by_hand) == before


def test_what_comes_later(by_hand: Sandbox) -> None:
    """It is a member like any other then: renewed without a restart, configured with one."""
    assert by_hand.install(adopting()).returncode == 0
    pid = by_hand.stubbed("etcd-pid")
    done = by_hand.install(renew(after="1-adopt", required="1-adopt", members=THREE))
    assert done.returncode == 0, done.stdout + done.stderr
    assert by_hand.stubbed("etcd-pid") == pid
    done = by_hand.install(configure("3-configure", after="2-renew", required="1-adopt", members=THREE, issue=2))
    assert done.returncode == 0, done.stdout + done.stderr
    assert by_hand.stubbed("etcd-pid") != pid
    assert b"--snapshot-count=3000" in by_hand.path(POD).read_bytes()


def listed(**changes: str) -> str:
    members = {name: f"https://{address}:2380" for name, address in THREE.items()} | changes
    found = [
        f'{{"ID":"{number}","name":"{name}","peerURLs":["{url}"],"clientURLs":["{url}"]}}'
        for number, (name, url) in enumerate(members.items(), start=1)
        if url
    ]
    return f'{{"header":{{"cluster_id":"77"}},"members":[{",".join(found)}]}}'


@pytest.mark.parametrize(
    ("changes", "stubs", "why"),
    [
        ({"ca": "two"}, {}, "the CA in /etc/kubernetes/pki/etcd/ca.crt is another one ("),
        (
            {"etcd_argument": "--snapshot-count=5000"},
            {},
            "etcd runs with --snapshot-count=10000, and the specification",
        ),
        ({"etcd_argument": "--quota-backend-bytes=1"}, {}, "etcd runs without --quota-backend-bytes, and the spec"),
        (
            {"etcd_argument": "--quota-backend-bytes=1"},
            {},
            "etcd runs with --snapshot-count=10000, which the specification does not ask for",
        ),
        ({}, {"members": listed(infra9="https://10.0.0.9:2380")}, "does not have: infra9 (https://10.0.0.9:2380)"),
        ({}, {"members": listed(infra2="")}, "etcd does not list infra2, which the specification has"),
        ({}, {"members": listed(infra1="", other="https://10.0.0.7:2380")}, "is called other, and infra1 in the spec"),
        (
            {},
            {"members": listed().replace('"clientURLs":["https://10.0.0.8:2380"]', '"isLearner":true')},
            "infra2 is a learner: it is being added, and has no vote yet",
        ),
        ({}, {"infra1/mode": "silent"}, "infra1 (10.0.0.7) is silent, and all members must serve"),
    ],
)
def test_each_difference_has_its_sentence(
    by_hand: Sandbox, changes: dict[str, Any], stubs: dict[str, str], why: str
) -> None:
    for name, text in stubs.items():
        by_hand.stub(name, text)
    said = refused(by_hand, adopting(**changes))
    assert "adoptable: " in said
    assert why in said


def test_another_name_and_another_place(host: Sandbox) -> None:
    for name in OTHERS:
        host.neighbour(name, THREE[name])
    make(host)
    pod = host.path(POD)
    pid = host.stubbed("etcd-pid")
    text = pod.read_text().replace("--name=infra0", "--name=etcd0").replace("/var/lib/etcd", "/var/lib/data")
    text = text.replace("infra0=https://10.0.0.6:2380", "etcd0=https://10.0.0.6:2380")
    pod.write_text(text)
    host.until(lambda: host.stubbed("etcd-pid") not in ("", pid))
    host.until(lambda: host.path("/var/lib/data/member/wal").exists())
    said = refused(host, adopting())
    assert "the member here is called etcd0, and infra0 in the specification" in said
    assert "etcd's data is in /var/lib/data, and in /var/lib/etcd by the specification" in said


def test_where_no_etcd_runs(host: Sandbox) -> None:
    done = host.install(adopting())
    assert done.returncode == 11
    assert "adoptable: no etcd serves clients at 10.0.0.6:2379" in done.stderr


def test_killed_at_each_step(by_hand: Sandbox) -> None:
    before, pid = outside(by_hand), by_hand.stubbed("etcd-pid")
    folder = by_hand.unpack(adopting())
    by_hand.arm(0, "none")
    assert by_hand.run_armed(folder, "install").returncode == 0
    points = stops(by_hand.disarm(), 0)
    assert by_hand.run(folder, "rollback").returncode == 0
    for number, point in enumerate(points[:: max(1, len(points) // SOME)]):
        by_hand.arm(point, "kill")
        assert by_hand.run_armed(folder, "install").returncode == -9
        by_hand.disarm()
        if number % 2:
            done = by_hand.run(folder, "install")
            assert done.returncode == 0, done.stdout + done.stderr
        done = by_hand.run(folder, "rollback")
        assert done.returncode == 0, done.stdout + done.stderr
        assert outside(by_hand) == before
        assert by_hand.stubbed("etcd-pid") == pid
