"""In what two specifications differ, and what kind of change that is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from bundlegen.spec import differences
from bundlegen.spec.check import parse
from bundlegen.spec.differences import ADD, CONFIGURE, FIXED, NOWHERE, REMOVE, REPLACE, UPGRADE, Difference
from bundlegen.spec.model import Cluster

ADDRESSES = {"infra0": "10.0.0.6", "infra1": "10.0.0.7", "infra2": "10.0.0.8", "infra3": "10.0.0.9"}


def hosts(*names: str, **changed: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, "address": ADDRESSES.get(name, ""), **changed.get(name, {})} for name in names]


def cluster(**fields: Any) -> Cluster:
    plain = {"name": "prod", "kubernetesVersion": "v1.31.4", "hosts": hosts("infra0", "infra1", "infra2")}
    return parse({**plain, **fields})


def told(before: Cluster, after: Cluster) -> list[tuple[str, str, str, str]]:
    return [(each.field, each.old, each.new, each.row) for each in differences.between(before, after)]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"kubernetesVersion": "v1.32.0"}, ("kubernetesVersion", "v1.31.4", "v1.32.0", UPGRADE)),
        ({"ports": {"metrics": 2391}}, ("ports.metrics", "2381", "2391", CONFIGURE)),
        ({"ports": {"client": 3379}}, ("ports.client", "2379", "3379", FIXED)),
        ({"ports": {"peer": 3380}}, ("ports.peer", "2380", "3380", FIXED)),
        ({"pki": {"caKeyHost": "infra1"}}, ("pki.caKeyHost", "infra0", "infra1", CONFIGURE)),
        ({"pki": {"caKeyHost": "none"}}, ("pki.caKeyHost", "infra0", "none", CONFIGURE)),
        (
            {"pki": {"certificateValidityPeriod": "4380h"}},
            ("pki.certificateValidityPeriod", "8760h0m0s", "4380h0m0s", CONFIGURE),
        ),
        (
            {"pki": {"caCertificateValidityPeriod": "99999h"}},
            ("pki.caCertificateValidityPeriod", "87600h0m0s", "99999h0m0s", NOWHERE),
        ),
        ({"kubelet": {"cgroupDriver": "cgroupfs"}}, ("kubelet.cgroupDriver", "systemd", "cgroupfs", CONFIGURE)),
        (
            {"kubelet": {"extraConfig": {"logging": {"verbosity": 4}}}},
            ("kubelet.extraConfig.logging.verbosity", "", "4", CONFIGURE),
        ),
        ({"etcd": {"metricsOn": "address"}}, ("etcd.metricsOn", "loopback", "address", CONFIGURE)),
        ({"etcd": {"imageTag": "3.5.16-0"}}, ("etcd.imageTag", "", "3.5.16-0", UPGRADE)),
        ({"etcd": {"dataDir": "/srv/etcd"}}, ("etcd.dataDir", "/var/lib/etcd", "/srv/etcd", FIXED)),
        ({"etcd": {"initialClusterToken": "mine"}}, ("etcd.initialClusterToken", "", "mine", FIXED)),
        (
            {"etcd": {"extraArgs": {"quota-backend-bytes": "8589934592"}}},
            ("etcd.extraArgs.quota-backend-bytes", "", "8589934592", CONFIGURE),
        ),
        (
            {"etcd": {"extraArgs": {"wal-dir": "/var/lib/etcd/wal"}}},
            ("etcd.extraArgs.wal-dir", "", "/var/lib/etcd/wal", FIXED),
        ),
        (
            {"health": {"metricsDirectory": "/var/lib/node-exporter"}},
            ("health.metricsDirectory", "", "/var/lib/node-exporter", CONFIGURE),
        ),
        ({"manifest": "rendered"}, ("manifest", "kubeadm", "rendered", CONFIGURE)),
        ({"images": ["images/*.tar"]}, ("images", "[]", '["images/*.tar"]', NOWHERE)),
        ({"hosts": hosts("infra0", "infra1", "infra2", "infra3")}, ("hosts[3]", "", "infra3=10.0.0.9", ADD)),
        ({"hosts": hosts("infra0", "infra2")}, ("hosts", "infra1=10.0.0.7", "", REMOVE)),
        # Whose the CA's key is follows from the hosts here, and is no difference beside them.
        ({"hosts": hosts("infra1", "infra2")}, ("hosts", "infra0=10.0.0.6", "", REMOVE)),
        ({"hosts": hosts("infra3", "infra0", "infra1", "infra2")}, ("hosts[0]", "", "infra3=10.0.0.9", ADD)),
        (
            {"hosts": hosts("infra1", "infra0", "infra2")},
            ("hosts", "in the order infra0 infra1 infra2", "in the order infra1 infra0 infra2", CONFIGURE),
        ),
        (
            {"hosts": hosts("infra0", "infra1", "infra2", infra1={"address": "10.0.0.99"})},
            ("hosts[1].address (infra1)", "10.0.0.7", "10.0.0.99", REPLACE),
        ),
        (
            {"hosts": hosts("infra0", "infra1", "infra2", infra1={"name": "other"})},
            ("hosts[1].name", "infra1", "other", REPLACE),
        ),
        (
            {"hosts": hosts("infra0", "infra1", "infra2", infra2={"extraSANs": ["etcd2.example.net"]})},
            ("hosts[2].extraSANs (infra2)", "", "etcd2.example.net", CONFIGURE),
        ),
        (
            {"hosts": hosts("infra0", "infra1", "infra2", infra0={"machineID": "a" * 32})},
            ("hosts[0].machineID (infra0)", "", "a" * 32, CONFIGURE),
        ),
    ],
)
def test_one_field(changed: dict[str, Any], expected: tuple[str, str, str, str]) -> None:
    assert told(cluster(), cluster(**changed)) == [expected]


def test_back_again_is_the_same_read_from_the_other_side() -> None:
    plain, changed = cluster(), cluster(etcd={"extraArgs": {"heartbeat-interval": "200"}})
    assert told(changed, plain) == [("etcd.extraArgs.heartbeat-interval", "200", "", CONFIGURE)]


def test_nothing_differs_between_two_ways_of_writing_one_thing() -> None:
    written = cluster(
        kubernetesVersion="1.31.4",
        pki={"caKeyHost": "infra0", "certificateValidityPeriod": "8760h0m0s"},
        kubelet={"extraConfig": {"maxPods": 7, "logging": {"verbosity": 4, "format": "json"}}},
        etcd={"extraArgs": {"heartbeat-interval": "200", "election-timeout": "2000"}},
    )
    other = cluster(
        pki={"certificateValidityPeriod": "8760h"},
        kubelet={"extraConfig": {"logging": {"format": "json", "verbosity": 4}, "maxPods": 7}},
        etcd={"extraArgs": {"election-timeout": "2000", "heartbeat-interval": "200"}},
    )
    assert differences.between(written, other) == ()


def test_a_moved_host_brings_its_machine_id_along() -> None:
    moved = {"address": "10.0.0.99", "machineID": "b" * 32}
    found = differences.between(cluster(), cluster(hosts=hosts("infra0", "infra1", "infra2", infra1=moved)))
    assert differences.asked(found) == (REPLACE,)


def test_kinds_are_told_in_the_order_in_which_to_do_them() -> None:
    after = cluster(
        kubernetesVersion="v1.31.5",
        hosts=hosts("infra0", "infra2", "infra3", infra0={"extraSANs": ["a.example.net"]}),
        ports={"peer": 2390},
    )
    found = differences.between(cluster(), after)
    assert differences.asked(found) == (ADD, REMOVE, CONFIGURE, UPGRADE)
    assert FIXED in {each.row for each in found}


def test_a_tree_that_comes_goes_or_becomes_a_value() -> None:
    def told_of(before: object, after: object) -> list[tuple[str, str, str]]:
        clusters = (cluster(kubelet={"extraConfig": tree}) for tree in ({"a": before}, {"a": after}))
        return [(each.field.removeprefix("kubelet.extraConfig."), each.old, each.new) for each in
                differences.between(*clusters)]  # fmt: skip

    assert told_of({"b": 1}, {}) == [("a.b", "1", "")]
    assert told_of({"b": 1}, "text") == [("a", '{"b": 1}', "text")]
    assert told_of(None, {"b": True}) == [("a.b", "", "true")]
    assert told_of(None, {}) == [("a", "", "{}")]
    assert told_of([1, 2], [2, 1]) == [("a", "[1, 2]", "[2, 1]")]


def test_words() -> None:
    assert str(Difference(("etcd", "imageTag"), "", "3.5.16-0", UPGRADE)) == "etcd.imageTag: (none) -> 3.5.16-0"


def _paths(model: type[BaseModel], start: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, info in model.model_fields.items():
        path = (*start, info.alias or name)
        inner = [each for each in (info.annotation, *getattr(info.annotation, "__args__", ()))
                 if isinstance(each, type) and issubclass(each, BaseModel)]  # fmt: skip
        if path == ("hosts",):
            continue
        yield from (_paths(inner[0], path) if inner else iter((path,)))


def test_every_field_has_its_row() -> None:
    paths = list(_paths(Cluster))
    assert ("etcd", "extraArgs") in paths
    assert {differences.row_of(path) for path in paths} <= {UPGRADE, CONFIGURE, FIXED, NOWHERE}
    with pytest.raises(LookupError, match="controlPlane"):
        differences.row_of(("controlPlane",))


def test_every_field_of_a_host_is_compared() -> None:
    """A field that is added to the model is added to the comparison as well."""
    changed = {"address": "10.0.0.99", "extraSANs": ["a.example.net"], "machineID": "c" * 32}
    found = differences.between(cluster(), cluster(hosts=hosts("infra0", "infra1", "infra2", infra1=changed)))
    model = type(cluster().hosts[0])
    assert {str(each.path[-1]) for each in found} | {"name"} == {
        info.alias or name for name, info in model.model_fields.items()
    }
