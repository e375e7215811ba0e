"""Specifications that are right: defaults, normalising, warnings, the JSON Schema, and documentation that agrees."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from bundlegen.errors import SpecError
from bundlegen.spec.check import check, parse
from bundlegen.spec.load import load
from bundlegen.spec.model import Cluster
from bundlegen.spec.schema import json_schema
from tests.strategies import specifications

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
HOSTS = [{"name": f"infra{i}", "address": f"10.0.0.{6 + i}"} for i in range(3)]


def spec(**fields: Any) -> dict[str, Any]:
    return {"name": "prod-etcd", "kubernetesVersion": "v1.31.4", "hosts": HOSTS} | fields


def warnings(**fields: Any) -> list[str]:
    checked = check(spec(**fields))
    assert checked.problems == ()
    return [f"{found.field}: {found.message}" for found in checked.warnings]


def test_the_smallest_specification_has_the_documented_defaults() -> None:
    cluster = parse(spec())
    assert (cluster.minor, cluster.patch, cluster.ca_key_host) == (31, 4, "infra0")
    assert (cluster.ports.client, cluster.ports.peer, cluster.ports.metrics) == (2379, 2380, 2381)
    assert cluster.pki.certificate_validity_period == timedelta(days=365)
    assert cluster.pki.not_before_margin == timedelta(minutes=5)
    assert cluster.kubelet.config_file == "/etc/systemd/system/kubelet.service.d/kubelet.conf"


def test_values_are_normalised() -> None:
    hosts = [{"name": "a", "address": "FD00:0:0::0A", "extraSANs": ["fd00::00B", "*.example.net"]}]
    cluster = parse(spec(kubernetesVersion="1.22.3", hosts=hosts))
    assert cluster.kubernetes_version == "v1.22.3"
    assert cluster.hosts[0].address == "fd00::a"
    assert cluster.hosts[0].extra_sans == ("fd00::b", "*.example.net")


@pytest.mark.parametrize(("raw", "host"), [(None, "infra0"), ("infra2", "infra2"), ("none", None)])
def test_ca_key_host(raw: str | None, host: str | None) -> None:
    assert parse(spec(pki={"caKeyHost": raw})).ca_key_host == host


def test_empty_sections_are_as_good_as_absent() -> None:
    assert parse(spec(ports=None, pki=None, kubelet=None, etcd={"extraArgs": None}, images=None)) == parse(spec())


def test_parse_raises_every_problem() -> None:
    with pytest.raises(SpecError) as caught:
        parse({"name": "Prod", "kubernetesVersion": "v1.31.4", "hosts": [HOSTS[0], HOSTS[0]]})
    assert [problem.field for problem in caught.value.problems] == ["name", "hosts[1].name", "hosts[1].address"]


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, ["hosts: one host: when it is lost, the cluster and its data are"]),
        (2, ["hosts: two hosts: when either is lost, etcd stops"]),
        (3, []),
        (4, ["hosts: 4 hosts survive the loss of 1, no more than 3 do"]),
        (5, []),
        (6, ["hosts: 6 hosts survive the loss of 2, no more than 5 do"]),
        (7, []),
        (8, ["hosts: 8 hosts survive the loss of 3, no more than 7 do, and every write waits for 5 of them"]),
        (9, ["hosts: 9 hosts: every write waits for 5 of them"]),
    ],
)
def test_numbers_of_hosts_that_few_want(count: int, expected: list[str]) -> None:
    assert warnings(hosts=[{"name": f"h{i}", "address": f"10.0.0.{i + 1}"} for i in range(count)]) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"hosts": [*HOSTS[:2], {"name": "c", "address": "fd00::1"}]},
            "hosts[2].address: fd00::1 is IPv6, but hosts[0] has IPv4",
        ),
        (
            {"pki": {"certificateValidityPeriod": "719h"}},
            "pki.certificateValidityPeriod: after 719h0m0s the members no longer accept each other",
        ),
        (
            {"pki": {"ca": {"certificate": "c", "key": "k"}, "caCertificateValidityPeriod": "9000h"}},
            "pki.caCertificateValidityPeriod: has no effect, because pki.ca brings a CA of its own",
        ),
        (
            {"kubernetesVersion": "v1.22.3"},
            "kubernetesVersion: kubeadm v1.22.3 starts etcd 3.5.0, which can lose data (kubeadm#2676)",
        ),
        (
            {"kubernetesVersion": "v1.24.0"},
            "kubernetesVersion: kubeadm v1.24.0 starts etcd 3.5.3, which has known data problems",
        ),
        (
            {"kubernetesVersion": "v1.30.0", "etcd": {"imageTag": "3.5.4-0"}},
            "etcd.imageTag: etcd 3.5.4 has known data problems",
        ),
        ({"etcd": {"imageTag": "latest"}}, "etcd.imageTag: latest does not say which etcd it is"),
        (
            {"etcd": {"imageRepository": "registry.example.net/etcd"}},
            "etcd.imageRepository: the image will be registry.example.net/etcd/etcd",
        ),
        (
            {"kubernetesVersion": "v1.34.0", "etcd": {"extraArgs": {"experimental-memory-mlock": "true"}}},
            "etcd.extraArgs.experimental-memory-mlock: --experimental flags end with etcd 3.7",
        ),
        (
            {"etcd": {"extraArgs": {"snapshot": "1"}}},
            "etcd.extraArgs.snapshot: does nothing in etcd 3.5.15 of kubeadm v1.31.4",
        ),
        (
            {"kubernetesVersion": "v1.36.0", "etcd": {"imageTag": "3.8.1-0", "extraArgs": {"snapshot-cout": "1"}}},
            "etcd.extraArgs.snapshot-cout: etcd 3.7, the newest that bundlegen knows, has no such flag",
        ),
        (
            {"etcd": {"extraArgs": {"unsafe-no-fsync": "true"}}},
            "etcd.extraArgs.unsafe-no-fsync: a power cut can then destroy the data",
        ),
        (
            {"kubernetesVersion": "v1.36.0", "etcd": {"extraArgs": {"feature-gates": "StopGRPCServiceOnDefrag=true"}}},
            "etcd.extraArgs.feature-gates: replaces kubeadm's own InitialCorruptCheck=true",
        ),
    ],
)
def test_warnings(fields: dict[str, Any], expected: str) -> None:
    assert warnings(**fields) == [expected]


@pytest.mark.parametrize(
    "fields",
    [
        {"kubernetesVersion": "v1.22.17"},
        {"kubernetesVersion": "v1.22.3", "etcd": {"imageTag": "3.5.6-0"}},
        {"kubernetesVersion": "v1.37.0"},
        {"etcd": {"extraArgs": {"wal-dir": "/var/lib/etcd/wal"}}},
        {"etcd": {"extraArgs": {"experimental-memory-mlock": "true", "enable-v2": "true", "log-level": ""}}},
        {"etcd": {"extraArgs": {"enable-grpc-gateway": "true", "quota-backend-bytes": "0x80000000"}}},
        {
            "kubernetesVersion": "v1.31.4",
            "etcd": {"imageTag": "3.5.16-0", "extraArgs": {"experimental-compaction-sleep-interval": "1h2m3.5s"}},
        },
        {
            "kubernetesVersion": "v1.34.1",
            "etcd": {"extraArgs": {"feature-gates": "InitialCorruptCheck=true,LeaseCheckpoint=1"}},
        },
        {"etcd": {"dataDir": "/data"}},
        {
            "kubelet": {
                "configFile": "/etc/kubernetes/kubelet-etcd.yaml",
                "extraConfig": {"port": 10350, "healthzPort": 0},
            }
        },
        {"kubelet": {"extraConfig": {"port": 12250}}, "ports": {"client": 10250}},
        {"kubelet": {"extraConfig": {"readOnlyPort": 0, "healthzPort": 0}}, "etcd": {"metricsOn": "address"}},
        {"pki": {"certificateValidityPeriod": "87600h"}},
        {"pki": {"notBeforeMargin": "0"}},
        {"pki": {"ca": {"certificate": "c", "key": "k"}, "certificateValidityPeriod": "90000h"}},
        {"hosts": [{"name": "a.example.net", "address": "10.0.0.1", "extraSANs": ["*.example.net"]}, *HOSTS[1:]]},
        {
            "hosts": [
                HOSTS[0] | {"extraSANs": ["vip.example.net"]},
                HOSTS[1] | {"extraSANs": ["vip.example.net"]},
                HOSTS[2],
            ]
        },
    ],
)
def test_nothing_to_say(fields: dict[str, Any]) -> None:
    assert warnings(**fields) == []


@pytest.mark.parametrize("tag", ["latest", "corp-2026", "sha-3f2a", "v4"])
@pytest.mark.parametrize(("flag", "value"), [("enable-v22", "true"), ("max-learners", "2"), ("log-output", "stdout")])
def test_a_tag_that_does_not_say_its_version_makes_unknown_flags_warnings(tag: str, flag: str, value: str) -> None:
    found = warnings(etcd={"imageTag": tag, "extraArgs": {flag: value}})
    assert found[0] == f"etcd.imageTag: {tag} does not say which etcd it is"
    assert len(found) == 2
    assert found[1].startswith(f"etcd.extraArgs.{flag}: etcd 3.5.15, which kubeadm v1.31.4 expects,")


def test_flags_are_not_judged_by_a_version_that_is_wrong_itself() -> None:
    checked = check(spec(kubernetesVersion="v1.340", etcd={"extraArgs": {"enable-v2": "true", "pre-vote": "maybe"}}))
    assert [found.field for found in checked.problems] == ["kubernetesVersion", "etcd.extraArgs.pre-vote"]


def test_what_rests_on_a_broken_field_is_not_reported() -> None:
    checked = check(
        spec(hosts=[{"name": "a", "address": "x"}, {"name": "b", "address": "x"}], ports={"client": "x", "peer": 2379})
    )
    assert [found.field for found in checked.problems] == ["hosts[0].address", "hosts[1].address", "ports.client"]


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.name for path in EXAMPLES])
def test_examples_are_sound_and_fit_the_schema(path: Path) -> None:
    assert load(path).warnings == ()
    jsonschema.validate(yaml.safe_load(path.read_text()), json_schema())


def test_the_schema_is_one_and_closed() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for section in (schema, *schema["$defs"].values()):
        assert section["additionalProperties"] is False
        assert section["description"]
        assert all(field.get("description") or field.get("$ref") for field in section["properties"].values())
    assert "null" not in json.dumps(schema)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=specifications())
def test_the_schema_accepts_what_bundlegen_accepts(data: dict[str, Any]) -> None:
    parse(data)
    jsonschema.Draft202012Validator(json_schema()).validate(data)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "Prod"},
        {"kubernetesVersion": "v1.38.0"},
        {"kubernetesVersion": 1.3},
        {"hosts": []},
        {"ports": {"client": 0}},
        {"etcd": {"extraArgs": {"--a": "b"}}},
        {"etcd": {"extraArgs": {"a": 1}}},
        {"etcd": {"datadir": "/x"}},
        {"pki": {"notBeforeMargin": "5 minutes"}},
        {"kubelet": {"binary": "kubelet"}},
    ],
)
def test_the_schema_refuses(fields: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spec(**fields), json_schema())


PRINT = "5c" * 32
OPENSSL = "openssl x509 -in ca.crt -noout -fingerprint -sha256"


@pytest.mark.parametrize(
    "written", [PRINT, PRINT.upper(), ":".join(["5C"] * 32), ":".join(["5c"] * 32)], ids=["plain", "AB", "A:B", "a:b"]
)
def test_a_fingerprint_in_any_spelling(written: str) -> None:
    data = spec(pki={"ca": {"fingerprint": written}})
    assert parse(data).pki.ca_fingerprint == PRINT
    assert parse(data).pki.ca_files is None
    jsonschema.validate(data, json_schema())


@pytest.mark.parametrize(
    ("ca", "problem"),
    [
        ({}, "pki.ca: is empty (name certificate and key, or the fingerprint; or leave it out)"),
        ({"certificate": "c"}, "pki.ca.key: is missing (add key: ca.key)"),
        ({"key": "k"}, "pki.ca.certificate: is missing (add certificate: ca.crt)"),
        (
            {"fingerprint": PRINT, "key": "k"},
            "pki.ca.certificate: is missing (add certificate: ca.crt)",
        ),
        (
            {"fingerprint": "5c" * 20},
            f'pki.ca.fingerprint: "{PRINT[:40]}" is a SHA-1 fingerprint (SHA-256 is wanted: {OPENSSL})',
        ),
        (
            {"fingerprint": "mine"},
            f'pki.ca.fingerprint: "mine" is not a SHA-256 fingerprint (64 digits 0-9 a-f: {OPENSSL})',
        ),
    ],
)
def test_a_ca_that_is_not_whole(ca: dict[str, Any], problem: str) -> None:
    found = check(spec(pki={"ca": ca})).problems
    assert [f"{each.field}: {each.message} ({each.hint})" for each in found] == [problem]


def documented() -> dict[str, str]:
    text = (ROOT / "docs" / "specification.md").read_text("utf-8")
    return dict(re.findall(r"^\| `([^`]+)` \| `?([^|`]+?)`? \| .+ \|$", text, re.MULTILINE))


def modelled() -> dict[str, str]:
    schema = json_schema()
    found: dict[str, str] = {}

    def walk(section: dict[str, Any], prefix: str) -> None:
        for name, field in section["properties"].items():
            target = field.get("$ref") or field.get("items", {}).get("$ref")
            path = f"{prefix}{name}"
            if not target or name in ("hosts", "ca"):
                default = json.dumps(field["default"]).strip('"') if "default" in field else "none"
                if field.get("type") == "object" and "default" not in field:
                    default = "{}"
                found[path] = "required" if name in section.get("required", ()) else default
            if target:
                walk(schema["$defs"][target.rpartition("/")[2]], f"{path}[]." if name == "hosts" else f"{path}.")

    walk(schema, "")
    return found


def test_the_documentation_names_every_field_with_its_default() -> None:
    assert documented() == modelled()


def test_documented_limits_are_those_of_the_code() -> None:
    text = (ROOT / "docs" / "specification.md").read_text("utf-8")
    for name in ("staticPodPath", "staticPodURL", "address", "authentication", "authorization", "apiVersion", "kind"):
        checked = check(spec(kubelet={"extraConfig": {name: "x"}}))
        assert [found.field for found in checked.problems] == [f"kubelet.extraConfig.{name}"]
        assert f"`{name}`" in text


def test_a_cluster_does_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse(spec()).name = "other"  # type: ignore[misc]
    assert isinstance(parse(spec()), Cluster)
