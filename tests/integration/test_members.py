"""Hosts that come, go and are replaced: who gets which bundle, with which keys, the same bytes again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from bundlegen import layout
from bundlegen.trust.bundle import Bundle
from tests.building import contents, main, read
from tests.building import run_here as run

SPEC = {"name": "prod", "kubernetesVersion": "v1.31.4", "pki": {"encryptionAlgorithm": "ECDSA-P256"}}
FIRST, SECOND, THIRD, FOURTH = ({"name": f"infra{number}", "address": f"10.0.0.{6 + number}"} for number in range(4))
CA_KEY = layout.pki_path("etcd/ca.key")


@pytest.fixture
def three(tmp_path: Path) -> Path:
    edit(tmp_path, FIRST, SECOND, THIRD)
    assert run(tmp_path, "build", "cluster.yaml").returncode == 0
    return tmp_path


def edit(folder: Path, *hosts: dict[str, str]) -> None:
    (folder / "cluster.yaml").write_text(yaml.safe_dump({**SPEC, "hosts": [*hosts]}, sort_keys=False))


def build(folder: Path, *words: str) -> str:
    done = run(folder, *(words or ("build",))[:1], "cluster.yaml", *words[1:])
    assert done.returncode == 0, done.stderr
    return done.stdout


def bundles(folder: Path, change: str) -> dict[str, Bundle]:
    made = folder / "out/prod" / change
    return {path.stem: read(made, path.stem) for path in sorted(made.glob("*.run"))}


def same_again(folder: Path, change: str) -> None:
    """Made anew from the store it is the same, byte for byte."""
    before = contents(folder / "out/prod" / change)
    shutil.rmtree(folder / "out/prod" / change)
    build(folder, "build", "--change", change)
    assert contents(folder / "out/prod" / change) == before
    assert main(["verify", str(folder / "out/prod" / change)]) == 0


def test_hosts_that_come(three: Path) -> None:
    """Named first, the new one is not given the CA's key; each is born into the list as it is then."""
    new = [{"name": f"new{number}", "address": f"10.0.0.{20 + number}"} for number in range(2)]
    edit(three, new[0], FIRST, SECOND, THIRD, new[1])
    said = build(three)
    assert [line.split()[0] for line in said.splitlines() if ".run  " in line and "KiB" in line] == [
        *("new0", "new1", "infra0", "infra1", "infra2")
    ]
    made = bundles(three, "2-add")
    assert {host for host, bundle in made.items() if bundle.content(CA_KEY)} == {"infra0"}
    assert made["new0"].conf["INITIAL_CLUSTER"].count("=") == 4
    assert made["new1"].conf["INITIAL_CLUSTER"].count("=") == 5
    assert {bundle.conf["INITIAL_STATE"] for host, bundle in made.items() if "new" in host} == {"existing"}
    assert {bundle.conf["MEMBERS"].count("=") for bundle in made.values()} == {5}
    same_again(three, "2-add")


def test_hosts_that_go(three: Path) -> None:
    """The one with the CA's key too: it is not given it again, and the next one has it."""
    edit(three, SECOND, THIRD)
    build(three)
    made = bundles(three, "2-remove")
    assert sorted(made) == ["infra0", "infra1", "infra2"]
    assert {host for host, bundle in made.items() if bundle.content(CA_KEY)} == {"infra1"}
    assert {host: bundle.conf["REMOVES"] for host, bundle in made.items()} == {
        "infra0": "infra0",
        "infra1": "",
        "infra2": "",
    }
    first = read(three / "out/prod/create", "infra0")
    server = layout.pki_path("etcd/server.crt")
    assert made["infra0"].content(server) == first.content(server)
    same_again(three, "2-remove")
    done = run(three, "build", "cluster.yaml", "--by", "infra1")
    assert (done.returncode, "2-remove was built without --by" in done.stderr) == (4, True)


def test_a_host_that_is_gone(three: Path) -> None:
    edit(three, FIRST, THIRD)
    for words, said in (
        (("--by", "infra1"), "--by infra1: that is no host that stays (there are infra0, infra2)"),
        (("--by", "x"), "--by x: that is no host that stays"),
    ):
        done = run(three, "build", "cluster.yaml", *words)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    build(three, "build", "--by", "infra2")
    made = bundles(three, "2-remove")
    assert {host: bundle.conf["REMOVES"] for host, bundle in made.items()} == {"infra0": "", "infra2": "infra1"}
    same_again(three, "2-remove")
    edit(three, FIRST, SECOND, THIRD)
    done = run(three, "build", "cluster.yaml", "--by", "infra2")
    assert done.returncode in (2, 4)


def test_who_has_left_comes_with_new_keys(three: Path) -> None:
    edit(three, FIRST, SECOND)
    build(three)
    old = bundles(three, "2-remove")["infra2"]
    edit(three, FIRST, SECOND, FOURTH)
    build(three)
    edit(three, FIRST, SECOND, THIRD, FOURTH)
    build(three)
    again = bundles(three, "4-add")["infra2"]
    key = layout.pki_path("etcd/server.key")
    assert again.content(key) != old.content(key)
    # it has nothing of before, and needs no change that it had then
    assert (again.conf["AFTER_CHANGE"], again.conf["REQUIRED_CHANGE"]) == ("", "")
    same_again(three, "4-add")


def test_a_host_that_is_replaced(three: Path) -> None:
    build(three, "replace", "infra1")
    made = bundles(three, "2-replace")
    assert list(made) == ["infra1"]
    assert (made["infra1"].conf["REPLACED"], made["infra1"].conf["INITIAL_STATE"]) == ("infra1", "existing")
    key = layout.pki_path("etcd/server.key")
    assert made["infra1"].content(key) != read(three / "out/prod/create", "infra1").content(key)
    same_again(three, "2-replace")
    edit(three, FIRST, SECOND, {**THIRD, "address": "10.0.0.18"})
    done = run(three, "build", "cluster.yaml")
    assert (done.returncode, "bundlegen replace SPEC infra2" in done.stderr) == (3, True)
    done = run(three, "replace", "cluster.yaml", "infra0")
    assert done.returncode == 3
    build(three, "replace", "infra2")
    made = bundles(three, "3-replace")
    assert sorted(made) == ["infra0", "infra1", "infra2"]
    assert "infra2=https://10.0.0.18:2380" in made["infra2"].conf["INITIAL_CLUSTER"]
    same_again(three, "3-replace")


def test_a_host_that_is_replaced_again(three: Path) -> None:
    """It is born as it was born the last time, and is another member nevertheless."""
    for change, host in (("2-replace", "infra1"), ("3-replace", "infra2"), ("4-replace", "infra1")):
        build(three, "replace", host)
        made = bundles(three, change)
        assert list(made) == [host]
        assert (made[host].conf["REPLACED"], made[host].conf["REQUIRED_CHANGE"]) == (host, "")
        same_again(three, change)
