"""Rollback undoes what this very bundle did, and nothing else."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.shell.changes import configure
from tests.shell.payload import POD, STATE, Payload
from tests.shell.sandbox import Sandbox

COPY = f"{STATE}/bundle"


@pytest.fixture
def member(host: Sandbox) -> Sandbox:
    assert host.install(Payload()).returncode == 0
    return host


def test_on_a_host_that_did_not_run_it(member: Sandbox) -> None:
    """The way back of a second change, followed on a host that only ran the first: this destroyed the member."""
    before, pid = member.tree(times=True, receipts=True), member.stubbed("etcd-pid")
    done = member.install(configure(), "rollback")
    assert done.returncode == 0, done.stderr
    assert "Nothing to roll back: there is nothing on this host that this bundle did." in done.stdout
    assert "as it was before" not in done.stdout
    assert member.tree(times=True, receipts=True) == before
    assert member.stubbed("etcd-pid") == pid


def test_a_second_time(member: Sandbox) -> None:
    folder = member.unpack(configure())
    assert member.run(folder, "install").returncode == 0
    done = member.run(folder, "rollback")
    assert (done.returncode, "Done: this host is as it was before." in done.stdout) == (0, True)
    before = member.tree(times=True, receipts=True)
    done = member.run(folder, "rollback")
    assert (done.returncode, "Nothing to roll back" in done.stdout) == (0, True)
    assert member.tree(times=True, receipts=True) == before


def test_on_a_host_where_nothing_ever_ran(host: Sandbox) -> None:
    before = host.tree(times=True)
    done = host.install(configure(), "rollback")
    assert (done.returncode, "Nothing to roll back" in done.stdout) == (0, True)
    assert host.tree(times=True) == before


def test_newer_changes_stand_on_it(member: Sandbox) -> None:
    assert member.install(configure("2-configure")).returncode == 0
    assert member.install(configure("3-configure")).returncode == 0
    before = member.tree(times=True, receipts=True)
    done = member.install(configure("2-configure"), "rollback")
    assert done.returncode == 11
    assert "newer changes stand on what this bundle did: 3-configure; nothing was changed" in done.stderr
    assert "rollback --to create" in done.stderr
    assert member.tree(times=True, receipts=True) == before
    done = member.install(Payload(), "rollback")
    assert done.returncode == 11
    assert "newer changes stand on what this bundle did: 3-configure and 2-configure" in done.stderr
    assert "`uninstall` undoes everything" in done.stderr
    assert member.tree(times=True, receipts=True) == before


def test_the_copy_undoes_what_is_installed(member: Sandbox) -> None:
    first = member.tree()
    assert member.install(configure("2-configure")).returncode == 0
    second = member.tree()
    assert member.install(configure("3-configure")).returncode == 0
    for expected in (second, first):
        done = member.run(COPY, "rollback")
        assert done.returncode == 0, done.stderr
        assert member.tree() == expected
    done = member.run(COPY, "uninstall")
    assert (done.returncode, "still running" in done.stderr) == (0, False), done.stderr


def test_to_an_earlier_change(member: Sandbox) -> None:
    first = member.tree()
    for name in ("2-configure", "3-configure"):
        assert member.install(configure(name)).returncode == 0
    before = member.tree(times=True, receipts=True)
    done = member.run(COPY, "rollback", "--to", "create")
    assert done.returncode == 2
    assert "This undoes: 3-configure and 2-configure." in done.stdout
    assert "etcd is restarted, so that this member is away for up to half a minute" in done.stdout
    assert "there is no terminal; nothing was changed" in done.stderr
    assert member.tree(times=True, receipts=True) == before
    done = member.run(COPY, "rollback", "--to", "create", "--yes")
    assert done.returncode == 0, done.stderr
    assert "etcd runs again as before" in done.stdout
    assert member.tree() == first
    receipt = json.loads(member.receipts()[-1].read_text())
    assert receipt["undone"] == ["3-configure", "2-configure"]
    assert (receipt["verb"], receipt["outcome"]) == ("rollback", "rolled-back")


def test_killed_between_two_changes_it_goes_on_to_the_one_that_was_asked_for(member: Sandbox) -> None:
    first = member.tree()
    assert member.install(configure("2-configure")).returncode == 0
    folder = member.unpack(configure("3-configure"))
    assert member.run(folder, "install").returncode == 0
    member.arm(12, "kill")
    member.run_armed(folder, "rollback", "--to", "create", "--yes")
    member.disarm()
    # both say that they are being undone, and neither is forgotten yet
    journals = member.path(f"{STATE}/generations").glob("*/journal")
    assert sum("\nundo\n" in journal.read_text() for journal in journals) == 2
    done = member.run(folder, "rollback")
    assert done.returncode == 0, done.stderr
    assert "An earlier run was interrupted while undoing; finishing that." in done.stdout
    assert member.tree() == first


@pytest.mark.parametrize(("answer", "code"), [("yes", 0), ("no", 2), ("", 2)])
def test_to_an_earlier_change_with_an_answer(member: Sandbox, answer: str, code: int) -> None:
    assert member.install(configure()).returncode == 0
    words = member.command(
        ["/usr/bin/script", "-qec", f"/bin/bash -p {COPY}/install.sh rollback --to create", "/dev/null"]
    )
    done = subprocess.run(words, input=f"{answer}\n", capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == code, done.stdout
    assert "Type yes to go on: " in done.stdout
    assert (b"--snapshot-count=2000" in member.path(POD).read_bytes()) is (code != 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rollback", "--to", "9-configure"), "the change 9-configure did not run on this host; there are: create"),
        (("rollback", "--to", "../etc"), "--to needs the name of a change"),
        (("install", "--to", "create"), "--to belongs to rollback"),
        (("rollback", "--yes"), "--yes belongs to rollback --to"),
    ],
)
def test_to_what_is_none(member: Sandbox, words: tuple[str, ...], said: str) -> None:
    before = member.tree(times=True, receipts=True)
    done = member.install(Payload(), *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert member.tree(times=True, receipts=True) == before


def test_to_the_newest_change_is_nothing(member: Sandbox) -> None:
    before = member.tree(times=True, receipts=True)
    done = member.run(COPY, "rollback", "--to", "create")
    assert done.returncode == 0, done.stderr
    assert "create is the newest change on this host." in done.stdout
    assert member.tree(times=True, receipts=True) == before


def test_a_repair_is_undone_alone(member: Sandbox) -> None:
    """Each run is one step back: a member is not taken away where only a mode was put right."""
    member.path(POD).chmod(0o644)
    before = member.tree()
    assert member.install(Payload()).returncode == 0
    done = member.install(Payload(), "rollback")
    assert done.returncode == 0, done.stderr
    assert member.tree() == before


def test_the_first_day_is_undone_by_its_own_bundle(member: Sandbox) -> None:
    done = member.install(Payload(), "rollback")
    assert done.returncode == 0, done.stderr
    assert not member.path(POD).exists()


def test_an_interrupted_run_of_another_bundle(member: Sandbox) -> None:
    folder = member.unpack(configure("2-configure"), "/run/bundlegen-unpack.1.y")
    words = f"/bin/bash -p {folder}/install.sh & until grep -q 2000 {POD}; do sleep 0.05; done; kill -9 $!"
    member.execute("/bin/bash", "-c", words)
    member.until(lambda: "2000" in member.stubbed("etcd-pod"))
    before = member.tree(receipts=True)
    done = member.install(configure("3-configure"), "rollback")
    assert (done.returncode, "Nothing to roll back" in done.stdout) == (0, True)
    done = member.install(configure("3-configure"))
    assert done.returncode == 11
    assert "a run of another bundle, of 2-configure, was interrupted here" in done.stderr
    assert member.tree(receipts=True) == before
    done = member.run(folder, "rollback")
    assert done.returncode == 0, done.stderr
    assert b"--snapshot-count=10000" in member.path(POD).read_bytes()


@pytest.mark.parametrize("line", ["begin", "begin install x 1 2-configure", "begin install ../.. 1 ../../etc"])
def test_a_journal_is_data(member: Sandbox, line: str) -> None:
    assert member.install(configure()).returncode == 0
    journal = member.path(f"{STATE}/generations/0002/journal")
    rest = journal.read_text().partition("\n")[2]
    journal.write_text(f"{line}\n{rest}")
    done = member.run(COPY, "rollback", "--to", "create", "--yes")
    assert done.returncode == 13
    assert "generations/0002/journal is damaged: it does not say whose it is" in done.stderr
