"""``bundlegen status``: the clusters of a store, which it only reads."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.building import contents, environment, main, run, specification, write
from tests.changing import take_in

PEOPLE = ("infra0", "infra1", "infra2")


@pytest.fixture
def two(at: Path) -> Path:
    """The cluster that has lived, and another one."""
    write(at, specification(1, name="other"), "other.yaml")
    assert main(["build", "other.yaml", "--quiet"]) == 0
    return at


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    """What status says, and that it leaves everything as it was."""

    def call(code: int, *words: str) -> tuple[str, str]:
        before = everything()
        capsys.readouterr()
        assert main(["status", *words]) == code
        assert everything() == before
        out, err = capsys.readouterr()
        return out, err

    return call


def everything() -> dict[str, bytes]:
    return {name: text for name, text in contents(Path.cwd()).items() if not name.endswith(".prom")}


def data(out: str) -> dict[str, Any]:
    return {each["cluster"]: each for each in json.loads(out)["clusters"]}


def end(folder: Path, host: str, change: int) -> str:
    """When the first certificate ends that the change's record has for the host."""
    [made] = (
        (folder / "out/prod").glob(f"{change}-*/change.json")
        if change > 1
        else [folder / "out/prod/create/change.json"]
    )
    hosts = {each["name"]: each for each in json.loads(made.read_text())["hosts"]}
    return str(hosts[host]["firstExpiry"])


def test_what_hosts_have_run_counts_for_what_expires(at: Path, said: Callable[..., tuple[str, str]]) -> None:
    later = str(int(datetime.now(UTC).timestamp()) + 7200)
    done = run(at, "renew", "cluster.yaml", "--quiet", env=environment(SOURCE_DATE_EPOCH=later))
    assert done.returncode == 0, done.stderr
    new, old = end(at, "infra0", 4), end(at, "infra0", 1)
    assert new > old
    # nothing is known: what was made last counts
    found = data(said(0, "--json")[0])["prod"]
    assert [(each["host"], each["ran"], each["firstExpiry"]) for each in found["hosts"]] == [
        (h, None, new) for h in PEOPLE
    ]
    assert (found["newestChange"], found["ran"], found["bundles"]) == ("4-renew", [], list(PEOPLE))
    take_in(at, "create", 0, 1)
    take_in(at, "4-renew", 1)
    found = data(said(0, "prod", "--json")[0])["prod"]
    assert [(each["ran"], each["firstExpiry"]) for each in found["hosts"]] == [
        ("create", old),
        ("4-renew", new),
        (None, new),
    ]
    assert found["ran"] == ["infra1"]
    assert found["leafExpiry"] == old
    out, err = said(6, "prod", "--within", "366d")
    assert out.splitlines()[1].split()[:6] == ["prod", "4-renew", "3", "1", "of", "3"]
    assert "prod: renew with: bundlegen renew SPEC\n" in out
    assert err == ""


def _without(path: str) -> Callable[[Path], object]:
    return lambda store: (store / path).unlink()


def _as_a_link(store: Path) -> None:
    store.rename("moved")
    store.symlink_to("../moved")


def _certificate(store: Path) -> Path:
    return sorted(store.glob("hosts/*/*/tls.crt"))[0]


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "store.json is none": (lambda store: (store / "store.json").write_text("{"), "store.json is damaged"),
    "store.json is gone": (_without("store.json"), "store.json is missing"),
    "deep": (lambda store: (store / "store.json").write_text("[" * 200_000), "nested too deeply"),
    "history": (lambda store: (store / "changes.jsonl").write_text("{}\n"), "changes.jsonl:1 is damaged"),
    "CA is gone": (_without("ca/ca.crt"), "ca/ca.crt is missing"),
    "no certificate": (lambda store: _certificate(store).write_text("x\n"), "tls.crt is not a PEM certificate"),
    "certificate is gone": (lambda store: _certificate(store).unlink(), "tls.crt is missing"),
    "open to others": (lambda store: store.chmod(0o755), "is open to others (mode 0755)"),
    "another's": (lambda store: store.rename(store.with_name("else")), "belongs to the cluster 'other'"),
    "a link": (_as_a_link, "is a symbolic link"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_one_damaged_store_hides_no_other(case: str, two: Path, said: Callable[..., tuple[str, str]]) -> None:
    damage, words = DAMAGE[case]
    damage(two / "pki/other")
    name = "else" if case == "another's" else "other"
    out, err = said(4)
    assert out.splitlines()[1].split()[:2] == [name, "damaged"]
    assert out.splitlines()[2].split()[:2] == ["prod", "3-configure"]
    assert words in err
    assert f"bundlegen: error: {name}: " in err
    found = data(said(4, "--json", "--metrics", "x.prom")[0])
    assert words in found[name]["problem"]
    assert found["prod"]["problem"] is None
    assert f'bundlegen_store_readable{{cluster="{name}"}} 0\n' in Path("x.prom").read_text()
    assert said(0, "prod")[1] == ""


def test_what_is_no_store_is_passed_over(two: Path, said: Callable[..., tuple[str, str]]) -> None:
    (two / "pki/notes.txt").write_text("x")
    (two / "pki/empty").mkdir()
    (two / "pki/begun").mkdir(mode=0o700)
    (two / "pki/begun/.lock").touch()
    os.mkfifo(two / "pki/pipe")
    (two / "pki/\x1b[31mred").mkdir()
    (two / "pki/nowhere").symlink_to("gone")
    out, err = said(0)
    assert {line.split()[0] for line in out.splitlines()} == {"CLUSTER", "prod", "other"}
    assert err.count("is no store of a cluster, and is passed over") == 6
    assert "\x1b" not in out + err
    assert said(0, "--quiet")[1] == ""


def test_where_there_is_nothing(two: Path, said: Callable[..., tuple[str, str]]) -> None:
    assert "cannot look at gone: no such file or directory" in said(4, "--pki", "gone")[1]
    (two / "none").mkdir()
    assert "there is no store of a cluster in none" in said(4, "--pki", "none")[1]
    out, err = said(4, "prod", "typo")
    assert "there is no store in pki/typo" in err
    assert "3-configure" in out
    assert "'../pki/prod' is not a cluster's name" in said(2, "../pki/prod")[1]


def test_no_lock_is_taken_and_none_is_waited_for(two: Path, said: Callable[..., tuple[str, str]]) -> None:
    with (two / "pki/prod/.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "3-configure" in said(0)[0]
    with (two / "pki/prod/changes.jsonl").open("ab") as history:
        history.write(b'{"entry":"change","num')  # a build is at it
    assert "3-configure" in said(0)[0]


def test_a_store_of_before_the_history_and_a_ca_that_was_brought(
    two: Path, said: Callable[..., tuple[str, str]]
) -> None:
    known = data(said(0, "--json")[0])["other"]
    (two / "pki/other/changes.jsonl").unlink()
    found = data(said(0, "--json")[0])["other"]
    assert (found["newestChange"], found["leafExpiry"], found["caExpiry"]) == (
        None,
        known["leafExpiry"],
        known["caExpiry"],
    )
    assert [each["host"] for each in found["hosts"]] == ["infra0"]
    assert "other: made by bundlegen 0.1; the next build writes down what there is" in said(0, "other")[0]
    path = two / "pki/other/store.json"
    path.write_text(path.read_text().replace('"created"', '"external"').replace('"external":', '"created":'))
    shutil.rmtree(two / "pki/other/ca")
    assert data(said(0, "--json")[0])["other"]["caExpiry"] is None


def test_metrics_are_what_prometheus_reads(two: Path, said: Callable[..., tuple[str, str]]) -> None:
    Path("x.prom").write_text("before")
    Path("x.prom").chmod(0o600)
    said(0, "--metrics", "x.prom")
    assert Path("x.prom").stat().st_mode & 0o777 == 0o644
    text = Path("x.prom").read_text()
    expiry = datetime.fromisoformat(data(said(0, "--json")[0])["other"]["leafExpiry"])
    line = f'bundlegen_store_certificate_not_after_seconds{{cluster="other",host="infra0"}} {int(expiry.timestamp())}\n'
    assert line in text
    assert list(Path.cwd().glob(".x.prom*")) == []
    assert "cannot write nowhere/x.prom" in said(7, "--metrics", "nowhere/x.prom")[1]
    if shutil.which("promtool") is None:
        pytest.skip("promtool, which Debian's prometheus brings, is not installed")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_cluster_that_is_named_twice_is_shown_once(two: Path, said: Callable[..., tuple[str, str]]) -> None:
    out, _ = said(0, "prod", "other", "prod")
    assert [line.split()[:1] for line in out.splitlines()].count(["prod"]) == 1
