"""Whether the members agree, and whether one has fallen behind what it was."""

from __future__ import annotations

import json
import re

import pytest

from tests.shell.payload import HEALTH, STATE, Payload
from tests.shell.sandbox import Sandbox

MEMBERS = {"infra0": "10.0.0.6", "infra1": "10.0.0.7", "infra2": "10.0.0.8"}
STATUS = '{{"header":{{"cluster_id":"{}","revision":"{}"}},"leader":"{}","raftIndex":"{}"{}}}'


@pytest.fixture
def three(host: Sandbox) -> Sandbox:
    """A host with a healthy cluster of three."""
    for name in ("infra1", "infra2"):
        host.neighbour(name, MEMBERS[name])
    done = host.install(Payload(members=MEMBERS))
    assert done.returncode == 0, done.stderr
    return host


def report(host: Sandbox, *options: str) -> tuple[int, str, dict[str, tuple[str, str]]]:
    done = host.execute(HEALTH, "--cluster", "--json", *options)
    document = json.loads(done.stdout)
    return done.returncode, document["level"], {c["name"]: (c["verdict"], c["text"]) for c in document["checks"]}


def test_all_agree(three: Sandbox) -> None:
    code, level, verdicts = report(three)
    assert (code, level) == (0, "cluster")
    names = ("data", "past", "cluster-id", "one-leader", "voters", "hash")
    assert {name: verdicts[name][0] for name in names} == dict.fromkeys(names, "ok")
    assert verdicts["hash"][1] == "all members hold the same data (revision 42)"


def test_a_member_that_differs_is_named(three: Sandbox) -> None:
    three.stub("infra2/hash", '{"header":{},"hash":222,"compact_revision":"5"}')
    code, level, verdicts = report(three)
    assert (code, level) == (14, "diverged")
    assert verdicts["hash"][0] == "failed"
    assert "THE MEMBERS HOLD DIFFERENT DATA at revision 42" in verdicts["hash"][1]
    assert "222 on infra2" in verdicts["hash"][1]
    done = three.execute(HEALTH, "--cluster")
    assert done.returncode == 14
    assert "DIVERGED" in done.stdout
    assert "replace the member" in done.stdout
    assert report(three, "--no-hash")[:2] == (0, "cluster")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("404", r"data could not be compared with: infra1 \(its etcd does not know how\)"),
        ('{"header":{},"hash":222,"compact_revision":"9"}', r"discarded old revisions to different points"),
        ("no JSON; $(touch /var/stub/hit) \x1b[31m", r"compared with: infra1 \(it answers without a hash\)"),
    ],
)
def test_what_cannot_be_compared_is_said(three: Sandbox, answer: str, said: str) -> None:
    three.stub("infra1/hash", answer)
    code, _, verdicts = report(three)
    assert re.search(said, verdicts["hash"][1])
    assert code == 0
    assert not three.path("/var/stub/hit").exists()


@pytest.mark.parametrize(
    ("status", "name", "said"),
    [
        (STATUS.format(78, 42, 1234, 70, ""), "cluster-id", "different clusters"),
        (STATUS.format(77, 42, 99, 70, ""), "one-leader", "infra1 believes 99"),
        (STATUS.format(77, 42, 1234, 70, ',"isLearner":true'), "voters", "infra1 is a learner, without a vote"),
    ],
)
def test_members_that_do_not_agree(three: Sandbox, status: str, name: str, said: str) -> None:
    three.stub("infra1/status", status)
    code, _, verdicts = report(three)
    assert code == 14
    assert verdicts[name][0] == "failed"
    assert said in verdicts[name][1]


@pytest.mark.parametrize(("revision", "index", "what"), [(41, 70, "revision 41"), (42, 9, "raft index 9")])
def test_a_member_that_has_fallen_behind_itself(three: Sandbox, revision: int, index: int, what: str) -> None:
    written = three.path(f"{STATE}/member").read_text()
    three.stub("status", STATUS.format(77, revision, 1234, index, ""))
    code, level, verdicts = report(three)
    assert (code, level) == (14, "diverged")
    assert f"this member is at {what}, and has been at" in verdicts["past"][1]
    assert three.path(f"{STATE}/member").read_text() == written


def test_a_lost_host_is_no_new_one(host: Sandbox) -> None:
    """The machine was made anew: no data, no state; the others go on."""
    for name in ("infra1", "infra2"):
        host.neighbour(name, MEMBERS[name])
    listed = [
        {"ID": str(number), "name": name, "peerURLs": [f"https://{address}:2380"], "clientURLs": ["x"]}
        for number, (name, address) in enumerate(MEMBERS.items())
    ]
    host.stub("members", json.dumps({"members": listed}))
    before = host.tree()
    done = host.install(Payload(members=MEMBERS))
    assert done.returncode == 11
    assert "infra1 knows infra0 as a member that has started" in done.stderr
    assert "replace the member" in done.stderr
    assert host.tree() == before
    del listed[0]["clientURLs"]
    host.stub("members", json.dumps({"members": listed}))
    assert "has not started yet" in host.install(Payload(members=MEMBERS), "preflight").stdout
    host.stub("members", json.dumps({"members": listed[1:]}))
    done = host.install(Payload(members=MEMBERS), "preflight")
    assert done.returncode == 11
    assert "infra0 is none of it" in done.stdout


def test_a_destination_that_is_read_only(host: Sandbox) -> None:
    host.execute("/bin/mount", "-o", "remount,bind,ro", "/usr/local/bin")
    done = host.install(Payload())
    assert done.returncode == 11
    assert "destinations: nothing can be written to: /usr/local/bin" in done.stderr
