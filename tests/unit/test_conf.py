"""bundle.conf: the one table, and everything that follows from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings

from bundlegen.bundle import conf, member
from bundlegen.bundle.facts import Content, Facts, Position, Window
from bundlegen.spec import check
from tests.pki_cases import cluster
from tests.strategies import specifications

MOMENT = datetime(2026, 11, 22, tzinfo=UTC)
WINDOW = Window(MOMENT, MOMENT - timedelta(minutes=5), MOMENT + timedelta(days=365))
SECOND = Position("2-configure", 2, "configure", "create", "create", (("infra0", "10.0.0.6"), ("infra1", "10.0.0.7")))


def facts(position: Position = SECOND) -> Facts:
    asked = cluster()
    return Facts(asked, asked.hosts[0], "prod-5c1e", member.founding(asked), Content(position, WINDOW))


def test_names_are_there_once_and_examples_are_values() -> None:
    names = [key.name for key in conf.KEYS]
    assert len(set(names)) == len(names)
    assert list(conf.faults({key.name: key.example for key in conf.KEYS})) == []
    assert all(key.fixed <= (key.value(facts()) == key.example) for key in conf.KEYS)


@given(specifications(max_hosts=3))
@settings(max_examples=40)
def test_what_is_made_is_what_the_table_says(data: dict[str, object]) -> None:
    asked = check.parse(data)
    for position in (Position(), SECOND):
        for host in asked.hosts:
            of = Facts(asked, host, "token", member.founding(asked), Content(position, WINDOW, "x86_64"))
            assert list(conf.faults(conf.values(of))) == []
            assert list(conf.faults(conf.base_values(replace(of, content=Content(position))))) == []


def test_the_history_is_in_it() -> None:
    found = conf.values(facts())
    assert {name: found[name] for name in conf.OF_CHANGE if name != "BUNDLEGEN_VERSION"} == {
        "OPERATION": "configure",
        "CHANGE": "2-configure",
        "CHANGE_NUMBER": "2",
        "REPLACED": "",
        "REMOVES": "",
        "CA_ROUND": "",
        "SNAPSHOT_SHA256": "",
        "AFTER_CHANGE": "create",
        "REQUIRED_CHANGE": "create",
        "MEMBERS_BEFORE": "infra0=10.0.0.6 infra1=10.0.0.7",
    }
    assert found["INITIAL_STATE"] == "new"
    assert found["INITIAL_CLUSTER"] == member.initial_cluster(cluster())


@pytest.mark.parametrize(
    ("flag", "size"),
    [
        (None, 2 * 1024**3),
        ("8589934592", 8 * 1024**3),
        ("0x40000000", 1024**3),
        ("0", 2 * 1024**3),
        ("-1", 2 * 1024**3),
        ("9223372036854775807", 10**18 - 1),
        ("8GB", 2 * 1024**3),
    ],
)
def test_how_large_the_database_may_grow(flag: str | None, size: int) -> None:
    asked = cluster()
    extra = {} if flag is None else {"quota-backend-bytes": flag}
    etcd = asked.etcd.model_copy(update={"extra_args": extra})
    assert member.quota_bytes(asked.model_copy(update={"etcd": etcd})) == size


def test_the_bundle_for_images_tells_no_host_and_no_data() -> None:
    found = conf.base_values(facts())
    assert {name for name in conf.IDENTITY if found[name]} == set()
    assert (found["KIND"], found["STATE_DIR"]) == ("base", "/usr/local/lib/bundlegen")
    assert {"HOST", "ADDRESS", "INITIAL_CLUSTER_TOKEN", "MEMBERS_BEFORE", "AFTER_CHANGE"} <= set(conf.IDENTITY)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("HOST", "a b", "a value for HOST that it cannot have: 'a b'"),
        ("CHANGE", "../create", "a value for CHANGE that it cannot have"),
        ("CHANGE", "02-renew", "a value for CHANGE that it cannot have"),
        ("CHANGE_NUMBER", "a[$(reboot)]", "a value for CHANGE_NUMBER that it cannot have"),
        ("DATA_DIR", "/var/lib/../etc", "a value for DATA_DIR that it cannot have"),
        ("DATA_DIR", "/var//etcd", "a value for DATA_DIR that it cannot have"),
        ("INITIAL_STATE", "old", "a value for INITIAL_STATE that it cannot have"),
        ("SURPLUS", "1", "a key that there is not: SURPLUS"),
    ],
)
def test_what_cannot_be_is_named(key: str, value: str, said: str) -> None:
    assert [said in sentence for sentence in conf.faults({**conf.values(facts()), key: value})] == [True]


def test_a_missing_key_is_named() -> None:
    found = conf.values(facts())
    del found["CHANGE_NUMBER"], found["ADDRESS"]
    assert conf.missing(found) == ("ADDRESS", "CHANGE_NUMBER")
    assert sorted(conf.faults(found)) == ["bundle.conf lacks ADDRESS", "bundle.conf lacks CHANGE_NUMBER"]


def test_a_bundle_that_is_older_than_a_key_is_of_the_first_change() -> None:
    new = {key.name for key in conf.KEYS if key.before is not None}
    old = {name: value for name, value in conf.values(facts(Position())).items() if name not in new}
    assert new == {
        *("OPERATION", "CHANGE_NUMBER", "AFTER_CHANGE", "REQUIRED_CHANGE", "MEMBERS_BEFORE", "INITIAL_STATE"),
        *("METRICS_ON", "WAL_DIR", "QUOTA_BYTES", "REPLACED", "REMOVES", "CA_ROUND", "SNAPSHOT_SHA256"),
        *("BACKUP_SCHEDULE", "BACKUP_KEEP", "BACKUP_DIR"),
    }
    assert conf.completed(old) == conf.values(facts(Position()))
    half = {**old, "OPERATION": "create"}
    assert conf.missing(conf.completed(half)) == tuple(sorted(new - {"OPERATION"}))
