"""The cluster anew from a snapshot: nobody of before runs, what was there is kept, and nothing is half-done."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.shell.changes import THREE, restoring
from tests.shell.payload import POD, STATE, Payload
from tests.shell.sandbox import Sandbox, Tree
from tests.shell.steps import stops
from tests.shell.test_snapshot import DATABASE, WHOLE

DATA = "/var/lib/etcd/member"
OTHERS = ("infra1", "infra2")
SOME = 5  # of the steps that a run is killed at


@pytest.fixture
def three(host: Sandbox) -> Sandbox:
    for name in OTHERS:
        host.neighbour(name, THREE[name])
    done = host.install(Payload(members=THREE))
    assert done.returncode == 0, done.stderr
    return host


def end(host: Sandbox, *names: str) -> None:
    """Other hosts' members are stopped."""
    for name in names:
        host.execute("/bin/sh", "-c", f"kill $(cat /var/stub/{name}/pid)")


def carry(host: Sandbox, content: bytes = WHOLE) -> str:
    host.path("/media/stick").mkdir(exist_ok=True)
    host.path("/media/stick/snap.db").write_bytes(content)
    return "/media/stick/snap.db"


def run(host: Sandbox, *words: str, expect: int = 0, **changes: Any) -> str:
    done = host.install(restoring(WHOLE, **changes), *words)
    said = done.stdout + done.stderr
    assert done.returncode == expect, said
    return said


def stopped(three: Sandbox) -> Sandbox:
    said = run(three, "stop")
    assert "etcd is stopped here, and its data is where it was." in said
    return three


def calls(host: Sandbox) -> list[str]:
    return host.stubbed("restorer-calls").splitlines()


def outside(host: Sandbox) -> Tree:
    """All but what the installer keeps for itself, and what is moved aside, whose name has the time in it."""
    own = (STATE.lstrip("/"), "media", "var/log", "run")
    return {
        path: facts for path, facts in host.tree().items() if not path.startswith(own) and ".bundlegen-2" not in path
    }


def test_it_is_done_in_two_halves(three: Sandbox) -> None:
    stick = carry(three)
    stopped(three)
    assert not three.path(POD).exists()
    assert three.path(f"{DATA}/wal").is_dir()
    end(three, *OTHERS)
    said = run(three, "--snapshot", stick)
    assert "going on from there" not in said
    assert "infra0 begins with the snapshot" in said
    assert "1 of 3 members are restored so far; etcd serves when 2 do." in said or "healthy" in said
    assert three.path(f"{DATA}/snap/db").read_bytes() == DATABASE
    (kept,) = three.path("/var/lib/etcd").glob("member.bundlegen-*")
    assert (kept / "wal").is_dir()
    assert json.loads(three.receipts()[-1].read_text())["movedAside"] == [f"/var/lib/etcd/{kept.name}"]
    assert not three.path("/var/lib/etcd/.bundlegen-restore").exists()
    (restoring_call,) = [each for each in calls(three) if "restore" in each]
    assert "--initial-cluster-token token-1-2-abcdef01" in restoring_call
    assert restoring_call.endswith(" --bump-revision 1000000000 --mark-compacted")
    before = len(calls(three))
    assert "Already installed; nothing changed." in run(three, "--snapshot", stick)
    assert len(calls(three)) == before


@pytest.mark.parametrize("folder", [f"{STATE}/snapshots", "/srv/backup"])
def test_one_that_is_kept_here_is_found(three: Sandbox, folder: str) -> None:
    """Beside the bundle there is none, and among those that are kept here there are others."""
    conf = {"BACKUP_SCHEDULE": "daily", "BACKUP_KEEP": "7", "BACKUP_DIR": folder}
    run(three, "stop", conf=conf)
    end(three, *OTHERS)
    assert "is not here" in run(three, expect=11, conf=conf)
    place = three.path(folder)
    place.mkdir(parents=True, exist_ok=True)
    (place / "prod-infra0-20260101T000000Z.db").write_bytes(b"another")
    (place / "prod-infra0-20260102T000000Z.db").write_bytes(WHOLE)
    assert "infra0 begins with the snapshot" in run(three, conf=conf)
    assert three.path(f"{DATA}/snap/db").read_bytes() == DATABASE


def test_the_way_back_is_the_data_of_before(three: Sandbox) -> None:
    before, record = outside(three), three.path(f"{STATE}/member").read_text()
    wal = next(three.path(f"{DATA}/wal").iterdir()).read_bytes()
    stick = carry(three)
    stopped(three)
    assert three.install(restoring(WHOLE), "rollback").returncode == 0
    assert outside(three) == before
    stopped(three)
    end(three, *OTHERS)
    run(three, "--snapshot", stick)
    done = three.install(restoring(WHOLE), "rollback")
    assert done.returncode == 0, done.stdout + done.stderr
    assert outside(three) == before
    assert next(three.path(f"{DATA}/wal").iterdir()).read_bytes() == wal
    assert three.path(f"{STATE}/member").read_text() == record


def refused(host: Sandbox, *words: str, **changes: Any) -> str:
    before, pid = host.tree(times=True, receipts=True), host.stubbed("etcd-pid")
    said = run(host, *words, expect=11, **changes)
    assert host.tree(times=True, receipts=True) == before
    assert host.stubbed("etcd-pid") == pid
    return said


def test_as_long_as_a_member_of_before_runs(three: Sandbox) -> None:
    stick = carry(three)
    said = refused(three, "--snapshot", stick)
    assert "stopped: these members of before still run: infra0 (10.0.0.6) infra1 (10.0.0.7) infra2 (10.0.0.8)" in said
    stopped(three)
    end(three, "infra1")
    assert "these members of before still run: infra2 (10.0.0.8)\n" in refused(three, "--snapshot", stick)
    # one that says nothing may be one of before; one that is restored is not
    three.stub("infra2/server.crt", "nothing")
    assert "still run: infra2 (10.0.0.8)\n" in refused(three, "--snapshot", stick)
    said = refused(three, "--snapshot", stick, before={"infra0": "10.0.0.6"})
    assert "still run: infra2" in said
    done = three.install(restoring(WHOLE), "--snapshot", stick, "--ignore", "stopped")
    assert done.returncode == 2


def test_who_is_restored_is_no_member_of_before(three: Sandbox) -> None:
    stick = carry(three)
    stopped(three)
    end(three, "infra1")
    # what the first restored one says of itself is what the others compute
    end(three, "infra2")
    run(three, "--snapshot", stick)
    cluster = three.path(f"{DATA}/cluster").read_text()
    assert three.install(restoring(WHOLE), "rollback").returncode == 0
    stopped(three)
    three.path("/var/stub/infra2").rename(three.path("/var/stub/old"))
    three.execute("/bin/ip", "address", "delete", "10.0.0.8/24", "dev", "lo")
    three.neighbour("infra2", "10.0.0.8")
    assert "still run: infra2" in refused(three, "--snapshot", stick)
    three.stub("infra2/cluster", cluster)
    said = run(three, "--snapshot", stick)
    assert "infra0 begins with the snapshot" in said


@pytest.mark.parametrize(
    ("content", "words", "why"),
    [
        (None, (), "snapshot: the snapshot with the SHA-256 "),
        (WHOLE[:-1], (), "is not here; these are others: /media/stick/snap.db"),
        (DATABASE, (), "is not here; these are others: /media/stick/snap.db"),
    ],
)
def test_another_snapshot(three: Sandbox, content: bytes | None, words: tuple[str, ...], why: str) -> None:
    end(three, *OTHERS)
    stopped(three)
    if content is not None:
        words = ("--snapshot", carry(three, content))
    assert why in refused(three, *words)


def test_it_is_found_among_the_snapshots_of_this_host(three: Sandbox) -> None:
    end(three, *OTHERS)
    stopped(three)
    three.path(f"{STATE}/snapshots").mkdir()
    three.path(f"{STATE}/snapshots/x.db").write_bytes(WHOLE)
    assert "begins with the snapshot" in run(three)


@pytest.mark.parametrize(
    ("stubs", "why"),
    [
        ({"etcdutl-version": "none"}, "the etcd image has no program that restores a snapshot, or it does not run:"),
        ({"etcdutl-version": "none", "etcdctl-version": "3.6.4"}, "the etcd image has no program that restores"),
        ({"restore-fails": "expected sha256 [1], got [2]"}, "etcd's own tool does not restore this snapshot: expected"),
    ],
)
def test_what_fails_leaves_the_data_alone(three: Sandbox, stubs: dict[str, str], why: str) -> None:
    """No member of before is started again; the run goes on when the reason is gone, or back."""
    before = outside(three)
    stick = carry(three)
    stopped(three)
    end(three, *OTHERS)
    for name, text in stubs.items():
        three.stub(name, text)
    wal = next(three.path(f"{DATA}/wal").iterdir()).read_bytes()
    said = run(three, "--snapshot", stick, expect=13)
    assert why in said
    assert "no member of before is started again by itself" in said
    assert next(three.path(f"{DATA}/wal").iterdir()).read_bytes() == wal
    assert not three.path(POD).exists()
    for name in stubs:
        three.path(f"/var/stub/{name}").unlink()
    run(three, "--snapshot", stick)
    assert three.install(restoring(WHOLE), "rollback").returncode == 0
    assert outside(three) == before


def test_an_older_etcd_says_what_it_cannot(three: Sandbox) -> None:
    three.stub("etcdutl-version", "none")
    three.stub("etcdctl-version", "3.5.6")
    stick = carry(three)
    stopped(three)
    end(three, *OTHERS)
    said = run(three, "--snapshot", stick)
    assert "etcd 3.5.6 cannot raise revisions (3.5.10 can): restart everything that watches" in said
    assert [each for each in calls(three) if "bump" in each] == []
    assert any(each.startswith("etcdctl snapshot restore") for each in calls(three))


def test_on_a_fresh_host(host: Sandbox) -> None:
    stick = carry(host)
    said = run(host, "--snapshot", stick, before={"old0": "10.0.0.60"}, conf={"AFTER_CHANGE": ""})
    assert "begins with the snapshot" in said
    assert host.path(f"{DATA}/snap/db").read_bytes() == DATABASE
    assert host.install(restoring(WHOLE, before={"old0": "10.0.0.60"}), "rollback").returncode in (0, 11)


def test_on_a_new_machine_of_the_same_name(host: Sandbox) -> None:
    """Nothing has run here, and nothing has to have."""
    said = run(host, "--snapshot", carry(host))
    assert "begins with the snapshot" in said
    assert "create did not run here; this run makes up for it." in said


def test_where_all_data_is_lost(three: Sandbox) -> None:
    three.execute("/bin/sh", "-c", f"rm -rf {DATA}; kill -9 $(cat /var/stub/etcd-pid)")
    stick = carry(three)
    stopped(three)
    end(three, *OTHERS)
    run(three, "--snapshot", stick)
    assert three.path(f"{DATA}/snap/db").read_bytes() == DATABASE


def test_stop_belongs_to_restore(three: Sandbox) -> None:
    done = three.install(Payload(members=THREE), "stop")
    assert (done.returncode, "stop belongs to the bundles of restore" in done.stderr) == (2, True)
    done = three.install(restoring(WHOLE), "health", "--snapshot", carry(three))
    assert (done.returncode, "--snapshot belongs to install" in done.stderr) == (2, True)


def test_killed_at_each_step(three: Sandbox) -> None:
    """The next run goes on, whatever was done; the way back brings the old data, all of it."""
    stick, before = carry(three), outside(three)
    wal = next(three.path(f"{DATA}/wal").iterdir()).read_bytes()
    stopped(three)
    end(three, *OTHERS)
    folder = three.unpack(restoring(WHOLE), "killed")
    three.arm(0, "none")
    assert three.run_armed(folder, "install", "--snapshot", stick).returncode == 0
    points = stops(three.disarm(), 0)
    after = outside(three)
    assert three.run(folder, "rollback").returncode == 0
    for number, point in enumerate(points[:: max(1, len(points) // SOME)]):
        assert three.run(folder, "stop").returncode == 0
        three.arm(point, "kill")
        assert three.run_armed(folder, "install", "--snapshot", stick).returncode == -9
        three.disarm()
        if number % 2:
            done = three.run(folder, "install", "--snapshot", stick)
            assert done.returncode == 0, done.stdout + done.stderr
            assert outside(three) == after
        done = three.run(folder, "rollback")
        assert done.returncode == 0, done.stdout + done.stderr
        assert outside(three) == before
        assert next(three.path(f"{DATA}/wal").iterdir()).read_bytes() == wal
