"""A member comes to a cluster that runs: never twice, never where another member hangs, and never left over."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.shell.changes import THREE, add
from tests.shell.payload import STATE
from tests.shell.sandbox import Sandbox
from tests.shell.steps import stops

OTHERS = {name: address for name, address in THREE.items() if name != "infra0"}


def listed(*extra: dict[str, Any], without: str = "") -> str:
    """The list as the others have it."""
    found: list[dict[str, Any]] = [
        {"ID": str(number), "name": name, "peerURLs": [f"https://{address}:2380"], "clientURLs": ["x"]}
        for number, (name, address) in enumerate(OTHERS.items(), 1)
        if name != without
    ]
    header = {"cluster_id": "77", "member_id": "1"}
    return json.dumps({"header": header, "members": [*found, *extra]}, separators=(", ", ":"))


@pytest.fixture
def newcomer(host: Sandbox) -> Sandbox:
    """A new host, and two members that run."""
    for name, address in OTHERS.items():
        host.neighbour(name, address)
    host.stub("members", listed())
    return host


def members(host: Sandbox) -> dict[str, bool]:
    """By name, or address where there is none: is it a learner?"""
    found = json.loads(host.stubbed("members"))["members"]
    return {each.get("name", each["peerURLs"][0]): each.get("isLearner", False) for each in found}


def requests(host: Sandbox) -> list[str]:
    return [line.split()[0] for line in host.stubbed("requests").splitlines()]


def run(host: Sandbox, *words: str) -> tuple[int, str]:
    done = host.install(add(), *words)
    return done.returncode, done.stdout + done.stderr


SOME = 8  # of the steps that a run is killed at
WHOLE = {"infra1": False, "infra2": False, "infra0": False}


def test_it_comes_as_a_learner_and_gets_its_vote(newcomer: Sandbox) -> None:
    code, said = run(newcomer)
    assert code == 0, said
    assert "infra0 is in the member list, as a learner" in said
    assert "infra0 has a vote" in said
    assert members(newcomer) == WHOLE
    assert requests(newcomer) == ["add", "promote"]
    code, said = run(newcomer)
    assert (code, "Already installed; nothing changed." in said) == (0, True)
    code, said = run(newcomer, "rollback")
    assert code == 0, said
    assert "infra0 is no member any more" in said
    assert members(newcomer) == {"infra1": False, "infra2": False}
    assert requests(newcomer) == ["add", "promote", "remove"]


STRANGER = {"ID": "9", "name": "other", "peerURLs": ["https://10.0.0.99:2380"], "clientURLs": ["x"]}
OWN = {"ID": "8", "name": "infra0", "peerURLs": ["https://10.0.0.6:2380"], "clientURLs": ["x"]}


@pytest.mark.parametrize(
    ("stubs", "why"),
    [
        ({"infra1/mode": "silent"}, "not all do: infra1 (10.0.0.7) is silent"),
        ({"infra2/mode": "waiting"}, "not all do: infra2 (10.0.0.8) is unhealthy"),
        ({"members": listed(STRANGER)}, "a member that this bundle does not know: other (https://10.0.0.99:2380)"),
        (
            {"members": listed({"ID": "9", "peerURLs": ["https://10.0.0.99:2380"], "isLearner": True})},
            "does not know: one that has never started (https://10.0.0.99:2380)",
        ),
        ({"members": listed(without="infra2")}, "etcd does not list these members, which this bundle expects: infra2"),
        ({"members": listed(OWN)}, "etcd knows infra0 as a member that has started, and here is no data"),
        ({"members": listed().replace('"77"', '"$(touch /var/stub/hit)"')}, "the members are not of one cluster"),
        ({"members": "{}"}, "infra1 does not tell its member list"),
        (
            {"members": listed().replace('"ID":"2"', '"ID":"a[$(touch /var/stub/hit)]"')},
            "does not tell its member list",
        ),
        ({"infra1/alarm": "404"}, "infra1 does not say whether etcd has raised an alarm"),
        ({"infra1/mode": "alarm"}, "not all do: infra1 (10.0.0.7) is unhealthy"),
    ],
)
def test_it_does_not_come_where_that_could_do_harm(newcomer: Sandbox, stubs: dict[str, str], why: str) -> None:
    for name, text in stubs.items():
        newcomer.stub(name, text)
    before = newcomer.tree(times=True, receipts=True)
    code, said = run(newcomer)
    assert (code, why in said) == (11, True), said
    assert newcomer.tree(times=True, receipts=True) == before
    assert newcomer.stubbed("requests") == ""
    assert newcomer.stubbed("hit") == ""
    code, said = run(newcomer, "--ignore", "joining")
    assert (code, "protects this host from harm" in said) == (2, True)


def test_a_learner_that_is_another_one_is_waited_for(newcomer: Sandbox) -> None:
    newcomer.stub("members", listed().replace('"name":"infra2"', '"isLearner":true, "name":"infra2"'))
    code, said = run(newcomer)
    assert (code, "infra2 is being added, and has no vote yet" in said) == (11, True), said


@pytest.mark.parametrize(
    ("verb", "answers"),
    [
        ("add", "14 etcdserver: unhealthy cluster\n14 etcdserver: unhealthy cluster\n"),
        ("add", "drop\n"),
        ("add", "14 etcdserver: request timed out, possibly due to connection lost\n"),
        ("promote", "9 etcdserver: can only promote a learner member which is in sync with leader\n"),
        ("promote", "drop\n"),
        ("promote", "4 context deadline exceeded\n"),
    ],
)
def test_what_is_over_soon_is_waited_for(newcomer: Sandbox, verb: str, answers: str) -> None:
    """And after an answer that never came, the list is read before anything is repeated."""
    newcomer.stub(f"refuse-{verb}", answers)
    code, said = run(newcomer)
    assert code == 0, said
    assert members(newcomer) == WHOLE
    assert requests(newcomer) == ["add", "promote"]


def test_what_is_not_over_soon_is_said_and_undone(newcomer: Sandbox) -> None:
    newcomer.stub("refuse-add", "9 etcdserver: too many learner members in cluster\n")
    before = newcomer.tree()
    code, said = run(newcomer)
    assert code == 13, said
    assert "etcd does not add infra0: etcdserver: too many learner members in cluster" in said
    left = {path for path, facts in newcomer.tree().items() if before.get(path) != facts}
    assert left <= {"var/lib/bundlegen", STATE.lstrip("/")}  # its receipt
    assert members(newcomer) == {"infra1": False, "infra2": False}


def test_an_etcd_that_does_not_start_leaves_no_learner(newcomer: Sandbox) -> None:
    newcomer.stub("etcd-mode", "broken")
    code, said = run(newcomer, "--wait", "3")
    assert code == 13, said
    assert "infra0 is no member any more" in said
    assert members(newcomer) == {"infra1": False, "infra2": False}


def test_it_does_not_leave_where_that_would_cost_the_quorum(newcomer: Sandbox) -> None:
    code, said = run(newcomer)
    assert code == 0, said
    for name in ("infra1/mode", "infra2/mode"):
        newcomer.stub(name, "waiting")
    code, said = run(newcomer, "rollback")
    assert code == 13, said
    assert "no other member can be asked whether infra0 is in the member list" in said
    newcomer.stub("infra1/mode", "healthy")
    four = json.loads(newcomer.stubbed("members"))
    four["members"].append(STRANGER)
    newcomer.stub("members", json.dumps(four, separators=(", ", ":")))
    code, said = run(newcomer, "rollback")
    assert code == 13, said
    assert "without infra0 the cluster would lose its quorum, for only 1 others serve" in said
    newcomer.stub("infra2/mode", "healthy")
    code, said = run(newcomer, "rollback")
    assert code == 0, said
    assert "infra0" not in members(newcomer)


def test_a_way_back_that_is_killed_at_each_step(newcomer: Sandbox) -> None:
    """The same again ends it, also when the keys are gone with which it asked the others; they are not asked twice."""
    folder = newcomer.unpack(add(), "killed")
    before = set(newcomer.tree())
    assert newcomer.run(folder, "install").returncode == 0
    newcomer.arm(0, "none")
    assert newcomer.run_armed(folder, "rollback").returncode == 0
    points = stops(newcomer.disarm(), 0)
    for number, point in enumerate(points[:: max(1, len(points) // SOME)]):
        done = newcomer.run(folder, "install")
        assert done.returncode == 0, done.stdout + done.stderr
        assert members(newcomer) == WHOLE
        newcomer.arm(point, "kill")
        assert newcomer.run_armed(folder, "rollback").returncode == -9
        newcomer.disarm()
        # the bundle's install finishes the undoing first, and then adds the member again
        done = newcomer.run(folder, "install" if number % 2 else "rollback")
        assert done.returncode == 0, (point, done.stdout + done.stderr)
        if number % 2:
            assert members(newcomer) == WHOLE
            assert newcomer.run(folder, "rollback").returncode == 0
        assert members(newcomer) == {"infra1": False, "infra2": False}
        left = {path for path in newcomer.tree() if path not in before and ".bundlegen-2" not in path}
        assert left <= {"var/lib/bundlegen", STATE.lstrip("/")}
