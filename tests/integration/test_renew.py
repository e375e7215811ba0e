"""New keys and certificates as a change of their own: which hosts, which issue, the same bytes again, and back."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bundlegen import layout
from tests.building import build_here as build
from tests.building import contents, environment, main, read, specification, write
from tests.building import run_here as run
from tests.changing import OTHER, edit, entries, kept, take_in, with_name
from tests.older import Older

NAMES = ("etcd/server", "etcd/peer", "etcd/healthcheck-client", "apiserver-etcd-client")


def renew(folder: Path, *words: str, later: int = 0) -> str:
    """Renew in ``folder``, so many hours from now; what it says."""
    when = [] if not later else ["--source-date"]
    env = environment(SOURCE_DATE_EPOCH=str(int(time.time()) + 3600 * later)) if later else None
    done = run(folder, "renew", "cluster.yaml", *words, *when, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def pairs(folder: Path, change: str, host: str) -> dict[str, bytes | None]:
    bundle = read(folder / "out/prod" / change, host)
    return {
        f"{name}.{end}": bundle.content(layout.pki_path(f"{name}.{end}")) for name in NAMES for end in ("crt", "key")
    }


def issues(folder: Path) -> dict[str, int]:
    found: dict[str, int] = entries(folder)[-1]["issues"]
    return found


def test_every_host_is_renewed(here: Path) -> None:
    before = {path: path.read_bytes() for path in (here / "pki/prod").rglob("*.*") if path.suffix in (".crt", ".key")}
    said = renew(here)
    assert said.startswith("Change 4-renew of prod, after 3-configure:\n  renew infra0, infra1, infra2\n")
    assert "Check, carry and run, in any order; nothing is restarted:" in said
    assert "issued 12 certificates and their keys" in said
    made = entries(here)[-1]
    assert (made["name"], made["operation"], list(made["hosts"])) == (
        "4-renew",
        "renew",
        ["infra0", "infra1", "infra2"],
    )
    assert issues(here) == {"infra0": 1, "infra1": 1, "infra2": 1}
    for host in made["hosts"]:
        old = "3-configure" if host == "infra1" else "2-configure"
        old_pairs, new_pairs = pairs(here, old, host), pairs(here, "4-renew", host)
        assert all(new_pairs[name] and new_pairs[name] != old_pairs[name] for name in new_pairs)
        # All else is as it was, the CA with it.
        conf = read(here / "out/prod/4-renew", host).conf
        assert (conf["OPERATION"], conf["CHANGE"], conf["AFTER_CHANGE"]) == ("renew", "4-renew", old)
        assert conf["REQUIRED_CHANGE"] == "create"
    # Nothing was overwritten.
    assert {path: path.read_bytes() for path in before} == before
    assert main(["verify", str(here / "out/prod/4-renew")]) == 0


def test_what_differs_and_what_that_costs(here: Path) -> None:
    renew(here, "infra1")
    record = json.loads((here / "out/prod/4-renew/change.json").read_text())
    [host] = record["comparedWith"]["hosts"]
    assert (host["name"], host["restarts"]) == ("infra1", [])
    assert {file["path"] for file in host["files"]} == {
        layout.pki_path(f"{name}.{end}") for name in NAMES for end in ("crt", "key")
    }
    assert {file["effect"] for file in host["files"]} == {"none"}
    assert record["differences"] == []
    done = run(here, "diff", "out/prod/3-configure/infra1.run", "out/prod/4-renew/infra1.run")
    assert done.returncode == 1
    assert "certificate etcd-server: serial " in done.stdout
    assert "bundlegen renew SPEC" in (here / "out/prod/4-renew/renewal.ics").read_text().replace("\r\n ", "")


def test_some_hosts(here: Path) -> None:
    said = renew(here, "infra2", "infra0")
    assert "  renew infra0, infra2\n  no bundle for infra1: nothing is asked for there\n" in said
    assert issues(here) == {"infra0": 1, "infra1": 0, "infra2": 1}
    assert "Change 5-renew of prod, after 4-renew:\n  renew infra1\n" in renew(here, "infra1")
    assert issues(here) == {"infra0": 1, "infra1": 1, "infra2": 1}
    # What comes later takes the renewed ones.
    edit(here, **OTHER, **with_name(1, "etcd1.example.net"))
    build(here)
    assert pairs(here, "6-configure", "infra0") == pairs(here, "4-renew", "infra0")
    assert pairs(here, "6-configure", "infra1") == pairs(here, "5-renew", "infra1")


def test_within(here: Path) -> None:
    before = kept(here)
    said = renew(here, "--within", "60d")
    assert said.startswith("Nothing to renew: the first certificate to expire is of infra")
    told = json.loads(run(here, "renew", "cluster.yaml", "--within", "60d", "--json").stdout)
    assert (told["written"], told["operation"]) == (False, "renew")
    assert run(here, "plan", "cluster.yaml", "renew", "--within", "60d").stdout.startswith("Nothing to renew: ")
    assert kept(here) == before
    renew(here, "infra0")
    take_in(here, "4-renew", 0)
    # Eleven months on, and as the option is written for kubeadm.
    said = renew(here, "--within", "1440h", later=330 * 24)
    assert "  renew infra0, infra1, infra2\n" in said
    said = run(here, "renew", "cluster.yaml", "--within", "soon").stderr
    assert '--within: "soon" is not a duration (write a number of days such as 60d, or hours)' in said


def test_within_takes_those_that_are_due(here: Path) -> None:
    renew(here, "infra0", later=200 * 24)
    assert "  renew infra1, infra2\n" in renew(here, "--within", "60d", later=330 * 24)


def test_the_same_again_until_a_host_has_run_it(here: Path) -> None:
    renew(here)
    before = kept(here)
    said = renew(here)
    assert (
        "4-renew was made within a day, and no receipt says that a host has run it: this is that change again" in said
    )
    assert renew(here, "infra1") != ""
    assert kept(here) == before
    shutil.rmtree(here / "out/prod/4-renew")
    # As after a run that was killed before its folder appeared.
    renew(here, "--within", "9000h")
    assert kept(here) == before
    take_in(here, "4-renew", 0)
    assert "Change 5-renew of prod, after 4-renew:" in renew(here)
    # Days later, without a receipt, it is another one.
    assert "Change 6-renew of prod, after 5-renew:" in renew(here, later=48)


@pytest.mark.parametrize("change", ["create", "3-configure", "4-renew"])
def test_every_change_can_be_made_again(here: Path, change: str) -> None:
    renew(here, "--seal")
    expected = contents(here / "out/prod" / change)
    edit(here, **OTHER)
    build(here)
    shutil.rmtree(here / "out")
    again = build(here, "--change", change)
    assert contents(again) == expected


def test_withdrawn_keys_are_never_used(here: Path) -> None:
    renew(here)
    first = pairs(here, "4-renew", "infra0")
    done = run(here, "withdraw", "cluster.yaml")
    assert done.returncode == 0, done.stderr
    assert not (here / "out/prod/4-renew").exists()
    assert run(here, "plan", "cluster.yaml").stdout.startswith("Nothing differs from 3-configure")
    renew(here)
    assert issues(here) == {"infra0": 2, "infra1": 2, "infra2": 2}
    second = pairs(here, "5-renew", "infra0")
    assert not {*first.values()} & {*second.values()}


def test_what_a_killed_run_issued_is_not_taken(here: Path) -> None:
    """It may be as old as one likes when the next run comes."""
    history = here / "pki/prod/changes.jsonl"
    before = history.read_bytes()
    renew(here)
    first = pairs(here, "4-renew", "infra0")
    shutil.rmtree(here / "out/prod/4-renew")
    history.write_bytes(before)
    renew(here, later=400 * 24)
    assert not {*first.values()} & {*pairs(here, "4-renew", "infra0").values()}


def test_plan_writes_nothing(here: Path) -> None:
    before = kept(here)
    done = run(here, "plan", "cluster.yaml", "renew", "infra1")
    assert done.stdout.startswith("The next change is 4-renew, after 3-configure:\n")
    assert "infra1.run: " in done.stdout
    assert "infra0.run: " not in done.stdout
    assert "  infra1 etcd-server: renewed\n" in done.stdout
    assert kept(here) == before
    told = json.loads(run(here, "plan", "cluster.yaml", "renew", "--json").stdout)
    assert (told["change"], told["operation"], len(told["hosts"]), len(told["issue"])) == ("4-renew", "renew", 3, 12)


def test_after_everything_has_expired(here: Path) -> None:
    env = environment(SOURCE_DATE_EPOCH=str(int(time.time()) + 3600 * 24 * 400))
    done = run(here, "build", "cluster.yaml", "--source-date", env=env)
    assert done.returncode == 4
    assert "expired on" in done.stderr
    assert "new ones are made by: bundlegen renew SPEC" in done.stderr
    said = renew(here, "infra0", later=24 * 400)
    assert "warning: 8 certificates expire or have expired, first infra1 " in said
    renew(here, "infra1", "infra2", later=24 * 400)
    assert issues(here) == {"infra0": 1, "infra1": 1, "infra2": 1}
    record = (here / "out/prod/5-renew/CHANGE.md").read_text()
    assert "Certificates have expired already." in record
    assert "until then the first hosts wait, which is success." in record


def test_a_store_of_version_0_1_nine_months_old(tmp_path: Path) -> None:
    write(tmp_path, specification())
    Older(tmp_path / "older").run(["build", "cluster.yaml"], tmp_path)
    done = run(tmp_path, "renew", "cluster.yaml")
    assert done.returncode == 4
    assert "made by bundlegen 0.1, which wrote down no change" in done.stderr
    assert "build once with its specification, unedited" in done.stderr
    env = environment(SOURCE_DATE_EPOCH=str(int(time.time()) + 3600 * 24 * 500))
    # Also when it comes to it only after all has expired.
    done = run(tmp_path, "build", "cluster.yaml", "--source-date", env=env)
    assert done.returncode == 0, done.stderr
    assert "Change 2-renew of prod, after create:" in renew(tmp_path, later=24 * 500)


def test_own_ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tmp_path / "made"
    made.mkdir()
    write(made, specification())
    build(made)
    for end in ("crt", "key"):
        shutil.copy(made / f"pki/prod/ca/ca.{end}", tmp_path / f"own.{end}")
    own = {"encryptionAlgorithm": "ECDSA-P256", "ca": {"certificate": "own.crt", "key": "own.key"}}
    write(tmp_path, specification(pki=own))
    build(tmp_path)
    renew(tmp_path)
    ca = [
        read(tmp_path / "out/prod" / change, "infra0").content(layout.pki_path("etcd/ca.crt"))
        for change in ("create", "2-renew")
    ]
    assert ca[0] == ca[1]
    take_in(tmp_path, "2-renew", 0)
    (tmp_path / "own.key").unlink()
    monkeypatch.chdir(tmp_path)
    before = kept(tmp_path)
    done = run(tmp_path, "renew", "cluster.yaml")
    assert done.returncode in (3, 4)
    assert "own.key" in done.stderr
    assert kept(tmp_path) == before


def test_an_edit_comes_first(at: Path, refused: Callable[..., str]) -> None:
    edit(at, **OTHER, **with_name(1, "etcd1.example.net"))
    said = refused(3, "renew", "cluster.yaml")
    assert "etcd.extraArgs.heartbeat-interval: differs from 3-configure (configure): 200 -> 300" in said
    assert "the specification differs from 3-configure, and renew changes nothing else" in said
    assert "do one at a time, each built and run: configure, then renew; or put it back" in said
    assert refused(3, "plan", "cluster.yaml", "renew") == said


def test_what_cannot_be_meant(at: Path, refused: Callable[..., str]) -> None:
    assert "prod has no host 'infar1' (did you mean infra1?)" in refused(2, "renew", "cluster.yaml", "infar1")
    assert "prod has no host 'x' (there are infra0, infra1, infra2)" in refused(2, "renew", "cluster.yaml", "x")
    assert "'configure' is no operation that is asked for by name (build finds it out" in refused(
        2, "plan", "cluster.yaml", "configure"
    )
    assert (
        "'renw' is no operation that is asked for by name (there is renew, replace, rotate-ca, restore, adopt)"
        in refused(2, "plan", "cluster.yaml", "renw")
    )
    assert "--within is for an operation that is asked for" in refused(2, "plan", "cluster.yaml", "--within", "60d")
    assert "renew needs SPEC" in refused(2, "renew")
    assert "there is no store in elsewhere/prod" in refused(4, "renew", "cluster.yaml", "--pki", "elsewhere")
    assert main(["withdraw", "cluster.yaml"]) == 0


def test_nothing_was_made_yet(tmp_path: Path) -> None:
    write(tmp_path, specification())
    build(tmp_path)
    assert run(tmp_path, "withdraw", "cluster.yaml").returncode == 0
    done = run(tmp_path, "renew", "cluster.yaml")
    assert done.returncode == 4
    assert "knows no change yet, so there is nothing to renew (make the first one: build)" in done.stderr


def test_the_end_of_the_ca_is_not_passed(here: Path) -> None:
    done = run(
        here, "renew", "cluster.yaml", "--source-date",
        env=environment(SOURCE_DATE_EPOCH=str(int(time.time()) + 3600 * 24 * 3400)),
    )  # fmt: skip
    assert done.returncode == 4
    assert "beyond its CA's end" in done.stderr
    assert "pki.certificateValidityPeriod can be at most" in done.stderr
