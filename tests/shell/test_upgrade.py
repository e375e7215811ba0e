"""No etcd is upgraded from where the new one would not start, and none goes back that would not start any more."""

from __future__ import annotations

from typing import Any

import pytest

from tests.shell.changes import THREE, upgrade
from tests.shell.payload import STATE, Payload
from tests.shell.sandbox import Sandbox
from tests.shell.test_snapshot import WHOLE, answer

IMAGE = "registry.k8s.io/etcd:{}"


def version(server: str, cluster: str) -> str:
    return f'{{"etcdserver":"{server}","etcdcluster":"{cluster}"}}'


@pytest.fixture
def cluster(host: Sandbox) -> Sandbox:
    host.stub("snapshot", answer())
    for name, address in list(THREE.items())[1:]:
        host.neighbour(name, address)
    done = host.install(Payload(members=THREE))
    assert done.returncode == 0, done.stderr
    return host


def run(host: Sandbox, tag: str, *words: str) -> tuple[int, str]:
    done = host.install(upgrade(image=IMAGE.format(tag), members=THREE), *words)
    return done.returncode, done.stdout + done.stderr


def set_all(host: Sandbox, text: str) -> None:
    for name in ("version", "infra1/version", "infra2/version"):
        host.stub(name, text)


def test_it_is_done_and_said(cluster: Sandbox) -> None:
    pid = cluster.stubbed("etcd-pid")
    code, said = run(cluster, "3.5.15-0")
    assert code == 0, said
    assert cluster.stubbed("etcd-pid") != pid
    assert "etcd 3.5.15 serves now, and 3.5.15 did before; the cluster is at 3.5.0" in said
    assert "which its name does not say" not in said
    (snapshot,) = cluster.path(f"{STATE}/snapshots").iterdir()
    assert snapshot.read_bytes() == WHOLE
    (journal,) = cluster.path(f"{STATE}/generations").glob("0002/journal")
    assert "version 3.5.15\n" in journal.read_text()
    code, said = run(cluster, "3.5.15-0")
    assert (code, "Already installed; nothing changed." in said) == (0, True)


def test_an_image_that_holds_another_etcd_is_named(cluster: Sandbox) -> None:
    code, said = run(cluster, "3.5.26-0")
    assert code == 0, said
    assert "registry.k8s.io/etcd:3.5.26-0 holds etcd 3.5.15, which its name does not say" in said


@pytest.mark.parametrize(
    ("tag", "answers", "why"),
    [
        ("3.6.4-0", {}, "versions: etcd 3.6 may follow only 3.5.26 or later:"),
        ("3.7.0-0", {}, "versions: the cluster is at etcd 3.5.0, and 3.7.0-0 skips a minor version"),
        (
            "3.7.0-0",
            {
                "": version("3.6.11", "3.6.0"),
                "infra1/": version("3.6.11", "3.6.0"),
                "infra2/": version("3.6.8", "3.6.0"),
            },
            "versions: etcd 3.7 may follow only 3.6.11 or later: infra2 runs 3.6.8",
        ),
        ("3.4.23-0", {}, "versions: the cluster is at etcd 3.5.0, and 3.4.23-0 is older"),
        ("3.5.26-0", {"infra1/": "404"}, "versions: these members do not say which etcd they run: infra1"),
        ("3.5.26-0", {"infra2/": version("a[$(id)]", "3.5.0")}, "do not say which etcd they run: infra2"),
        ("3.5.26-0", {"infra1/": version("3.5.15", "3.5.008")}, "do not say which etcd they run: infra1"),
    ],
)
def test_from_where_it_may_not_begin(cluster: Sandbox, tag: str, answers: dict[str, str], why: str) -> None:
    for member, text in answers.items():
        cluster.stub(f"{member}version", text)
    before, pid = cluster.tree(times=True, receipts=True), cluster.stubbed("etcd-pid")
    code, said = run(cluster, tag)
    assert (code, why in said) == (11, True), said
    assert cluster.tree(times=True, receipts=True) == before
    assert cluster.stubbed("etcd-pid") == pid


STATUS = (
    '{"header":{"cluster_id":"77","member_id":"%s","revision":"42"},"version":"3.5.15","dbSize":"20480",'
    '"leader":"1234","raftIndex":"70"%s}'
)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"alarm": "404"}, "alarms: this member does not say whether etcd has raised an alarm"),
        ({"etcd-mode": "alarm"}, "alarms: etcd has raised the alarm NOSPACE"),
        (
            {"status": STATUS % ("1", ',"downgradeInfo":{"enabled":true,"targetVersion":"3.4.0"}')},
            "alarms: a downgrade of the cluster is under way",
        ),
        ({"infra1/mode": "waiting"}, "quorum: without this member the cluster would lose its quorum"),
        (
            {"etcd-mode": "waiting", "infra1/mode": "waiting", "infra2/mode": "waiting"},
            "versions: the cluster does not serve, and only one that serves is upgraded",
        ),
    ],
)
def test_a_cluster_that_is_not_well_is_not_upgraded(cluster: Sandbox, settings: dict[str, Any], why: str) -> None:
    for name, text in settings.items():
        cluster.stub(name, text)
    code, said = run(cluster, "3.5.26-0")
    assert (code, why in said) == (11, True), said


def test_the_leader_is_told_that_it_is_last(cluster: Sandbox) -> None:
    cluster.stub("status", STATUS % ("1234", ""))
    for other in ("infra1", "infra2"):
        code, said = run(cluster, "3.5.26-0", "preflight")
        assert code == 0, said
        assert "this member leads, and these have not been upgraded yet:" in said
        assert other in said.partition("have not been upgraded yet:")[2].partition("\n")[0]
        cluster.stub(f"{other}/version", version("3.5.26", "3.5.0"))
    code, said = run(cluster, "3.5.26-0", "preflight")
    assert "this member leads, and is the last one" in said


def test_no_way_back_once_the_cluster_has_gone_up(cluster: Sandbox) -> None:
    code, said = run(cluster, "3.5.26-0")
    assert code == 0, said
    set_all(cluster, version("3.6.4", "3.6.0"))
    before, pid = cluster.tree(times=True, receipts=True), cluster.stubbed("etcd-pid")
    code, said = run(cluster, "3.5.26-0", "rollback")
    assert code == 11, said
    assert "the cluster has gone up to etcd 3.6.0, and etcd 3.5.15, which would come back here, does not start" in said
    assert cluster.tree(times=True, receipts=True) == before
    assert cluster.stubbed("etcd-pid") == pid
    set_all(cluster, version("3.6.4", "3.5.0"))
    code, said = run(cluster, "3.5.26-0", "rollback")
    assert code == 0, said


def test_a_failure_after_the_cluster_has_gone_up_undoes_nothing(cluster: Sandbox) -> None:
    """What was there before could not start again. The same bundle goes on from there."""
    gone_up = version("3.6.4", "3.6.0")
    cluster.stub("while-it-sleeps-5", f"echo '{gone_up}' > /var/stub/version; kill -TERM $PPID\n")
    code, said = run(cluster, "3.5.26-0")
    assert code == 13, said
    assert "the install failed and is left as it is: the cluster has gone up to etcd 3.6.0" in said
    assert cluster.path(f"{STATE}/transaction/journal").exists()
    pid = cluster.stubbed("etcd-pid")
    code, said = run(cluster, "3.5.26-0")
    assert code == 0, said
    assert cluster.stubbed("etcd-pid") == pid
    assert not cluster.path(f"{STATE}/transaction").exists()


def test_without_a_snapshot_it_is_not_begun(cluster: Sandbox) -> None:
    cluster.stub("snapshot", answer()[:-100])
    before, pid = cluster.tree(), cluster.stubbed("etcd-pid")
    code, said = run(cluster, "3.5.15-0")
    assert code == 13, said
    assert "this member's snapshot did not come, or not whole" in said or "the snapshot is not whole" in said
    left = {path for path, facts in cluster.tree().items() if before.get(path) != facts}
    assert left <= {STATE.lstrip("/"), f"{STATE}/snapshots".lstrip("/")}
    assert cluster.stubbed("etcd-pid") == pid
    code, said = run(cluster, "3.5.15-0", "--no-snapshot")
    assert code == 0, said


def test_an_interrupted_run_is_gone_on_with(cluster: Sandbox) -> None:
    """Whatever the cluster says meanwhile: it was asked before anything was put in place."""
    folder = cluster.unpack(upgrade(image=IMAGE.format("3.5.15-0"), members=THREE))
    script = (
        f"mkdir -p /root; bash {folder}/install.sh install > /root/said 2>&1 & "
        "until grep -q 'names this member alone now' /root/said || ! kill -0 $!; do :; done; kill -9 $!"
    )
    cluster.execute("/bin/bash", "-c", script)
    set_all(cluster, "404")
    cluster.stub("alarm", "404")
    code, said = run(cluster, "3.5.15-0")
    assert code == 0, said
    assert "going on from there" in said
