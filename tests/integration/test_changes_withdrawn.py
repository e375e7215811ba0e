"""Changes that are taken back, receipts that the store takes in, and stores that have to be there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests import records
from tests.building import build, contents, main, read, run, specification, write
from tests.changing import FLAG, OTHER, edit, entries, take_in


def test_an_edit_taken_back_before_it_ran(refused: Callable[..., str], at: Path) -> None:
    edit(at, **FLAG)
    said = refused(4, "build", "cluster.yaml")
    assert "the specification is again what it was before 3-configure" in said
    assert "bundlegen withdraw" in said
    assert main(["withdraw", "cluster.yaml"]) == 0
    assert sorted(path.name for path in (at / "out/prod").iterdir()) == ["2-configure", "create"]
    assert main(["build", "cluster.yaml"]) == 0
    edit(at, **OTHER)
    assert main(["build", "cluster.yaml"]) == 0
    assert sorted(path.name for path in (at / "out/prod").iterdir()) == ["2-configure", "4-configure", "create"]
    assert read(at / "out/prod/4-configure").conf["AFTER_CHANGE"] == "2-configure"


def test_an_edit_taken_back_after_it_ran(here: Path) -> None:
    take_in(here, "3-configure", 0)
    edit(here, **FLAG)
    back = build(here)
    assert back.name == "4-configure"
    assert [path.name for path in back.glob("*.run")] == ["infra1.run"]
    made = json.loads((back / "change.json").read_text())
    assert made["hosts"][0]["afterRan"] is True
    # A receipt that comes later alters nothing of what was approved.
    expected = contents(back)
    take_in(here, "2-configure", 0, 1, 2)
    shutil.rmtree(here / "out")
    assert contents(build(here, "--change", "4-configure")) == expected


def test_a_change_that_ran_is_not_withdrawn(refused: Callable[..., str], at: Path) -> None:
    take_in(at, "3-configure", 0)
    assert "infra1 ran 3-configure, as receipts say" in refused(4, "withdraw", "cluster.yaml")
    # Undone on its host it has not happened.
    made = json.loads((at / "out/prod/3-configure/change.json").read_text())
    later: dict[str, Any] = {"startedAt": "2099-01-01T00:59:00Z", "endedAt": "2099-01-01T01:00:00Z"}
    undone = records.receipt(made, 0, verb="rollback", outcome="rolled-back", previousReceiptDigest="0" * 64, **later)
    (at / "undone.json").write_bytes(undone)
    assert main(["reconcile", "out/prod/3-configure", "undone.json", "--pki", "pki"]) == 6
    assert main(["withdraw", "cluster.yaml"]) == 0


def test_withdrawing_twice_takes_back_one(at: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for said in ("3-configure is withdrawn.", "3-configure was withdrawn already."):
        assert main(["withdraw", "cluster.yaml"]) == 0
        assert capsys.readouterr().out.startswith(f"{said}\nThe newest change is 2-configure.\n")
    assert len(entries(at, "withdrawn")) == 1
    assert main(["withdraw", "cluster.yaml", "--change", "create"]) == 2
    assert "--change create: the newest change is 2-configure" in capsys.readouterr().err
    assert main(["withdraw", "cluster.yaml", "--change", "2-configure", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "withdrawn": "2-configure", "already": False, "newest": "create", "folder": "out/prod/2-configure",
        "folderLeft": False,
    }  # fmt: skip
    assert main(["build", "cluster.yaml", "--change", "2-configure"]) == 2
    assert "--change 2-configure: it was withdrawn (it has create)" in capsys.readouterr().err


def test_a_folder_that_is_not_as_it_was_made_is_left(at: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (at / "out/prod/3-configure/infra1.run").write_bytes(b"other")
    assert main(["withdraw", "cluster.yaml"]) == 0
    assert "out/prod/3-configure is not as it was made, and is left" in capsys.readouterr().err
    assert (at / "out/prod/3-configure/infra1.run").read_bytes() == b"other"


def test_receipts_are_taken_in_once_and_only_those_of_the_store(at: Path, capsys: pytest.CaptureFixture[str]) -> None:
    take_in(at, "2-configure", 0, 1)
    assert [(each["number"], each["host"]) for each in entries(at, "receipt")] == [(2, "infra0"), (2, "infra1")]
    words = ["reconcile", "out/prod/2-configure", "0.json", "1.json"]
    assert main([*words, "--pki", "pki"]) == 6
    assert "0 of 2 receipts are new to the store" in capsys.readouterr().err
    # Without --pki nothing is looked at but what is named.
    assert main(words) == 6
    assert "store" not in capsys.readouterr().err
    assert main([*words, "--pki", "elsewhere"]) == 4
    assert "there is no store in elsewhere/prod" in capsys.readouterr().err
    (at / "pki/prod/changes.jsonl").write_text("")
    assert main([*words, "--pki", "pki"]) == 4
    assert "pki/prod knows no bundle of 2-configure for infra0" in capsys.readouterr().err
    assert entries(at, "receipt") == []


def test_a_build_may_demand_that_the_store_is_there(tmp_path: Path) -> None:
    write(tmp_path, specification(1))
    done = run(tmp_path, "build", "cluster.yaml", "--existing")
    assert done.returncode == 4
    assert "there is no store in pki/prod (name the folder of this cluster's store with --pki)" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cluster.yaml"]
    build(tmp_path)
    build(tmp_path, "--existing")


def test_a_pinned_ca_has_to_be_there(tmp_path: Path) -> None:
    write(tmp_path, specification(1))
    build(tmp_path)
    pin = json.loads((tmp_path / "out/prod/create/change.json").read_text())["ca"]["sha256Fingerprint"]
    data: Mapping[str, Any] = specification(hosts=1)
    write(tmp_path, {**data, "pki": {**data["pki"], "ca": {"fingerprint": pin}}})
    assert build(tmp_path).name == "create"
    done = run(tmp_path, "build", "cluster.yaml", "--pki", "elsewhere")
    assert done.returncode == 4
    assert (
        f"elsewhere/prod holds no CA, and pki.ca.fingerprint demands the one with the fingerprint {pin}" in done.stderr
    )
    assert not (tmp_path / "elsewhere").exists()
