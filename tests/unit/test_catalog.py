"""The table of certificates: what must hold of it, and what it makes of a specification."""

from __future__ import annotations

from ipaddress import ip_address
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundlegen.pki import catalog
from bundlegen.pki.catalog import CATALOG, host_files, host_requests, host_sans
from tests.pki_cases import cluster, with_hosts

GUIDE_FILES = [
    "apiserver-etcd-client.crt",
    "apiserver-etcd-client.key",
    "etcd/ca.crt",
    "etcd/healthcheck-client.crt",
    "etcd/healthcheck-client.key",
    "etcd/peer.crt",
    "etcd/peer.key",
    "etcd/server.crt",
    "etcd/server.key",
]


def test_names_and_base_names_are_unique() -> None:
    assert len({spec.name for spec in CATALOG}) == len({spec.base_name for spec in CATALOG}) == len(CATALOG) == 5


def test_cas_come_first_and_every_parent_is_there() -> None:
    seen: set[str] = set()
    for spec in CATALOG:
        assert spec.ca_name is None or spec.ca_name in seen
        assert bool(spec.usages) != spec.is_ca
        seen.add(spec.name)


def test_file_names_are_kubeadms() -> None:
    assert [spec.base_name for spec in CATALOG] == [
        "etcd/ca",
        "etcd/server",
        "etcd/peer",
        "etcd/healthcheck-client",
        "apiserver-etcd-client",
    ]


def test_the_first_host_gets_the_guides_ten_files_and_the_others_nine() -> None:
    asked = cluster()
    paths = [[file.path for file in host_files(asked, host)] for host in asked.hosts]
    assert paths == [sorted([*GUIDE_FILES, "etcd/ca.key"]), GUIDE_FILES, GUIDE_FILES]


@pytest.mark.parametrize(("keeper", "expected"), [("infra2", ["infra2"]), ("none", [])])
def test_the_ca_key_goes_where_asked(keeper: str, expected: list[str]) -> None:
    asked = cluster(caKeyHost=keeper)
    holders = [host.name for host in asked.hosts for file in host_files(asked, host) if file.path == "etcd/ca.key"]
    assert holders == expected


def test_only_keys_are_private() -> None:
    asked = cluster()
    for host in asked.hosts:
        for file in host_files(asked, host):
            assert file.private == file.path.endswith(".key")


@pytest.mark.parametrize(
    ("version", "organization"),
    [("v1.22.3", "system:masters"), ("v1.28.0", "system:masters"), ("v1.29.0", None), ("v1.37.0", None)],
)
def test_client_certificates_lost_their_organization_in_1_29(version: str, organization: str | None) -> None:
    asked = cluster(version=version)
    found = {request.name: request.organization for request in host_requests(asked, asked.hosts[0])}
    clients = {catalog.ETCD_HEALTHCHECK_CLIENT, catalog.APISERVER_ETCD_CLIENT}
    assert found == {name: organization if name in clients else None for name in found}
    assert clients < found.keys()


def test_an_ipv6_host_has_both_loopbacks() -> None:
    asked = with_hosts({"name": "a", "address": "fd00::6", "extraSANs": ["z.example.net", "b", "192.0.2.1"]})
    server = host_requests(asked, asked.hosts[0])[0]
    assert server.dns_names == ("a", "b", "localhost", "z.example.net")
    assert server.ip_addresses == ("fd00::6", "127.0.0.1", "::1", "192.0.2.1")
    assert server.sans[0] == "DNS:a"
    assert server.sans[-1] == "IP:192.0.2.1"


names = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z][a-z0-9]{0,5})?", fullmatch=True)
addresses = st.ip_addresses().filter(lambda ip: getattr(ip, "ipv4_mapped", None) is None).map(str)


@given(names, addresses, st.lists(names | addresses | st.sampled_from(["localhost", "127.0.0.1", "::1"])))
def test_sans_lose_nothing_add_nothing_and_are_ordered(name: str, address: str, extra: list[str]) -> None:
    dns, ips = host_sans(name, address, extra)
    assert {*dns, *ips} == {name, "localhost", address, "127.0.0.1", "::1", *extra}
    assert all(before < after for before, after in pairwise(dns))
    assert len(set(ips)) == len(ips)
    assert ips[0] == address
    assert all(ip_address(ip) for ip in ips)
    # Without the extra ones the order is kubeadm's, and each extra one comes after those it was named after.
    base = list(dict.fromkeys([address, "127.0.0.1", "::1"]))
    assert list(ips[: len(base)]) == base
    rest = list(ips[len(base) :])
    assert rest == sorted(rest, key=extra.index)
