"""What the record of each operation says: its own story, and nothing of another's."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bundlegen.operations.configure import CONFIGURE
from bundlegen.operations.create import CREATE
from bundlegen.operations.renew import RENEW
from bundlegen.record import document, markdown
from bundlegen.record.schema import Change
from tests import records
from tests.records import rendered


@pytest.mark.parametrize("count", [1, 3, 5, 7])
def test_what_each_host_says_depends_on_its_place(count: int) -> None:
    told = document.document(Change.model_validate(records.change(records.cluster(count))), CREATE.story)
    runs = [each for each in told.commands() if re.fullmatch(r"sh infra\d\.run", each.text)]
    assert [each.text for each in runs] == [f"sh infra{index}.run" for index in range(count)]
    levels = [each.expected[4] for each in runs]
    assert levels[-1] == f"The cluster prod-etcd is healthy: all {count} members answer."
    need = count // 2 + 1
    assert [level.startswith(f"{n} of {count} members run so far") for n, level in enumerate(levels, 1)] == [
        n < need and n < count for n in range(1, count + 1)
    ]


def test_a_second_change_tells_its_own_story() -> None:
    """A cluster that runs is not created, is not new, does not wait for its first members, and keeps its data."""
    text = rendered(records.configured(5, hosts=(1, 4)))["CHANGE.md"].decode()
    for untrue in ("creates the etcd", "cluster is new", "first hosts wait", "run so far", "moved aside"):
        assert untrue not in text
    assert "The cluster prod-etcd is healthy: all 5 members answer." in text
    assert "* etcd.extraArgs.snapshot-count: (none) → 5000" in text
    assert text.index("→ 5000") < text.index("## What changes") < text.index("## Risk and impact")
    assert "On infra1 and infra4 etcd is restarted, one host at a time." in text
    assert "| Quorum | While etcd restarts on one host, 4 of 5 members serve, and 3 must." in text
    assert "| infra1 | create | create |" in text
    assert "No receipt says that it ran on infra1 and infra4." in text
    assert all(f"infra{number} | `10.0.0.{6 + number}` |" in text for number in range(5))
    assert "infra0.run" not in text


def test_an_upgrade_tells_its_own_story() -> None:
    text = rendered(records.upgraded(3))["CHANGE.md"].decode()
    assert "This change upgrades the etcd cluster prod-etcd, which runs and stays in use, to `" in text
    assert "The leader last, so that it changes only once" in text
    assert "an older etcd does not start on its data any more" in text
    for untrue in ("creates the etcd", "moved aside", "makes up for this one", "configures"):
        assert untrue not in text


def test_the_way_back_of_a_second_change_undoes_nothing_else() -> None:
    """The copy on a host is that of what is installed there: it is told which change to go back to."""
    told = document.document(Change.model_validate(records.configured()), CONFIGURE.story)
    commands = [each.text for each in told.commands() if "rollback" in each.text]
    assert commands == [
        *(f"sh infra{number}.run -- rollback" for number in (2, 1, 0)),
        "bash /var/lib/bundlegen/prod-etcd/bundle/install.sh rollback --to create --yes",
    ]
    text = markdown.render(told)
    assert "On a host that has not run it, the same command undoes nothing" in text


@pytest.mark.parametrize(
    ("count", "effect", "downtime", "restarts"),
    [
        (3, "pod", "None for the cluster if", "On infra0, infra1 and infra2: etcd restarts in a new Pod"),
        (3, "kubelet", "None: no etcd is restarted.", "On infra0, infra1 and infra2: kubelet restarts;"),
        (3, "none", "None: no etcd is restarted.", "On infra0, infra1 and infra2: nothing."),
        (
            2,
            "etcd",
            "The cluster does not serve while etcd restarts on a host",
            "On infra0 and infra1: etcd restarts in",
        ),
        (1, "pod", "The cluster does not serve while etcd restarts on a host", "On infra0: etcd restarts in a new Pod"),
    ],
)
def test_what_restarts_and_what_that_means_is_said(count: int, effect: Any, downtime: str, restarts: str) -> None:
    text = rendered(records.configured(count, effect=effect))["CHANGE.md"].decode()
    assert f"| Downtime | {downtime}" in text
    assert f"| Restarts | {restarts}" in text


def test_receipts_that_the_store_has_are_not_missed() -> None:
    text = rendered(records.configured(ran=("infra0", "infra1", "infra2")))["CHANGE.md"].decode()
    assert "No receipt says" not in text


def test_a_renewal_restarts_nothing_and_tells_what_api_servers_need() -> None:
    text = rendered(records.renewed(3, hosts=(0, 2)))["CHANGE.md"].decode()
    for untrue in ("creates the etcd", "configures the etcd", "new Pod", "expired already", "first hosts wait"):
        assert untrue not in text
    assert "on 2 hosts of 3" in text
    assert "The first of those that they replace expires on 2026-12-24." in text
    assert "| Restarts | None: neither etcd nor kubelet, and no reboot. |" in text
    assert "| Order | Any." in text
    assert "It is good until it expires, on 2026-12-24 at the earliest." in text
    assert "kube-apiserver reads it when it connects, so it is not restarted" in text
    assert "`ssh root@CONTROL-PLANE mkdir -pm 0700 /etc/kubernetes/pki/new && scp -p " in text
    assert "The cluster prod-etcd is healthy: all 3 members answer." in text
    assert "infra1.run" not in text
    assert "No receipt says that it ran on infra0 and infra2." in text


def test_a_renewal_after_everything_expired_says_how_the_first_hosts_end() -> None:
    text = rendered(records.renewed(5, until="2026-11-21T20:00:00Z"))["CHANGE.md"].decode()
    assert "Certificates have expired already." in text
    assert "“… of 5 members run with valid certificates so far; etcd serves when 3 do.”" in text
    assert "| Downtime | Certificates have expired already." in text
    told = document.document(Change.model_validate(records.renewed(5, until="2026-11-21T20:00:00Z")), RENEW.story)
    runs = [each for each in told.commands() if re.fullmatch(r"sh infra\d\.run", each.text)]
    assert [each.expected[4] for each in runs] == ["…"] * 5


def test_the_way_back_of_a_renewal() -> None:
    told = document.document(Change.model_validate(records.renewed()), RENEW.story)
    commands = [each.text for each in told.commands() if "rollback" in each.text]
    assert commands == [
        *(f"sh infra{number}.run -- rollback" for number in (2, 1, 0)),
        "bash /var/lib/bundlegen/prod-etcd/bundle/install.sh rollback --to create --yes",
    ]
    assert "Old certificates that have expired come back as they are, and a warning says so" in markdown.render(told)
