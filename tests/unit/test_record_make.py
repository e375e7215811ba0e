"""change.json: made as its model, and read again, also as version 0.1 wrote it."""

from __future__ import annotations

import json
from pathlib import Path

from bundlegen.bundle.facts import Position
from bundlegen.bundle.member import Birth
from bundlegen.record import make
from bundlegen.record.schema import Change, Edit
from tests import records

OLD = Path(__file__).parents[1] / "fixtures" / "change-0.1.json"


def second() -> Change:
    """A change of the second host of three, which joined later than the others."""
    before = records.cluster(etcd={"extraArgs": {"snapshot-count": "10000"}})
    setting = make.Setting(
        change="5-configure",
        number=5,
        operation="configure",
        after="4-renew",
        before=before,
        births={"infra1": Birth("infra0=https://10.0.0.6:2380,infra1=https://10.0.0.7:2380", "existing")},
        positions={"infra1": Position("5-configure", 5, "configure", "4-renew", "3-add")},
        ran=frozenset({"infra1"}),
        differences=(Edit(field="etcd.extraArgs.snapshot-count", old="10000", new="5000"),),
    )
    return Change.model_validate(records.change(records.cluster(), setting=setting, hosts=("infra1",)))


def test_what_is_written_is_what_is_read() -> None:
    for made in (second(), Change.model_validate(records.change(records.cluster()))):
        assert Change.model_validate_json(make.dump(made)) == made
        assert make.dump(Change.model_validate_json(make.dump(made))) == make.dump(made)


def test_the_first_change_has_nothing_before_it() -> None:
    made = records.change(records.cluster())
    assert (made["operation"], made["number"], made["after"]) == ("create", 1, None)
    assert made["membersBefore"] == made["differences"] == []
    assert [(each["name"], each["state"]) for each in made["members"]] == [
        ("infra0", "new"),
        ("infra1", "new"),
        ("infra2", "new"),
    ]
    assert {each["initialCluster"] for each in made["members"]} == {
        "infra0=https://10.0.0.6:2380,infra1=https://10.0.0.7:2380,infra2=https://10.0.0.8:2380"
    }
    assert made["cas"] == [made["ca"]]
    assert [(each["after"], each["required"], each["afterRan"]) for each in made["hosts"]] == [(None, None, False)] * 3


def test_a_later_change_says_what_came_before() -> None:
    made = second().data()
    assert (made["change"], made["number"], made["after"]) == ("5-configure", 5, "4-renew")
    assert [each["name"] for each in made["hosts"]] == ["infra1"]
    assert [each["name"] for each in made["members"]] == ["infra0", "infra1", "infra2"]
    assert [each["state"] for each in made["membersBefore"]] == ["new", "existing", "new"]
    assert made["members"][1]["initialCluster"].count("=") == 2
    assert made["hosts"][0]["after"] == "4-renew"
    assert made["hosts"][0]["required"] == "3-add"
    assert made["hosts"][0]["afterRan"] is True
    assert made["differences"] == [{"field": "etcd.extraArgs.snapshot-count", "old": "10000", "new": "5000"}]


def test_a_record_of_the_first_version_is_read() -> None:
    made = Change.model_validate_json(OLD.read_bytes())
    assert (made.operation, made.number, made.after, made.members) == ("create", 1, None, ())
    assert [(each.name, each.client_url) for each in made.addresses] == [
        (f"infra{n}", f"https://10.0.0.{6 + n}:2379") for n in range(3)
    ]
    old = json.loads(OLD.read_bytes())
    assert {**made.data(), **old}.keys() == made.data().keys()


def test_the_order_in_the_file_is_for_readers() -> None:
    """Who comes before what: the name of a host before its files, that of a certificate before its serial number."""
    made = records.change(records.cluster())
    assert list(made)[:4] == ["format", "cluster", "change", "operation"]
    host = list(made["hosts"][0])
    assert host[:2] == ["name", "address"]
    assert host.index("bundle") < host.index("files") < host.index("certificates")
    assert next(iter(made["hosts"][0]["certificates"][0])) == "path"
