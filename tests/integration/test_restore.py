"""A cluster that begins anew from a snapshot: with which hosts, under which token, and what is refused."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.building import contents, main, read
from tests.building import run_here as run
from tests.changing import OTHER, edit, entries, with_name

DATABASE = b"page" * 1024
WHOLE = DATABASE + hashlib.sha256(DATABASE).digest()
SUM = hashlib.sha256(WHOLE).hexdigest()


@pytest.fixture
def stick(here: Path) -> Path:
    (here / "snap.db").write_bytes(WHOLE)
    return here


def restore(folder: Path, *words: str) -> str:
    done = run(folder, "restore", "cluster.yaml", "--snapshot", "snap.db", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def with_hosts(folder: Path, *hosts: tuple[str, str], **more: Any) -> None:
    document = yaml.safe_load((folder / "cluster.yaml").read_text())
    known = {host["name"]: host for host in document["hosts"]}
    document["hosts"] = [{**known.get(name, {}), "name": name, "address": address} for name, address in hosts]
    (folder / "cluster.yaml").write_text(yaml.safe_dump(document | more, sort_keys=False))


def conf(folder: Path, change: str, host: str) -> dict[str, str]:
    return dict(read(folder / "out/prod" / change, host).conf)


def good(folder: Path, change: str) -> None:
    """Verified, and made anew from the store the same, byte for byte, without the snapshot."""
    made = folder / "out/prod" / change
    assert main(["verify", str(made)]) == 0
    before = contents(made)
    shutil.rmtree(made)
    done = run(folder, "build", "cluster.yaml", "--change", change)
    assert done.returncode == 0, done.stderr
    assert contents(made) == before


def test_onto_the_same_hosts(stick: Path) -> None:
    """All are members anew, under a token that was never used; what comes later is made for that."""
    said = restore(stick)
    assert said.startswith("Change 4-restore of prod, after 3-configure:\n  restore infra0, infra1, infra2\n")
    token = conf(stick, "3-configure", "infra1")["INITIAL_CLUSTER_TOKEN"]
    for host in ("infra0", "infra1", "infra2"):
        found = conf(stick, "4-restore", host)
        assert found["SNAPSHOT_SHA256"] == SUM
        assert found["REQUIRED_CHANGE"] == ""
        assert found["INITIAL_CLUSTER_TOKEN"] == f"{token}-4-{SUM[:8]}"
        assert (found["INITIAL_STATE"], found["REPLACED"], found["REMOVES"]) == ("new", "", "")
        assert found["INITIAL_CLUSTER"].count("https://") == 3
    good(stick, "4-restore")
    good(stick, "3-configure")
    assert run(stick, "renew", "cluster.yaml").returncode == 0
    assert conf(stick, "5-renew", "infra0")["INITIAL_CLUSTER_TOKEN"] == f"{token}-4-{SUM[:8]}"
    assert conf(stick, "5-renew", "infra0")["REQUIRED_CHANGE"] == "4-restore"
    good(stick, "5-renew")
    edit(stick, **OTHER, **with_name(1, "etcd1.example.net"))
    assert run(stick, "build", "cluster.yaml").returncode == 0
    assert conf(stick, "6-configure", "infra0")["INITIAL_CLUSTER_TOKEN"] == f"{token}-4-{SUM[:8]}"


@pytest.mark.parametrize(
    "hosts",
    [
        [("infra1", "10.0.0.7")],
        [(f"new{number}", f"10.0.1.{number}") for number in range(1, 6)],
        [("infra0", "10.0.0.6"), ("infra1", "10.0.9.7"), ("infra3", "10.0.0.9")],
    ],
    ids=["one", "five-fresh", "mixed"],
)
def test_onto_other_hosts(stick: Path, hosts: list[tuple[str, str]]) -> None:
    with_hosts(stick, *hosts)
    restore(stick)
    made = entries(stick)[-1]
    assert list(made["hosts"]) == [name for name, _ in hosts]
    assert [each["name"] for each in made["membersBefore"]] == ["infra0", "infra1", "infra2"]
    record = (stick / "out/prod/4-restore/CHANGE.md").read_text()
    gone = [name for name in ("infra0", "infra1", "infra2") if name not in dict(hosts)]
    for name in gone:
        assert f"On {name}, which will be no member, as root" in record
    good(stick, "4-restore")
    done = run(stick, "build", "cluster.yaml")
    assert "nothing was changed" in done.stderr + done.stdout


def test_what_is_no_snapshot(at: Path, refused: Callable[..., str]) -> None:
    assert "restore needs --snapshot FILE" in refused(2, "restore", "cluster.yaml")
    said = refused(2, "restore", "cluster.yaml", "--snapshot", "x.db")
    assert "--snapshot x.db: No such file or directory" in said
    for content in (WHOLE[:-1], DATABASE, WHOLE[:-32] + bytes(32), b"", WHOLE + b"x"):
        (at / "x.db").write_bytes(content)
        assert "--snapshot x.db: it is not a whole snapshot" in refused(
            2, "restore", "cluster.yaml", "--snapshot", "x.db"
        )
    for text in ("sha256:", f"sha256:{SUM[1:]}", f"sha256:{SUM}0", "sha256:" + "x" * 64, f"sha256:{SUM}\n"):
        said = refused(2, "restore", "cluster.yaml", "--snapshot", text)
        assert "a SHA-256 has 64 hexadecimal digits" in said


def test_one_that_is_on_the_hosts(stick: Path, tmp_path: Path) -> None:
    """Named by its sum alone, it makes the same change, byte for byte, as the file does."""
    other = Path(shutil.copytree(stick, tmp_path / "other"))
    (other / "snap.db").unlink()
    restore(stick)
    done = run(other, "restore", "cluster.yaml", "--snapshot", f"sha256:{SUM.upper()}")
    assert done.returncode == 0, done.stderr
    assert conf(other, "4-restore", "infra0")["SNAPSHOT_SHA256"] == SUM
    said = {host: conf(other, "4-restore", host) for host in ("infra0", "infra1", "infra2")}
    assert said == {host: conf(stick, "4-restore", host) for host in said}
    assert "A host that keeps this very snapshot itself" in (other / "out/prod/4-restore/CHANGE.md").read_text()
    good(other, "4-restore")


def test_what_else_differs_comes_first(at: Path, refused: Callable[..., str]) -> None:
    (at / "snap.db").write_bytes(WHOLE)
    edit(at, **OTHER, **with_name(1, "etcd1.example.net"))
    said = refused(3, "restore", "cluster.yaml", "--snapshot", "snap.db")
    assert "heartbeat-interval" in said


def test_a_token_of_ones_own_is_refused(tmp_path: Path) -> None:
    (tmp_path / "snap.db").write_bytes(WHOLE)
    edit(tmp_path, etcd={"initialClusterToken": "mine"})
    assert run(tmp_path, "build", "cluster.yaml").returncode == 0
    done = run(tmp_path, "restore", "cluster.yaml", "--snapshot", "snap.db")
    assert done.returncode == 3
    assert "etcd.initialClusterToken is set, and a restored cluster needs a token that was never used" in done.stderr
    edit(tmp_path)
    assert run(tmp_path, "restore", "cluster.yaml", "--snapshot", "snap.db").returncode == 0
    assert conf(tmp_path, "2-restore", "infra0")["INITIAL_CLUSTER_TOKEN"].endswith(f"-2-{SUM[:8]}")
    assert run(tmp_path, "renew", "cluster.yaml").returncode == 0


def test_another_snapshot_is_another_change(stick: Path) -> None:
    restore(stick)
    assert "4-restore was made within a day" in restore(stick)
    other = DATABASE + b"page" * 128
    (stick / "snap.db").write_bytes(other + hashlib.sha256(other).digest())
    done = run(stick, "restore", "cluster.yaml", "--snapshot", "snap.db")
    assert done.returncode == 4
    assert "4-restore was made within a day from another snapshot" in done.stderr
    assert run(stick, "withdraw", "cluster.yaml").returncode == 0
    assert restore(stick).startswith("Change 5-restore of prod, after 3-configure:\n")
