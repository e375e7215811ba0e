"""No etcd is restarted where the cluster would lose its quorum by that; every voting member is asked itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.shell.changes import THREE, configure
from tests.shell.payload import KUBELET_CONFIG, Payload
from tests.shell.sandbox import Sandbox

LEARNER = '{"header":{}, "members":[%s, {"ID":"7", "name":"infra3", "peerURLs":["x"], "isLearner":true}]}'
VOTERS = ", ".join(f'{{"ID":"{number}", "name":"infra{number}", "peerURLs":["x"]}}' for number in range(3))
UNSTARTED = '{"header":{}, "members":[%s, {"ID":"7", "peerURLs":["x"]}]}'


@dataclass
class Cluster:
    """Three members; the one under test is infra0."""

    host: Sandbox

    def preflight(self) -> dict[str, dict[str, str]]:
        done = self.host.install(configure(members=THREE), "preflight", "--json")
        return {check["name"]: check for check in json.loads(done.stdout)["checks"]}

    def configure(self, *arguments: str, **changes: Any) -> tuple[int, str]:
        done = self.host.install(configure(members=THREE, **changes), *arguments)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def cluster(host: Sandbox) -> Cluster:
    for name, address in list(THREE.items())[1:]:
        host.neighbour(name, address)
    done = host.install(Payload(members=THREE))
    assert done.returncode == 0, done.stderr
    assert "all 3 members answer" in done.stdout
    return Cluster(host)


def _silent(host: Sandbox) -> None:
    host.stub("infra1/mode", "silent")


def _waiting(host: Sandbox) -> None:
    host.stub("infra1/mode", "waiting")


def _gone(host: Sandbox) -> None:
    host.execute("/bin/bash", "-c", "kill -9 $(< /var/stub/infra1/pid)")


def checks(host: Sandbox) -> dict[str, dict[str, str]]:
    found = json.loads(host.receipts()[-1].read_text())["checks"]
    return {check["name"]: check for check in found}


def test_with_all_members_it_goes_ahead(cluster: Cluster) -> None:
    code, said = cluster.configure()
    assert code == 0, said
    found = checks(cluster.host)
    assert found["quorum"]["text"] == "2 of 3 members serve besides this one, which is a quorum"
    assert found["other-members"]["verdict"] == "ok"


@pytest.mark.parametrize("fault", [_silent, _waiting, _gone])
def test_one_missing_and_nothing_is_touched(cluster: Cluster, fault: Callable[[Sandbox], None]) -> None:
    """A silent one has its connections open still: it hangs, and who does not ask it itself takes it for well."""
    fault(cluster.host)
    before, pid = cluster.host.tree(times=True, receipts=True), cluster.host.stubbed("etcd-pid")
    code, said = cluster.configure()
    assert code == 11
    assert "quorum: without this member the cluster would lose its quorum: infra1 (10.0.0.7) is " in said
    assert cluster.host.tree(times=True, receipts=True) == before
    assert cluster.host.stubbed("etcd-pid") == pid
    code, said = cluster.configure("--ignore", "quorum")
    assert code == 2
    assert "the check quorum protects this host from harm" in said


def test_what_restarts_no_etcd_needs_no_quorum(cluster: Cluster) -> None:
    _waiting(cluster.host)
    payload = configure(members=THREE, etcd_argument="--snapshot-count=10000")
    payload.files[KUBELET_CONFIG] = ("0644", b"kind: KubeletConfiguration\nmaxPods: 10\n")
    done = cluster.host.install(payload)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("waiting", [["etcd-mode", "infra1/mode", "infra2/mode"], ["etcd-mode", "infra1/mode"]])
def test_no_quorum_anyway_has_nothing_to_lose(cluster: Cluster, waiting: list[str]) -> None:
    for name in waiting:
        cluster.host.stub(name, "waiting")
    found = cluster.preflight()
    assert found["quorum"]["verdict"] == "ok"
    assert "the cluster has no quorum now, so that a restart here takes nothing from it" in found["quorum"]["text"]
    assert "other-members" not in found


def test_an_alarm_takes_no_vote_away(cluster: Cluster) -> None:
    """With one, every member says that it is unwell; a restart still takes the quorum if another is missing."""
    for name in ("etcd-mode", "infra1/mode"):
        cluster.host.stub(name, "alarm")
    cluster.host.stub("infra2/mode", "waiting")
    found = cluster.preflight()
    assert found["quorum"]["verdict"] == "failed"
    assert "would lose its quorum: infra1 (10.0.0.7) is unhealthy; infra2 (10.0.0.8)" in found["quorum"]["text"]


def test_members_that_cannot_be_asked_are_not_taken_for_dead(cluster: Cluster) -> None:
    """etcd serves, so there is a quorum: with an expired client certificate all others merely look silent."""
    for name in ("infra1", "infra2"):
        cluster.host.stub(f"{name}/mode", "silent")
    code, said = cluster.configure()
    assert code == 11
    assert "quorum: etcd serves here, so there is a quorum, but the members could not be asked themselves" in said


@pytest.mark.parametrize(("members", "words"), [(UNSTARTED, "etcd has 4 voting members, and this bundle knows 3")])
def test_a_cluster_that_has_become_another(cluster: Cluster, members: str, words: str) -> None:
    cluster.host.stub("members", members % VOTERS)
    code, said = cluster.configure()
    assert code == 11
    assert f"quorum: {words}" in said


def test_a_learner_is_no_voter_and_wants_to_be_left_in_peace(cluster: Cluster) -> None:
    cluster.host.stub("members", LEARNER % VOTERS)
    code, said = cluster.configure()
    assert code == 11
    assert "other-members: being added, and not a voting member yet: infra3" in said
    assert "quorum: " not in said


def test_answers_are_data(cluster: Cluster) -> None:
    for answer in (
        "",
        "{",
        '{"members":[{"ID":}]}',
        '{"members":[{"ID":"$(touch /etc/pwned)", "name":"a[$(touch /etc/pwned)]"}]}',
    ):
        cluster.host.stub("members", answer)
        assert cluster.preflight()["quorum"]["verdict"] in ("ok", "failed")
    assert not cluster.host.path("/etc/pwned").exists()


def test_five_members_and_one_down(host: Sandbox) -> None:
    five = {f"infra{number}": f"10.0.0.{6 + number}" for number in range(5)}
    for name, address in list(five.items())[1:]:
        host.neighbour(name, address)
    assert host.install(Payload(members=five)).returncode == 0
    host.stub("infra4/mode", "waiting")
    payload = configure(members=five)
    done = host.install(payload)
    assert done.returncode == 11
    assert "other-members: not healthy: infra4 (10.0.0.10) is unhealthy" in done.stderr
    assert "quorum: " not in done.stderr
    done = host.install(payload, "--ignore", "other-members")
    assert done.returncode == 0, done.stderr
    assert json.loads(host.receipts()[-1].read_text())["ignored"] == ["other-members"]


def test_two_members_are_told_what_it_costs(host: Sandbox) -> None:
    two = {"infra0": "10.0.0.6", "infra1": "10.0.0.7"}
    host.neighbour("infra1", "10.0.0.7")
    assert host.install(Payload(members=two)).returncode == 0
    done = host.install(configure(members=two))
    assert done.returncode == 0, done.stderr
    assert "warning: quorum: a cluster of 2 does not serve while etcd restarts here" in done.stderr


def test_a_member_lost_since_the_preflight(cluster: Cluster) -> None:
    """Asked again right before the restart: nothing has been restarted yet, and the files go back."""
    before, pid = cluster.host.tree(), cluster.host.stubbed("etcd-pid")
    cluster.host.stub("bin/systemctl.real", cluster.host.stubbed("bin/systemctl"))
    cluster.host.path("/var/stub/bin/systemctl.real").chmod(0o755)
    wrapper = (
        '#!/bin/bash\n[[ $1 != daemon-reload ]] || echo waiting > /var/stub/infra1/mode\nexec systemctl.real "$@"\n'
    )
    cluster.host.stub("bin/systemctl", wrapper)
    code, said = cluster.configure()
    assert code == 13, said
    assert "error: without this member the cluster would lose its quorum" in said
    assert cluster.host.stubbed("etcd-pid") == pid
    assert cluster.host.tree() == before


def test_a_rollback_keeps_the_quorum_too(cluster: Cluster) -> None:
    folder = cluster.host.unpack(configure(members=THREE))
    assert cluster.host.run(folder, "install").returncode == 0
    before = cluster.host.tree(times=True, receipts=True)
    _waiting(cluster.host)
    done = cluster.host.run(folder, "rollback")
    assert done.returncode == 11
    assert (
        "without this member the cluster would lose its quorum: infra1 (10.0.0.7) is unhealthy; nothing was changed"
        in done.stderr
    )
    assert cluster.host.tree(times=True, receipts=True) == before
    cluster.host.stub("infra1/mode", "healthy")
    done = cluster.host.run(folder, "rollback")
    assert done.returncode == 0, done.stderr
