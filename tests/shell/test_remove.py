"""A member leaves only where the others can do without it; one that is gone is taken out only if it is."""

from __future__ import annotations

import pytest

from tests.shell.changes import THREE, removing
from tests.shell.payload import POD, STATE, Payload
from tests.shell.sandbox import Sandbox
from tests.shell.test_add import OTHERS, OWN, listed, members, requests
from tests.shell.test_snapshot import WHOLE, answer

STRANGER = {"ID": "9", "name": "other", "peerURLs": ["https://10.0.0.99:2380"], "clientURLs": ["x"]}


@pytest.fixture
def three(host: Sandbox) -> Sandbox:
    host.stub("snapshot", answer())
    for name, address in OTHERS.items():
        host.neighbour(name, address)
    done = host.install(Payload(members=THREE))
    assert done.returncode == 0, done.stderr
    host.stub("members", listed(OWN))
    return host


def run(host: Sandbox, removes: str, *words: str) -> tuple[int, str]:
    done = host.install(removing(removes), *words)
    return done.returncode, done.stdout + done.stderr


def test_it_leaves_and_the_host_is_as_before(three: Sandbox) -> None:
    code, said = run(three, "infra0")
    assert code == 0, said
    assert "infra0 is no member any more" in said
    assert "Done: this host is as it was before." in said
    (snapshot,) = three.path(f"{STATE}/snapshots").iterdir()
    assert snapshot.read_bytes() == WHOLE
    assert members(three) == {"infra1": False, "infra2": False}
    assert not three.path(POD).exists()
    assert list(three.path("/var/lib").glob("etcd.bundlegen-*"))
    assert '"outcome": "removed"' in three.receipts()[-1].read_text()
    code, said = run(three, "infra0")
    assert (code, "Already removed; nothing changed" in said) == (0, True), said


@pytest.mark.parametrize(
    ("removes", "stubs", "why"),
    [
        (
            "infra0",
            {"infra1/mode": "silent"},
            "leaving: all members that stay must serve when one leaves, and not all do",
        ),
        ("infra0", {"infra2/mode": "waiting"}, "infra2 (10.0.0.8) is unhealthy"),
        ("infra0", {"members": listed(OWN, STRANGER)}, "a member that this bundle does not expect: other"),
        ("infra0", {"members": "{}"}, "infra1 does not tell its member list"),
        ("infra1 infra0", {}, "a member that this bundle does not expect: infra1 (https://10.0.0.7:2380)"),
        ("infra2", {}, "gone: these members answer, so they are not gone: infra2 (10.0.0.8)"),
        ("infra2", {"infra2/mode": "waiting"}, "these members answer, so they are not gone: infra2 (10.0.0.8)"),
        ("infra2", {"infra2/mode": "silent"}, "these members answer, so they are not gone: infra2 (10.0.0.8)"),
    ],
)
def test_nobody_is_taken_out_where_that_could_do_harm(
    three: Sandbox, removes: str, stubs: dict[str, str], why: str
) -> None:
    for name, text in stubs.items():
        three.stub(name, text)
    before, pid = three.tree(times=True, receipts=True), three.stubbed("etcd-pid")
    code, said = run(three, removes)
    assert (code, why in said) == (11, True), said
    assert three.tree(times=True, receipts=True) == before
    assert three.stubbed("etcd-pid") == pid
    assert requests(three) == []


def test_one_that_is_gone_is_taken_out_by_another(three: Sandbox) -> None:
    three.execute("/bin/bash", "-c", "kill -9 $(< /var/stub/infra2/pid)")
    pid = three.stubbed("etcd-pid")
    code, said = run(three, "infra2")
    assert code == 0, said
    assert "infra2 is no member any more" in said
    assert members(three) == {"infra1": False, "infra0": False}
    assert three.stubbed("etcd-pid") == pid
    code, said = run(three, "infra2")
    assert (code, "Already installed; nothing changed." in said) == (0, True), said


@pytest.mark.parametrize("answers", ["drop\n", "14 etcdserver: unhealthy cluster\n", "2 context deadline exceeded\n"])
def test_what_is_over_soon_is_waited_for(three: Sandbox, answers: str) -> None:
    three.stub("refuse-remove", answers)
    code, said = run(three, "infra0")
    assert code == 0, said
    assert members(three) == {"infra1": False, "infra2": False}
    assert requests(three) == ["remove"]


def test_where_etcd_refuses_nothing_is_changed_here(three: Sandbox) -> None:
    three.stub("refuse-remove", "9 etcdserver: re-configuration failed due to not enough started members\n")
    before, pid = three.tree(), three.stubbed("etcd-pid")
    code, said = run(three, "infra0", "--no-snapshot")
    assert code == 13, said
    assert "re-configuration failed due to not enough started members" in said
    assert "Nothing was changed on this host." in said
    assert three.tree() == before
    assert three.stubbed("etcd-pid") == pid


def test_without_a_snapshot_nothing_is_changed(three: Sandbox) -> None:
    """One that is cut is none; who wants none says so."""
    three.stub("snapshot", answer()[:-100])
    before, pid = three.tree(), three.stubbed("etcd-pid")
    code, said = run(three, "infra0")
    assert code == 14, said
    assert requests(three) == []
    left = {path for path, facts in three.tree().items() if before.get(path) != facts}
    assert left <= {STATE.lstrip("/"), f"{STATE}/snapshots".lstrip("/")}
    assert three.stubbed("etcd-pid") == pid
    assert "leaves test: etcd stops" in run(three, "infra0", "plan")[1]
    code, said = run(three, "infra0", "--no-snapshot")
    assert code == 0, said
    assert "no snapshot is taken: --no-snapshot" in said
