"""A lost member is taken out only where the others can do without it, and never while it answers."""

from __future__ import annotations

import json

import pytest

from tests.shell.changes import THREE, replaced
from tests.shell.payload import POD, STATE, Payload
from tests.shell.sandbox import Sandbox
from tests.shell.test_add import OTHERS, OWN, listed, members, requests

DATA = "/var/lib/etcd/member"


@pytest.fixture
def lived(host: Sandbox) -> Sandbox:
    """Three members; infra0 has lived, and its data is lost."""
    for name, address in OTHERS.items():
        host.neighbour(name, address)
    done = host.install(Payload(members=THREE))
    assert done.returncode == 0, done.stderr
    host.stub("members", listed(OWN))
    return host


def lose(host: Sandbox) -> None:
    host.execute("/bin/sh", "-c", f"rm -r {DATA}/wal; kill -9 $(cat /var/stub/etcd-pid)")
    host.until(lambda: not host.path(f"{DATA}/wal").exists())


def run(host: Sandbox, *words: str) -> tuple[int, str]:
    done = host.install(replaced(), *words)
    return done.returncode, done.stdout + done.stderr


def test_it_comes_anew(lived: Sandbox) -> None:
    lose(lived)
    lived.write(f"{DATA}/snap/what-is-left", "x")
    code, said = run(lived)
    assert code == 0, said
    assert "the lost member of infra0 is out of the member list" in said
    assert members(lived) == {"infra1": False, "infra2": False, "infra0": False}
    assert requests(lived) == ["remove", "add", "promote"]
    (aside,) = lived.path("/var/lib/etcd").glob("member.bundlegen-*")
    assert (aside / "snap/what-is-left").exists()
    code, said = run(lived)
    assert (code, "Already installed; nothing changed." in said) == (0, True)
    code, said = run(lived, "rollback")
    assert code == 0, said
    assert "infra0 is no member any more" in said
    assert members(lived) == {"infra1": False, "infra2": False}
    # what was left is back; no etcd runs that nobody would talk to
    assert lived.path(f"{DATA}/snap/what-is-left").exists()


def test_on_a_new_machine(host: Sandbox) -> None:
    """Nothing of bundlegen's has run there, and nothing has to have."""
    for name, address in OTHERS.items():
        host.neighbour(name, address)
    host.stub("members", listed(OWN))
    code, said = run(host)
    assert code == 0, said
    assert members(host) == {"infra1": False, "infra2": False, "infra0": False}
    assert requests(host) == ["remove", "add", "promote"]


@pytest.mark.parametrize(
    ("stubs", "why"),
    [
        ({}, "replaceable: infra0 (10.0.0.6) answers, so it is not lost"),
        ({"etcd-mode": "waiting"}, "replaceable: infra0 (10.0.0.6) answers, so it is not lost"),
        ({"etcd-mode": "silent", "infra1/mode": "silent"}, "not all do: infra1 (10.0.0.7) is silent"),
        ({"etcd-mode": "silent", "members": listed(OWN, without="infra2")}, "which this bundle expects: infra2"),
        (
            {"etcd-mode": "silent", "members": listed(OWN, {"ID": "9", "peerURLs": ["https://10.0.0.99:2380"]})},
            "a member that this bundle does not know",
        ),
    ],
)
def test_it_is_not_taken_out_where_that_could_do_harm(lived: Sandbox, stubs: dict[str, str], why: str) -> None:
    for name, text in stubs.items():
        lived.stub(name, text)
    before, pid = lived.tree(times=True, receipts=True), lived.stubbed("etcd-pid")
    code, said = run(lived)
    assert (code, why in said) == (11, True), said
    assert lived.tree(times=True, receipts=True) == before
    assert lived.stubbed("etcd-pid") == pid
    assert requests(lived) == []
    code, said = run(lived, "--ignore", "replaceable")
    assert code == 2


def test_of_two_members_none_is_taken_out(host: Sandbox) -> None:
    two = {"infra0": "10.0.0.6", "infra1": "10.0.0.7"}
    host.neighbour("infra1", "10.0.0.7")
    assert host.install(Payload(members=two)).returncode == 0
    host.stub("members", listed(OWN, without="infra2"))
    host.stub("etcd-mode", "silent")
    done = host.install(replaced(members=two))
    assert done.returncode == 11
    assert "of 2 members one is lost: there is no quorum" in done.stderr


def test_a_failure_after_the_removal_says_what_is_so(lived: Sandbox) -> None:
    """The lost member stays out; nothing waits for an etcd that cannot serve; the same bundle goes on later."""
    lose(lived)
    lived.stub("refuse-add", "9 etcdserver: too many learner members in cluster\n")
    code, said = run(lived)
    assert code == 13, said
    assert "etcd does not add infra0: etcdserver: too many learner members in cluster" in said
    assert "Waiting for the earlier etcd" not in said
    assert members(lived) == {"infra1": False, "infra2": False}
    code, said = run(lived)
    assert code == 0, said
    assert members(lived) == {"infra1": False, "infra2": False, "infra0": False}


def test_what_came_anew_is_known_where_an_earlier_run_took_the_lost_one_out(lived: Sandbox) -> None:
    """That run failed and was undone, and what it knew went with it; the next one is killed when its member serves."""
    lose(lived)
    lived.stub("refuse-add", "9 etcdserver: too many learner members in cluster\n")
    assert run(lived)[0] == 13
    folder = lived.unpack(replaced())
    killed = killed_at(lived, folder, "Waiting until this member holds all data")
    assert "is out of the member list" not in killed
    code, said = run(lived)
    assert code == 0, said
    assert members(lived) == {"infra1": False, "infra2": False, "infra0": False}
    assert requests(lived) == ["remove", "add", "promote"]


def killed_at(host: Sandbox, folder: str, words: str) -> str:
    """What the run of the bundle in this folder says until it is killed, as soon as it says these words."""
    script = (
        f"bash {folder}/install.sh install > /root/said 2>&1 & "
        f"until grep -q '{words}' /root/said || ! kill -0 $!; do :; done; kill -9 $!; wait; cat /root/said"
    )
    killed = host.execute("/bin/bash", "-c", f"mkdir -p /root; {script}")
    assert words in killed.stdout, killed.stdout + killed.stderr
    return killed.stdout


def test_the_old_identity_is_never_started_again(lived: Sandbox) -> None:
    """Killed at each step: whatever is in the list then, the next run leaves it right, and this member once."""
    lose(lived)
    folder = lived.unpack(replaced())
    for words in (
        "moved what is left",
        "is out of the member list",
        "as a learner",
        "placed /etc/kubernetes/manifests",
    ):
        killed_at(lived, folder, words)
        assert lived.path(POD).exists() is words.startswith("placed")
    code, said = run(lived)
    assert code == 0, said
    assert members(lived) == {"infra1": False, "infra2": False, "infra0": False}
    assert requests(lived).count("remove") == 1
    assert requests(lived).count("add") == 1
    assert not lived.path(f"{STATE}/transaction").exists()
    found = json.loads(lived.stubbed("members"))["members"]
    assert [each["ID"] for each in found if each.get("name") == "infra0"] != [OWN["ID"]]
