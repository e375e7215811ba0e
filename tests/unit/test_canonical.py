"""The specification that bundles carry: its bytes, and that one that is read again is held to every rule."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bundlegen.spec import canonical
from bundlegen.spec.check import parse

HOSTS: list[dict[str, Any]] = [
    {"name": "infra0", "address": "10.0.0.6"},
    {"name": "infra1", "address": "10.0.0.7", "extraSANs": ["etcd1.example.net"], "machineID": "0123456789abcdef" * 2},
    {"name": "infra2", "address": "fd00::8"},
]
NESTED = {"hosts": [], "x": {"hosts": []}, "text": '\n  "hosts": []'}


def whole(**fields: Any) -> dict[str, Any]:
    spec = {"name": "prod", "kubernetesVersion": "v1.31.4", "hosts": HOSTS, "kubelet": {"extraConfig": NESTED}}
    return canonical.tree(parse({**spec, **fields}))


def carried(name: str, **fields: Any) -> bytes:
    return canonical.dump(canonical.for_host(whole(**fields), name))


@pytest.mark.parametrize("name", ["infra0", "infra1", ""])
def test_the_bytes_are_those_of_json(name: str) -> None:
    data = canonical.for_host(whole(), name)
    assert canonical.dump(data).decode() == json.dumps(data, indent=2) + "\n"
    base = canonical.for_base(whole())
    assert canonical.dump(base).decode() == json.dumps(base, indent=2) + "\n"


def test_what_each_host_carries_is_read_as_it_was() -> None:
    for position, name in enumerate(("infra0", "infra1", "infra2", "infra0")):
        cluster, host = canonical.read_host(carried(name), name)
        assert host == parse({**whole(), "images": []}).hosts[position % 3]
        assert canonical.dump(canonical.for_host(canonical.tree(cluster), name)) == carried(name)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"10.0.0.6"', b'"10.0.0.7"', "breaks a rule"),
        (b'"10.0.0.6"', b'"nowhere"', "breaks a rule"),
        (b'"name": "infra0"', b'"name": "infra9"', "no host is named infra0"),
        (b'"extraSANs": []', b'"extraSANs": ["10.0.0.7"]', "breaks a rule"),
        (b'"extraSANs": []', b'"extraSANs": ["A.example.net"]', "breaks a rule"),
        (b'"extraSANs": []', b'"extraSANs": [],\n      "more": 1', "breaks a rule"),
        (b'{\n      "name": "infra2"', b'{"name": "infra2"', "is not written as bundlegen writes it"),
    ],
)
def test_another_one_is_found_though_one_like_it_was_read_before(old: bytes, new: bytes, said: str) -> None:
    good = carried("infra0")
    canonical.read_host(good, "infra0")
    assert old in good
    with pytest.raises(ValueError, match=said):
        canonical.read_host(good.replace(old, new, 1), "infra0")
