"""Another CA: new certificates first, what is trusted last, and nobody cut off in between."""

from __future__ import annotations

import pytest
from cryptography import x509

from tests.shell.changes import THREE, renew, rotate
from tests.shell.payload import PKI, STATE, Payload, authority, pem
from tests.shell.sandbox import Sandbox, Tree
from tests.shell.steps import stops
from tests.shell.test_renew import PROOF, refused

READY = "--control-planes-ready"
BARE = (READY, "--no-snapshot")
SOME = 4  # of the steps that a run is killed at, in each of the tests
OTHERS = ("infra1", "infra2")


@pytest.fixture
def three(host: Sandbox) -> Sandbox:
    for name in OTHERS:
        host.neighbour(name, THREE[name])
    done = host.install(Payload(members=THREE))
    assert done.returncode == 0, done.stderr
    return host


def ran(host: Sandbox, name: str, turn: str) -> None:
    """Another host has run this round."""
    files, folder = rotate(turn, host=name).files, f"/var/stub/{name}"
    for file in ("ca.crt", "server.crt", "server.key"):
        host.path(f"{folder}/{file}").write_bytes(files[f"{PKI}/etcd/{file}"][1])


def outside(host: Sandbox) -> Tree:
    """All but what the installer keeps for itself."""
    return {path: facts for path, facts in host.tree().items() if not path.startswith(STATE.lstrip("/"))}


def trusted(host: Sandbox) -> str:
    found = x509.load_pem_x509_certificate(host.path(f"{PKI}/etcd/ca.crt").read_bytes())
    return next(name for name in ("one", "two") if authority(name).certificate == found)


def test_two_rounds_and_back(three: Sandbox) -> None:
    pid, before = three.stubbed("etcd-pid"), three.tree()
    first, second = three.unpack(rotate("1"), "first"), three.unpack(rotate("2"), "second")
    done = three.run(first, "install")
    assert (done.returncode, PROOF in done.stdout) == (0, True), done.stdout + done.stderr
    assert (three.stubbed("etcd-pid"), trusted(three)) == (pid, "one")
    assert three.path(f"{PKI}/etcd/peer.crt").read_bytes().count(b"BEGIN CERTIFICATE") == 2
    assert "Already installed; nothing changed." in three.run(first, "install").stdout
    for name in OTHERS:
        ran(three, name, "1")
    between = three.tree()
    done = three.run(second, "install", *BARE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "restarted etcd, which reads its CA only when it starts" in done.stdout
    assert (three.stubbed("etcd-pid") != pid, trusted(three)) == (True, "two")
    assert "The cluster test is healthy: all 3 members answer." in done.stdout
    assert "Already installed; nothing changed." in three.run(second, "install", *BARE).stdout
    pid = three.stubbed("etcd-pid")
    done = three.run(second, "rollback")
    assert done.returncode == 0, done.stdout + done.stderr
    assert three.tree() == between
    assert three.stubbed("etcd-pid") != pid
    done = three.run(first, "rollback")
    assert done.returncode == 0, done.stdout + done.stderr
    assert three.tree() == before


@pytest.mark.parametrize(
    ("have_run", "why"),
    [
        ((), "infra1 (10.0.0.7) shows one of another CA on port 2379; infra2 (10.0.0.8) shows one"),
        (("infra2",), "and not all do: infra1 (10.0.0.7) shows one of another CA on port 2379\n"),
    ],
)
def test_round_2_waits_for_round_1(three: Sandbox, have_run: tuple[str, ...], why: str) -> None:
    assert three.install(rotate("1")).returncode == 0
    for name in have_run:
        ran(three, name, "1")
    said = refused(three, rotate("2"), READY)
    assert "chains: all members must show certificates of the new CA before one of them trusts that alone" in said
    assert why in said
    assert "Run the bundle of 2-rotate-ca on these hosts first; where it has run, ask bundlegen-health there." in said
    assert three.install(rotate("2"), READY, "--ignore", "chains").returncode == 2


def test_round_2_before_round_1_on_this_host(three: Sandbox) -> None:
    for name in OTHERS:
        ran(three, name, "1")
    said = refused(three, rotate("2"), READY)
    assert "history: 2-rotate-ca must run on this host before 3-rotate-ca, and only create is installed here" in said
    assert "infra0 (10.0.0.6) shows one of another CA on port 2379" in said


def test_control_planes_are_asked_for(three: Sandbox) -> None:
    assert three.install(rotate("1")).returncode == 0
    for name in OTHERS:
        ran(three, name, "1")
    said = refused(three, rotate("2"))
    assert "control-planes: this member refuses clients of the old CA from its restart on" in said
    assert "Give them what is in control-plane/ of 2-rotate-ca" in said
    done = three.install(rotate("2"), "health", READY)
    assert (done.returncode, "--control-planes-ready belongs to install" in done.stderr) == (2, True)


def test_a_silent_member_is_not_taken_for_one_that_is_ready(three: Sandbox) -> None:
    assert three.install(rotate("1")).returncode == 0
    for name in OTHERS:
        ran(three, name, "1")
    three.stub("infra2/server.crt", "nothing")
    assert "infra2 (10.0.0.8) shows none on port 2379" in refused(three, rotate("2"), READY)


def test_no_way_back_to_what_others_refuse(three: Sandbox) -> None:
    """Where one other host has run round 2, the certificates of before would not be accepted there."""
    first = three.unpack(rotate("1"), "first")
    assert three.run(first, "install").returncode == 0
    ran(three, "infra1", "1")
    ran(three, "infra2", "2")
    before, pid = three.tree(times=True, receipts=True), three.stubbed("etcd-pid")
    done = three.run(first, "rollback")
    assert done.returncode == 11, done.stdout + done.stderr
    assert "these members do not accept them any more: infra2; nothing was changed" in done.stderr
    assert (three.tree(times=True, receipts=True), three.stubbed("etcd-pid")) == (before, pid)


def test_all_at_once(three: Sandbox) -> None:
    """The first host is cut off, and that is so; another one of the new CA brings it back."""
    said = refused(three, rotate("now"))
    assert "downtime: THE CLUSTER DOES NOT SERVE WHILE THIS CHANGE IS CARRIED OUT" in said
    done = three.install(rotate("now"), "--accept-downtime", "--no-snapshot")
    assert done.returncode == 0, done.stdout + done.stderr
    assert trusted(three) == "two"


@pytest.mark.parametrize("turn", ["1", "2"])
def test_killed_at_each_step(three: Sandbox, turn: str) -> None:
    """The next run goes on, or the way back is as before."""
    if turn == "2":
        assert three.install(rotate("1")).returncode == 0
        for name in OTHERS:
            ran(three, name, "1")
    folder, words = three.unpack(rotate(turn), "killed"), ("install", *(BARE if turn == "2" else ()))
    before = three.tree()
    three.arm(0, "none")
    assert three.run_armed(folder, *words).returncode == 0
    points = stops(three.disarm(), 0)
    after = outside(three)
    assert three.run(folder, "rollback").returncode == 0
    for number, point in enumerate(points[:: max(1, len(points) // SOME)]):
        three.arm(point, "kill")
        assert three.run_armed(folder, *words).returncode == -9
        three.disarm()
        if number % 2:
            done = three.run(folder, *words)
            assert done.returncode == 0, done.stdout + done.stderr
            assert outside(three) == after
        done = three.run(folder, "rollback")
        assert done.returncode == 0, done.stdout + done.stderr
        assert three.tree() == before


def test_what_an_interrupted_run_has_stopped_is_no_reason_to_refuse(three: Sandbox) -> None:
    """kubelet takes its time to start etcd again, and that etcd shows no certificate meanwhile."""
    assert three.install(rotate("1")).returncode == 0
    for name in OTHERS:
        ran(three, name, "1")
    folder = three.unpack(rotate("2"), "killed")
    three.arm(0, "none")
    assert three.run_armed(folder, "install", *BARE).returncode == 0
    last = stops(three.disarm(), 0)[-1]
    assert three.run(folder, "rollback").returncode == 0
    three.arm(last, "kill")
    assert three.run_armed(folder, "install", *BARE).returncode == -9
    three.disarm()
    three.stub("etcd-mode", "silent")
    said = three.run(folder, "preflight", READY).stdout
    assert "ok       chains" in said
    three.stub("etcd-mode", "healthy")
    done = three.run(folder, "install", *BARE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_renewal_drops_the_cross_certificate(three: Sandbox) -> None:
    for turn in ("1", "2"):
        for name in OTHERS:
            ran(three, name, "1")
        assert three.install(rotate(turn), *(BARE if turn == "2" else ())).returncode == 0
    for name in OTHERS:
        ran(three, name, "2")
    done = three.install(renew("4-renew", after="3-rotate-ca", required="3-rotate-ca", members=THREE, ca="two"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert three.path(f"{PKI}/etcd/peer.crt").read_bytes().count(b"BEGIN CERTIFICATE") == 1
    assert three.path(f"{STATE}/bundle").exists()
    assert pem(authority("two").certificate) == three.path(f"{PKI}/etcd/ca.crt").read_bytes()
