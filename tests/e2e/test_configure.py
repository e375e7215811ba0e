"""A cluster that runs is configured, host by host, while a client writes without a pause."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.e2e.clusters import STICK, etcdctl, run_bundle
from tests.e2e.printed import PATIENCE, printed, run_as_printed
from tests.e2e.rig.tree import difference
from tests.e2e.running import HEALTH, Running

PREFLIGHT_FAILED, FAILED = 11, 13
NOWHERE = "/nonexistent/etcd.log"  # a file for etcd's log that etcd cannot make, which nothing but etcd can tell


@pytest.fixture(scope="module")
def running(run_three: Callable[[str], Running]) -> Running:
    return run_three("configured")


def test_every_command_does_what_the_record_says(running: Running) -> None:
    """Run as printed, in the order of the record; both ways back, one after the other."""
    change = running.change(**{"snapshot-count": "15000"})
    before = {name: running.snapshot(name, times=False) for name in running.hosts}
    for name, host in running.hosts.items():
        host.put(change.bundle(name), f"{STICK}/")
        host.put(change.out / "SHA256SUMS", f"{STICK}/")
    commands = printed(change, 3 * 6 + 1)
    copies = [each for each in commands if each.text.startswith("bash ")]
    installs = [each for each in commands if re.fullmatch(r"sh infra\d\.run", each.text)]
    assert len(copies) == len(installs) == 3
    for command in commands:
        if command not in copies:
            run_as_printed(command, change.out, running.hosts)
    # The copy on the host is the other way back, so there must be something to take back again.
    for command in installs:
        run_as_printed(command, change.out, running.hosts)
        assert "--snapshot-count=15000" in running.flags(command.host)
    for command in copies:
        run_as_printed(command, change.out, running.hosts)
    for name, tree in before.items():
        assert difference(tree, running.snapshot(name, times=False)) == []


def test_the_way_back_as_printed(running: Running) -> None:
    """On the hosts that ran the change everything is as before; on the one that did not nothing is touched."""
    change = running.change(**{"snapshot-count": "20000"})
    before = {name: running.snapshot(name, times=name == "infra2") for name in running.hosts}
    with running.writing() as writer:
        for name in ("infra1", "infra0"):
            running.run(change, name)
            assert "--snapshot-count=20000" in running.flags(name)
        running.hosts["infra2"].put(change.bundle("infra2"), f"{STICK}/")
        etcd = running.hosts["infra2"].exec(["pgrep", "--exact", "etcd"]).stdout
        back = [each for each in printed(change) if each.text.endswith("-- rollback")]
        assert sorted(each.host for each in back) == sorted(running.hosts)
        for command in back:
            if command.host == "infra2":
                # there the record says: nothing to undo
                command = replace(
                    command, says="…\nNothing to roll back: there is nothing on this host that this bundle did."
                )
            run_as_printed(command, change.out, running.hosts)
    assert writer.report.harm() == "", writer.report
    for name, tree in before.items():
        assert difference(tree, running.snapshot(name, times=name == "infra2")) == []
        assert "--snapshot-count=20000" not in running.flags(name)
    assert running.hosts["infra2"].exec(["pgrep", "--exact", "etcd"]).stdout == etcd


def test_a_wrong_flag_is_found_on_the_first_host(running: Running) -> None:
    """It is undone there; while that member is away, the next host's bundle refuses, and nobody notices a thing."""
    change = running.change(**{"log-outputs": NOWHERE})
    first, second = running.hosts["infra0"], running.hosts["infra1"]
    second.put(change.bundle("infra1"), f"{STICK}/")
    before, done = running.snapshot("infra1", times=True), []
    with running.writing() as writer:
        thread = threading.Thread(target=lambda: done.append(running.run(change, "infra0", expect=None)))
        thread.start()
        _until(lambda: first.exec(["pgrep", "--exact", "etcd"], check=False).returncode != 0)
        refused = second.exec(["sh", f"{STICK}/infra1.run"], check=False, timeout=PATIENCE)
        thread.join()
    assert refused.returncode == PREFLIGHT_FAILED, refused.stdout + refused.stderr
    assert (
        "quorum: without this member the cluster would lose its quorum: infra0 (10.0.0.6) is silent" in refused.stderr
    )
    assert difference(before, running.snapshot("infra1", times=True)) == []
    (failed,) = done
    assert failed.returncode == FAILED, failed.stdout + failed.stderr
    assert f'it ends again and again: failed to verify flags: open sink "{NOWHERE}"' in failed.stderr
    assert "etcd runs again as before." in failed.stdout
    assert "rolled back: this host is as it was before" in failed.stderr
    # at once, not after a while
    first.exec([HEALTH, "--cluster"])
    assert writer.report.harm() == "", writer.report


def test_any_order_of_hosts(running: Running) -> None:
    """The leader first, which is the worst one; what the hosts skipped is made up for."""
    change = running.change(**{"snapshot-count": "30000"})
    leader = running.leader()
    order = [leader, *sorted(set(running.hosts) - {leader}, reverse=True)]
    with running.writing() as writer:
        for name in order:
            done = running.run(change, name)
            assert re.search(r"\d-configure did not run here; this run makes up for it\.", done.stdout)
    assert writer.report.harm() == "", writer.report
    for name, host in running.hosts.items():
        assert "--snapshot-count=30000" in running.flags(name)
        host.exec([HEALTH, "--cluster"])
        again = running.run(change, name)
        assert "Already installed; nothing changed." in again.stdout


def test_an_older_bundle_is_refused(running: Running) -> None:
    host = running.hosts["infra1"]
    running.hosts["infra1"].put(running.cluster.bundle("infra1"), f"{STICK}/")
    before = running.snapshot("infra1", times=True)
    done = run_bundle(host, running.cluster.bundle("infra1"), expect=PREFLIGHT_FAILED)
    assert re.search(r"history: this bundle is of create, and the newer \d-configure is installed here", done.stderr)
    assert difference(before, running.snapshot("infra1", times=True)) == []


def test_the_writer_would_have_noticed(running: Running) -> None:
    """Without two members nobody takes a write; a key that is deleted is one that is lost."""
    hosts = [running.hosts["infra0"], running.hosts["infra1"]]
    with running.writing() as writer:
        time.sleep(1)
        for host in hosts:
            host.exec(["pkill", "-STOP", "--exact", "etcd"])
        time.sleep(12)
        for host in hosts:
            host.exec(["pkill", "-CONT", "--exact", "etcd"])
        time.sleep(5)
        words = (f"--endpoints={running.cluster.endpoint(2)}", "del", "--prefix", "writer/")
        etcdctl(running.session, running.cluster, *words, keys_of=running.hosts["infra2"])
    assert "acknowledged writes lost" in writer.report.harm()
    assert "ticks in which no endpoint took a write" in writer.report.harm()


def _until(true: Callable[[], bool], patience: float = 120) -> None:
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.1)
