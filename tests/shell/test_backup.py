"""Snapshots that a timer takes: on and off with the specification, the newest ones kept, and old ones said."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from tests.shell.changes import configure
from tests.shell.payload import HEALTH, STATE, Payload
from tests.shell.sandbox import Sandbox
from tests.shell.test_snapshot import WHOLE, answer

UNITS = "/etc/systemd/system/bundlegen-snapshot"
COMMAND = "/usr/local/bin/bundlegen-snapshot"
DIR = "/srv/snapshots"
CONF = {"BACKUP_SCHEDULE": "daily", "BACKUP_KEEP": "2", "BACKUP_DIR": DIR}


def with_backup(payload: Payload) -> Payload:
    payload.conf |= CONF
    command = f'#!/bin/bash\nexec /bin/bash -p {STATE}/bundle/install.sh snapshot "$@"\n'
    payload.files[COMMAND] = ("0755", command.encode())
    payload.files[f"{UNITS}.service"] = ("0644", f"[Service]\nExecStart={COMMAND} --scheduled\n".encode())
    payload.files[f"{UNITS}.timer"] = ("0644", b"[Timer]\nOnCalendar=daily\n")
    return payload


@pytest.fixture
def member(host: Sandbox) -> Sandbox:
    host.stub("snapshot", answer())
    host.path("/srv").mkdir(exist_ok=True)
    done = host.install(with_backup(Payload()))
    assert done.returncode == 0, done.stdout + done.stderr
    return host


def taken(host: Sandbox) -> list[str]:
    return sorted(path.name for path in host.path(DIR).glob("*.db"))


def told(host: Sandbox, **env: Any) -> str:
    done = host.execute(HEALTH)
    assert done.returncode == 0, done.stdout
    (line,) = [line for line in done.stdout.splitlines() if " backup " in line]
    return line


def test_the_newest_are_kept(member: Sandbox) -> None:
    assert member.stubbed("backup-timer") == "on\n"
    assert "there is no snapshot in /srv/snapshots yet" in told(member)
    for day in (1, 2, 3):
        member.path(DIR).mkdir(exist_ok=True)
        member.path(f"{DIR}/test-infra0-2026010{day}T020000Z.db").write_bytes(b"old")
    member.path(f"{DIR}/another.db").write_bytes(b"somebody's")
    done = member.execute(COMMAND, "--scheduled")
    assert done.returncode == 0, done.stdout + done.stderr
    found = taken(member)
    assert found[0] == "another.db"
    assert found[1] == "test-infra0-20260103T020000Z.db"
    assert len(found) == 3
    assert member.path(f"{DIR}/{found[2]}").read_bytes() == WHOLE
    assert "the newest snapshot is 0 minutes old" in told(member)
    old = time.time() - 3 * 86400
    os.utime(member.path(f"{DIR}/{found[2]}"), (old, old))
    assert "the newest snapshot is 72 hours old, and one is due every 24" in told(member)


def test_an_old_one_goes_only_when_the_new_one_is_whole(member: Sandbox) -> None:
    member.path(DIR).mkdir()
    for day in (1, 2):
        member.path(f"{DIR}/test-infra0-2026010{day}T020000Z.db").write_bytes(b"old")
    before = taken(member)
    member.stub("snapshot", answer(WHOLE[:-1]))
    assert member.execute(COMMAND, "--scheduled").returncode == 14
    assert taken(member) == before


def test_on_and_off_and_back(host: Sandbox) -> None:
    """What turns it off leaves the snapshots; a rollback turns it on again."""
    host.stub("snapshot", answer())
    assert host.install(with_backup(Payload())).returncode == 0
    host.path("/srv").mkdir(exist_ok=True)
    assert host.execute(COMMAND, "--scheduled").returncode == 0
    off = host.unpack(configure(), "off")
    done = host.run(off, "install")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "snapshots are not taken by themselves any more; those that were taken stay" in done.stdout
    assert host.stubbed("backup-timer") == ""
    assert not host.path(COMMAND).exists()
    assert not host.path(f"{UNITS}.timer").exists()
    assert len(taken(host)) == 1
    assert "Already installed" in host.run(off, "install").stdout
    done = host.run(off, "rollback")
    assert done.returncode == 0, done.stdout + done.stderr
    assert host.path(f"{UNITS}.timer").exists()
    assert host.stubbed("backup-timer") == "on\n"


def test_what_systemd_does_not_understand(host: Sandbox) -> None:
    payload = with_backup(Payload())
    payload.conf["BACKUP_SCHEDULE"] = "every now and then"
    done = host.install(payload)
    assert done.returncode == 11
    assert "backup: systemd does not understand backup.schedule, every now and then" in done.stderr


def test_scheduled_needs_a_backup(host: Sandbox) -> None:
    assert host.install(Payload()).returncode == 0
    done = host.execute("/bin/bash", f"{STATE}/bundle/install.sh", "snapshot", "--scheduled")
    assert (done.returncode, "the specification has no backup" in done.stderr) == (2, True)
