"""A cluster that is there already: a store that begins with it, under a CA that was brought along."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.building import build_here, contents, main, read, specification, write
from tests.building import run_here as run
from tests.changing import FLAG, entries


@pytest.fixture
def brought(tmp_path: Path) -> Path:
    """A folder with a cluster's CA, and a specification that names it."""
    made = tmp_path / "made"
    made.mkdir()
    write(made, specification())
    build_here(made)
    here = tmp_path / "here"
    here.mkdir()
    for name in ("ca.crt", "ca.key"):
        shutil.copyfile(made / "pki/prod/ca" / name, here / name)
        (here / name).chmod(0o600)
    describe(here)
    return here


def describe(folder: Path, **more: object) -> None:
    pki = {**specification()["pki"], "ca": {"certificate": "ca.crt", "key": "ca.key"}}
    write(folder, {**specification(), "pki": pki, **more})


def test_the_store_begins_with_it(brought: Path) -> None:
    done = run(brought, "adopt", "cluster.yaml")
    assert done.returncode == 0, done.stderr
    folder = brought / "out/prod/1-adopt"
    assert main(["verify", str(folder)]) == 0
    made = entries(brought)[-1]
    assert (made["name"], made["operation"], list(made["hosts"])) == (
        "1-adopt",
        "adopt",
        ["infra0", "infra1", "infra2"],
    )
    assert [each["name"] for each in made["membersBefore"]] == ["infra0", "infra1", "infra2"]
    conf = read(folder, "infra1").conf
    assert conf["MEMBERS_BEFORE"] == conf["MEMBERS"]
    assert (conf["AFTER_CHANGE"], conf["INITIAL_STATE"]) == ("", "new")
    record = json.loads((folder / "change.json").read_text())
    assert record["membersBefore"] == record["members"]
    before = contents(folder)
    shutil.rmtree(folder)
    assert run(brought, "build", "cluster.yaml").returncode == 0
    assert contents(folder) == before


def test_what_comes_later(brought: Path) -> None:
    assert run(brought, "adopt", "cluster.yaml").returncode == 0
    assert run(brought, "renew", "cluster.yaml").returncode == 0
    assert read(brought / "out/prod/2-renew", "infra0").conf["REQUIRED_CHANGE"] == "1-adopt"
    describe(brought, **FLAG)
    assert run(brought, "build", "cluster.yaml").returncode == 0
    for change in ("2-renew", "3-configure"):
        assert main(["verify", str(brought / "out/prod" / change)]) == 0


def test_what_is_refused(brought: Path, tmp_path: Path) -> None:
    done = run(tmp_path / "made", "adopt", "cluster.yaml")
    assert done.returncode == 4
    assert "the store of prod knows this cluster already: create is its newest change" in done.stderr
    write(brought, specification())
    done = run(brought, "adopt", "cluster.yaml")
    assert done.returncode == 3
    assert "pki.ca is not set, and members that are there already trust a CA that is theirs" in done.stderr
    assert not (brought / "out").exists()
    done = run(brought, "renew", "cluster.yaml")
    assert done.returncode == 4
