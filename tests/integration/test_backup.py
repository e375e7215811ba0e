"""Snapshots by a timer: what a specification with ``backup`` puts on the hosts, and one without it takes away."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundlegen import layout
from tests.building import main, read, specification, write
from tests.building import run_here as run
from tests.changing import FLAG, edit, with_name

FILES = {layout.SNAPSHOT_COMMAND, layout.SNAPSHOT_SERVICE, layout.SNAPSHOT_TIMER}


def test_on_and_off(here: Path) -> None:
    """It is a change of the kind configure; nothing restarts."""
    spec = (here / "cluster.yaml").read_text()
    edit(here, **FLAG, **with_name(1, "etcd1.example.net"), backup={"schedule": "Mon *-*-* 02:00", "keep": 3})
    assert run(here, "build", "cluster.yaml").returncode == 0
    bundle = read(here / "out/prod/4-configure", "infra1")
    assert bundle.destinations >= FILES
    assert b"OnCalendar=Mon *-*-* 02:00\n" in (bundle.content(layout.SNAPSHOT_TIMER) or b"")
    conf = bundle.conf
    assert (conf["BACKUP_SCHEDULE"], conf["BACKUP_KEEP"]) == ("Mon *-*-* 02:00", "3")
    assert conf["BACKUP_DIR"] == "/var/lib/bundlegen/prod/snapshots"
    assert main(["verify", str(here / "out/prod/4-configure")]) == 0
    (here / "cluster.yaml").write_text(spec)
    done = run(here, "build", "cluster.yaml", "--replace")
    assert done.returncode == 4
    assert run(here, "withdraw", "cluster.yaml").returncode == 0
    assert not FILES & read(here / "out/prod/3-configure", "infra1").destinations


@pytest.mark.parametrize(
    ("backup", "said"),
    [
        ({"schedule": "daily\nExecStart=/x"}, "is no time of systemd's calendar"),
        ({"schedule": "50%"}, "is no time of systemd's calendar"),
        ({"keep": 0}, "backup.keep"),
        ({"directory": "/var/lib/etcd/snapshots"}, "/var/lib/etcd/snapshots is in etcd's data directory"),
        ({"directory": "/tmp/x"}, "/tmp/x is below /tmp, which is no place for snapshots"),
        ({"directory": "/srv"}, "/srv holds more than snapshots"),
    ],
)
def test_what_cannot_be(tmp_path: Path, backup: dict[str, object], said: str) -> None:
    edit(tmp_path, backup=backup)
    done = run(tmp_path, "build", "cluster.yaml")
    assert done.returncode == 3
    assert said in done.stderr, done.stderr


def test_the_defaults(tmp_path: Path) -> None:
    write(tmp_path, {**specification(), "backup": {}})
    assert run(tmp_path, "build", "cluster.yaml", "--base").returncode == 0
    assert main(["verify", str(tmp_path / "out/prod/create")]) == 0
    assert read(tmp_path / "out/prod/create").conf["BACKUP_SCHEDULE"] == "*-*-* 02:00:00"
