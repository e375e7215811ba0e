"""What `diff` says of two bundles that were only planned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bundlegen import layout
from bundlegen.record.schema import ComparedHost, Difference
from bundlegen.trust.compare import Comparison, data, recorded, text
from bundlegen.trust.diff import between, carried
from bundlegen.trust.side import Planned
from tests import plans


def compared(*, before: dict[str, Any] | None = None, number: int = 0, **after: Any) -> ComparedHost:
    old, new = (Planned(plans.host(plans.cluster(**changes), number)) for changes in (before or {}, after))
    return between(old, new)


def told(found: ComparedHost) -> dict[str, tuple[str, str]]:
    return {each.what: (each.old, each.new) for each in found.changes}


def test_the_same_is_nothing() -> None:
    found = compared()
    assert (found.changes, found.restarts, found.files) == ((), (), ())


def test_a_flag_of_etcd() -> None:
    found = compared(etcd={"extraArgs": {"snapshot-count": "5000"}})
    assert told(found) == {"etcd flag --snapshot-count": ("", "5000")}
    assert found.restarts == ("etcd",)
    assert [file.path for file in found.files] == [layout.KUBEADM_CONFIG]


def test_a_flag_is_told_once_where_the_manifest_is_rendered() -> None:
    found = compared(
        before={"manifest": "rendered"}, manifest="rendered", etcd={"extraArgs": {"snapshot-count": "5000"}}
    )
    assert told(found) == {"etcd flag --snapshot-count": ("10000", "5000")}
    assert layout.STATIC_POD_MANIFEST in {file.path for file in found.files}


def test_a_field_of_the_kubelet_restarts_it_alone() -> None:
    found = compared(kubelet={"extraConfig": {"maxPods": 20}})
    assert told(found) == {"kubelet maxPods": ("", "20")}
    assert found.restarts == ("kubelet",)


def test_a_name_in_certificates() -> None:
    hosts = [{"name": f"infra{number}", "address": f"10.0.0.{6 + number}"} for number in range(3)]
    hosts[0]["extraSANs"] = ["etcd.example.net"]  # type: ignore[assignment]
    found = told(compared(hosts=hosts))
    names = [value for what, value in found.items() if what.endswith(", names")]
    assert names
    assert all("etcd.example.net" in new and "etcd.example.net" not in old for old, new in names)
    assert not any("PRIVATE KEY" in old + new for old, new in found.values())


def test_a_member_that_comes() -> None:
    old = Planned(plans.host(plans.cluster(2)))
    new = Planned(plans.host(plans.cluster(3)))
    assert told(between(old, new))["member infra2"] == ("", "10.0.0.8")
    assert told(between(new, old))["member infra2"] == ("10.0.0.8", "")


def test_a_file_of_which_only_the_sum_is_known_is_told_as_a_whole() -> None:
    plan = plans.host(plans.cluster())
    files = plan.configured | {layout.KUBEADM_CONFIG: "0" * 64}
    found = told(between(Planned(plan, files=files), Planned(plan)))
    assert found == {f"file {layout.KUBEADM_CONFIG}": ("0" * 64, plan.configured[layout.KUBEADM_CONFIG])}


def test_where_two_versions_made_them_their_own_files_are_compared_as_a_whole() -> None:
    plan = plans.host(plans.cluster())
    files = plan.configured | {layout.HEALTH_COMMAND: "0" * 64}
    found = told(between(Planned(plan, "0.1.0", files), Planned(plan)))
    assert found[f"file {layout.HEALTH_COMMAND}"][0] == "0" * 64


@pytest.mark.parametrize(
    ("what", "only"),
    [
        ("file install.sh", True),
        ("file images/etcd.tar", True),
        ("image etcd.tar, compressed", True),
        ("file /etc/kubernetes/kubeadmcfg.yaml", False),
        ("etcd flag --snapshot-count", False),
    ],
)
def test_what_a_bundle_only_carries(what: str, only: bool) -> None:
    difference = Difference(what=what, old="a", new="b")
    assert carried(difference) is only
    host = ComparedHost(name="infra0", changes=(difference,), restarts=())
    assert recorded(Comparison((), (), (host,))).hosts[0].changes == (() if only else (difference,))


SAME = Difference(what="etcd flag --snapshot-count", old="", new="5000")
OWN = Difference(what="kubelet drop-in", old="", new="X=\x1b[31m")


def host(name: str, *changes: Difference, restarts: tuple[str, ...] = ("etcd",)) -> ComparedHost:
    return ComparedHost(name=name, changes=changes, restarts=restarts)


def test_what_changes_everywhere_is_said_once() -> None:
    found = Comparison((), (), (host("infra0", SAME), host("infra1", SAME)))
    assert text(found).splitlines() == [
        "all 2 hosts:",
        "  etcd flag --snapshot-count: (none) -> 5000",
        "Restarts on all 2 hosts: etcd",
    ]


def test_what_changes_on_one_host_is_said_there_and_steers_no_terminal() -> None:
    found = Comparison(("old0",), ("new0",), (host("infra0", SAME, OWN), host("infra1", SAME, restarts=())))
    said = text(found)
    assert said.splitlines()[:2] == ["old0: no longer has a bundle", "new0: has a bundle now"]
    assert "infra0:\n  kubelet drop-in: (none) -> " in said
    assert "\x1b" not in said
    assert said.splitlines()[-2:] == ["Restarts on infra0: etcd", "Restarts on infra1: none"]
    assert said.count("snapshot-count") == 1


def test_nothing() -> None:
    found = Comparison((), (), (host("infra0"), host("infra1")))
    assert (found.changed, text(found)) == (False, "Nothing changes.")
    assert data(found)["changed"] is False
    assert data(Comparison(("a",), (), ()))["changed"] is True


def test_a_planned_side_is_read_like_a_bundle() -> None:
    side = Planned(plans.host(plans.cluster()), made_by="0.1.0")
    assert (side.path, side.owner, side.is_base) == (Path("infra0.run"), "infra0", False)
    assert side.conf["HOST"] == "infra0"
    assert side.conf["BUNDLEGEN_VERSION"] == "0.1.0"
    assert side.content("/not/there") is None
    assert Planned(plans.base(plans.cluster())).is_base
