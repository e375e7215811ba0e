"""diff: each change of one field of a specification gives just the findings it should."""

from __future__ import annotations

import copy
import json
import re
import shutil
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bundlegen import layout
from bundlegen.bundle import effects
from bundlegen.bundle.entry import Entry
from bundlegen.bundle.plan import BundlePlan
from bundlegen.errors import UsageError
from bundlegen.record.schema import ComparedHost
from bundlegen.trust import bundle, compare, diff
from bundlegen.trust.side import Planned
from tests.building import main
from tests.trust_cases import SPEC, make

MOMENT = str(int(time.time()))
POD = f"  {layout.STATIC_POD_MANIFEST}: {effects.WORDS['pod']} (another manifest is another Pod)"
CASES: dict[str, tuple[Any, ...]] = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "diff-findings.json").read_text(encoding="utf-8")
)


def built(folder: Path, spec: dict[str, Any], name: str, **options: Any) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", MOMENT)
        return make(folder, spec, name, **options).folder


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("diff")
    built(folder, SPEC, "old")
    return folder


@pytest.fixture
def work(before: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(before, tmp_path / "work"))


def changed(field: str, value: Any) -> dict[str, Any]:
    """The specification with the field, such as ``hosts.0.address``, set to ``value``; None takes it away."""
    spec: dict[str, Any] = copy.deepcopy(SPEC)
    *path, last = field.split(".")
    place: Any = spec
    for step in path:
        place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
    if value is None:
        del place[int(last)]
    elif isinstance(place, list) and int(last) == len(place):
        place.append(value)
    else:
        place[last] = value
    return spec


def told(old: Path, new: Path) -> list[str]:
    """The findings, with what is random in them made plain."""
    text = compare.text(compare.compare(old, new))
    text = re.sub(r"(certificate [a-z-]+: )serial \w+ -> serial \w+", r"\1another", text)
    text = re.sub(r"(certificate [a-z-]+, key: )\w+ -> \w+", r"\1another", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", _since_moment, text)
    return re.sub(r"prod-[0-9a-f]{16}", "prod-TOKEN", text).split("\n")


def _since_moment(stamp: re.Match[str]) -> str:
    hours, rest = divmod(int(datetime.fromisoformat(stamp[0]).timestamp()) - int(MOMENT), 3600)
    assert rest == 0
    return f"after {hours}h"


@pytest.mark.parametrize("field", CASES)
def test_one_field(work: Path, field: str) -> None:
    value, expected = CASES[field]
    new = built(work, changed(field.split(" ")[0], value), "new")
    assert told(work / "old/prod/create", new) == expected


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 20
    assert all(expected != ["Nothing changes."] for _, expected in CASES.values())


def test_a_plan_is_compared_like_the_bundle_it_becomes(work: Path) -> None:
    """What the store knows of an earlier change is enough to say what another one changes."""
    old = work / "old/prod/create"
    new = built(work, changed("etcd.extraArgs", {"snapshot-count": "5000"}), "new")
    for name in ("infra0.run", "infra2.run"):
        made = bundle.read(old / name)
        entries = [
            Entry(line.destination, line.mode, line.sha256, 0, "", content=made.content(line.destination))
            for line in made.manifest
        ]
        planned = Planned(BundlePlan(made.owner, tuple(entries)))
        assert diff.between(planned, bundle.read(new / name)) == diff.between(made, bundle.read(new / name))
        assert diff.between(planned, planned) == ComparedHost(name=made.owner, changes=(), restarts=(), files=())


def test_nothing_changes(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = built(work, SPEC, "new")
    for old, new in ((work / "old/prod/create", again), (work / "old/prod/create/infra1.run", again / "infra1.run")):
        assert main(["diff", str(old), str(new)]) == 0
        assert capsys.readouterr().out == "Nothing changes.\n"


def test_sealing_is_all_that_changes(work: Path) -> None:
    assert told(work / "old/prod/create", built(work, SPEC, "new", seal=True)) == [
        "all 3 hosts:",
        "  keys sealed: no -> yes",
        "Restarts on all 3 hosts: none",
    ]


def test_a_rendered_manifest(work: Path) -> None:
    """Its flags are etcd's flags; what kubeadm's configuration says of them is not said twice."""
    old = built(work, SPEC | {"manifest": "rendered"}, "one")
    new = built(work, SPEC | {"manifest": "rendered", "etcd": {"extraArgs": {"snapshot-count": "5000"}}}, "two")
    assert told(old, new) == [
        "all 3 hosts:",
        "  etcd flag --snapshot-count: 10000 -> 5000",
        "Restarts on all 3 hosts: etcd",
        "  /etc/kubernetes/kubeadmcfg.yaml: no restart (nothing that runs has to be told of it)",
        POD,
    ]


def test_a_manifest_that_kubeadm_makes_from_now_on(work: Path) -> None:
    """kubeadm's configuration is the same; the manifest that it makes is another."""
    new = built(work, SPEC, "new")
    assert told(built(work, SPEC | {"manifest": "rendered"}, "one"), new)[-2:] == [
        "Restarts on all 3 hosts: etcd",
        POD,
    ]


def test_for_machines(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = built(work, changed("hosts.0.machineID", "0" * 31 + "1"), "new")
    assert main(["diff", str(work / "old/prod/create"), str(new), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["changed"] is True
    assert found["hosts"][0] == {
        "name": "infra0",
        "changes": [{"what": "machine-id", "old": "", "new": "0" * 31 + "1"}],
        "restarts": [],
        "files": [],
    }
    assert found["hosts"][1]["changes"] == []


def test_no_secret_is_shown(work: Path) -> None:
    new = built(work, changed("pki.encryptionAlgorithm", "ECDSA-P384"), "new")
    text = str(compare.data(compare.compare(work / "old/prod/create", new)))
    for key in (work / "pki").rglob("*.key"):
        middle = key.read_text().splitlines()[1]
        assert middle not in text


def test_one_of_each(work: Path) -> None:
    with pytest.raises(UsageError, match="one is a bundle and the other a folder"):
        compare.compare(work / "old/prod/create", work / "old/prod/create/infra0.run")
