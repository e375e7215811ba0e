"""Which etcd may follow which."""

from __future__ import annotations

import pytest

from bundlegen.change import decision
from bundlegen.errors import SpecError
from bundlegen.operations import upgrade_path
from bundlegen.pki.history import History
from bundlegen.spec.check import parse
from bundlegen.spec.model import Cluster
from tests.unit.test_decision import CREATE, decide
from tests.unit.test_decision import cluster as of_the_first_change

HOSTS = [{"name": "infra0", "address": "10.0.0.6"}]


def cluster(version: str, tag: str | None = None) -> Cluster:
    etcd = {"etcd": {"imageTag": tag}} if tag else {}
    return parse({"name": "prod", "kubernetesVersion": version, "hosts": HOSTS, **etcd})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (cluster("v1.31.4"), cluster("v1.31.14")),  # 3.5.15 to 3.5.24
        (cluster("v1.31.4"), cluster("v1.32.0")),
        (cluster("v1.33.0", "3.5.26-0"), cluster("v1.34.0")),  # to 3.6.4
        (cluster("v1.33.0", "v3.5.26"), cluster("v1.33.0", "v3.6.0")),
        (cluster("v1.36.0", "3.6.11-0"), cluster("v1.37.0")),
        (cluster("v1.31.4"), cluster("v1.31.5")),  # the same image
        (cluster("v1.31.4", "mirrored"), cluster("v1.31.5", "mirrored")),
    ],
)
def test_these_may(before: Cluster, after: Cluster) -> None:
    assert list(upgrade_path.refusals(before, after)) == []


@pytest.mark.parametrize(
    ("before", "after", "why", "hint"),
    [
        (cluster("v1.33.6"), cluster("v1.34.0"), "only from 3.5.26 on (3.5.24-0 -> 3.6.4-0)", "upgrade to 3.5.26 or"),
        (cluster("v1.36.0"), cluster("v1.37.0"), "only from 3.6.11 on (3.6.8-0 -> 3.7.0-0)", "upgrade to 3.6.11 or"),
        (cluster("v1.33.6"), cluster("v1.37.0"), "would skip a minor version (3.5.24-0 -> 3.7.0-0)", "3.6 first"),
        (cluster("v1.31.14"), cluster("v1.31.4"), "would go back (3.5.24-0 -> 3.5.15-0)", "keep etcd.imageTag"),
        (cluster("v1.34.0"), cluster("v1.33.6"), "would go back (3.6.4-0 -> 3.5.24-0)", "keep etcd.imageTag"),
        (cluster("v1.31.4"), cluster("v1.31.4", "newest"), "(3.5.15-0 -> newest), and a tag does not say", "3.5.26-0"),
    ],
)
def test_these_may_not(before: Cluster, after: Cluster, why: str, hint: str) -> None:
    ((said, todo),) = upgrade_path.refusals(before, after)
    assert why in said
    assert hint in todo


def test_a_version_upgrades() -> None:
    found = decide(History((CREATE,)), of_the_first_change(kubernetesVersion="v1.32.0"))
    assert (found.name, found.operation.name) == ("2-upgrade", "upgrade")
    assert found.members == CREATE.members


def test_what_etcd_would_not_start_from_is_refused_with_what_differs() -> None:
    with pytest.raises(SpecError) as caught:
        decision.decide(History((CREATE,)), of_the_first_change(kubernetesVersion="v1.34.2"), lambda _: "c.yaml")
    first, last = caught.value.lines()
    assert "differs from create (upgrade): v1.31.4 -> v1.34.2" in first
    assert "etcd 3.6 may follow 3.5 only from 3.5.26 on (3.5.15-0 -> 3.6.5-0)" in last
