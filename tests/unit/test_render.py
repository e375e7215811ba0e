"""The texts of a bundle: compared with what kubeadm made, with the guide, and by what reading them back gives."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bundlegen import kubernetes
from bundlegen.bundle import conf as table
from bundlegen.bundle import member, render
from bundlegen.bundle.facts import Content, Facts, Window
from bundlegen.spec import check
from bundlegen.spec.model import Cluster
from bundlegen.system import jinja, resources
from tests.strategies import specifications

FIXTURES = Path(__file__).parent.parent / "fixtures" / "kubeadm"
TOKEN = "prod-5c1e"
HOSTS = ("infra0", "infra1", "infra2")
MINORS = range(22, 38)
MOMENT = datetime(2026, 11, 22, tzinfo=UTC)
CONTENT = Content(window=Window(MOMENT, MOMENT, MOMENT))


def guide(version: str, family: str = "ipv4", **changes: Any) -> Cluster:
    prefix = "10.0.0." if family == "ipv4" else "fd00:db8::"
    hosts = [{"name": name, "address": f"{prefix}{6 + number}"} for number, name in enumerate(HOSTS)]
    return check.parse({"name": "prod", "kubernetesVersion": version, "hosts": hosts, **changes})


def renderer(asked: Cluster) -> render.Renderer:
    return render.Renderer(asked, TOKEN, lru_cache(resources.template_text))


def values(asked: Cluster) -> dict[str, str]:
    """bundle.conf of the first host."""
    return table.values(Facts(asked, asked.hosts[0], TOKEN, member.founding(asked), CONTENT))


def config_of(asked: Cluster, host: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    init, whole = yaml.load_all(renderer(asked).kubeadm_config(asked.hosts[host]), yaml.CSafeLoader)
    return init, whole


def args_of(asked: Cluster, host: int = 0) -> dict[str, str]:
    args = config_of(asked, host)[1]["etcd"]["local"]["extraArgs"]
    if isinstance(args, dict):
        return args
    assert all(set(arg) == {"name", "value"} for arg in args)
    return {arg["name"]: arg["value"] for arg in args}


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("version", ["v1.22.3", "v1.31.14", "v1.36.2"])
def test_the_manifest_is_what_kubeadm_made(version: str, family: str, host: str) -> None:
    """Equal but for the token, which only bundlegen sets, the order of flags, and a field without meaning."""
    theirs = yaml.safe_load((FIXTURES / f"{version}-{family}-{host}.yaml").read_text())
    theirs["metadata"].pop("creationTimestamp", None)
    asked = guide(version, family, manifest="rendered")
    ours = yaml.safe_load(renderer(asked).static_pod(asked.hosts[HOSTS.index(host)]))
    command = ours["spec"]["containers"][0]["command"]
    command.remove(f"--initial-cluster-token={TOKEN}")
    assert command[0] == theirs["spec"]["containers"][0]["command"][0] == "etcd"
    for pod in (ours, theirs):
        pod["spec"]["containers"][0]["command"].sort()
    assert ours == theirs


@pytest.mark.parametrize("minor", MINORS)
def test_kubeadm_config(minor: int) -> None:
    asked = guide(f"v1.{minor}.1")
    init, whole = config_of(asked, 1)
    version = "v1beta4" if minor >= 31 else "v1beta3"
    assert init == {
        "apiVersion": f"kubeadm.k8s.io/{version}",
        "kind": "InitConfiguration",
        "nodeRegistration": {"name": "infra1", "criSocket": "unix:///var/run/containerd/containerd.sock"},
        "localAPIEndpoint": {"advertiseAddress": "10.0.0.7"},
    }
    assert isinstance(whole["etcd"]["local"].pop("extraArgs"), list if minor >= 31 else dict)
    newer = {
        "encryptionAlgorithm": "RSA-2048",
        "certificateValidityPeriod": "8760h0m0s",
        "caCertificateValidityPeriod": "87600h0m0s",
    }
    assert whole == {
        "apiVersion": f"kubeadm.k8s.io/{version}",
        "kind": "ClusterConfiguration",
        "kubernetesVersion": f"v1.{minor}.1",
        "certificatesDir": "/etc/kubernetes/pki",
        "etcd": {
            "local": {
                "dataDir": "/var/lib/etcd", "serverCertSANs": ["10.0.0.7"], "peerCertSANs": ["10.0.0.7"],
            }
        },
        **(newer if minor >= 31 else {}),
    }  # fmt: skip
    assert args_of(asked, 1) == {
        "initial-cluster": "infra0=https://10.0.0.6:2380,infra1=https://10.0.0.7:2380,infra2=https://10.0.0.8:2380",
        "initial-cluster-state": "new",
        "initial-cluster-token": TOKEN,
        "name": "infra1",
        "listen-peer-urls": "https://10.0.0.7:2380",
        "listen-client-urls": "https://10.0.0.7:2379",
        "advertise-client-urls": "https://10.0.0.7:2379",
        "initial-advertise-peer-urls": "https://10.0.0.7:2380",
    }


@pytest.mark.parametrize("version", ["v1.30.0", "v1.36.0"])
def test_ipv6_is_bracketed_in_urls_and_bare_elsewhere(version: str) -> None:
    asked = guide(version, "ipv6", ports={"client": 12379, "peer": 12380, "metrics": 12381})
    init, whole = config_of(asked)
    assert init["localAPIEndpoint"]["advertiseAddress"] == "fd00:db8::6"
    assert whole["etcd"]["local"]["serverCertSANs"] == ["fd00:db8::6"]
    args = args_of(asked)
    assert args["listen-client-urls"] == args["advertise-client-urls"] == "https://[fd00:db8::6]:12379"
    assert args["listen-peer-urls"] == args["initial-advertise-peer-urls"] == "https://[fd00:db8::6]:12380"
    assert args["listen-metrics-urls"] == "http://[::1]:12381"
    assert args["initial-cluster"].split(",")[2] == "infra2=https://[fd00:db8::8]:12380"
    conf = renderer(asked).bundle_conf(asked.hosts[0], CONTENT)
    assert "\nADDRESS='fd00:db8::6'\n" in f"\n{conf}"
    assert "METRICS_URL='http://[::1]:12381'\n" in conf


def test_other_ports_are_in_the_manifest_everywhere() -> None:
    """Unlike kubeadm's own, which keeps 2379 in the annotation whatever the port (kubernetes/kubeadm#2602)."""
    asked = guide("v1.36.0", ports={"client": 12379, "peer": 12380, "metrics": 12381}, manifest="rendered")
    text = renderer(asked).static_pod(asked.hosts[0])
    assert not {"2379", "2380", "2381"} & set(text.replace("/", ":").replace('"', " ").replace("\n", ":").split(":"))
    pod = yaml.safe_load(text)
    [container] = pod["spec"]["containers"]
    assert container["ports"] == [{"containerPort": 12381, "name": "probe-port", "protocol": "TCP"}]
    [annotation] = pod["metadata"]["annotations"].values()
    assert annotation == "https://10.0.0.6:12379"
    older = guide("v1.30.0", ports={"client": 12379, "peer": 12380, "metrics": 12381}, manifest="rendered")
    [container] = yaml.safe_load(renderer(older).static_pod(older.hosts[0]))["spec"]["containers"]
    assert container["livenessProbe"]["httpGet"]["port"] == container["startupProbe"]["httpGet"]["port"] == 12381


@pytest.mark.parametrize(
    ("family", "port", "urls"),
    [
        ("ipv4", 2381, "http://127.0.0.1:2381,http://10.0.0.6:2381"),
        ("ipv6", 2381, "http://[::1]:2381,http://[fd00:db8::6]:2381"),
        ("ipv4", 12381, "http://127.0.0.1:12381,http://10.0.0.6:12381"),
    ],
)
def test_metrics_on_the_address_leave_the_probes_on_loopback(family: str, port: int, urls: str) -> None:
    """kubeadm's probes ask the first of the URLs."""
    asked = guide("v1.31.14", family, ports={"metrics": port}, etcd={"metricsOn": "address"}, manifest="rendered")
    assert args_of(asked)["listen-metrics-urls"] == urls
    [container] = yaml.safe_load(renderer(asked).static_pod(asked.hosts[0]))["spec"]["containers"]
    assert f"--listen-metrics-urls={urls}" in container["command"]
    assert container["livenessProbe"]["httpGet"]["host"] == ("127.0.0.1" if family == "ipv4" else "::1")
    found = values(asked)
    assert (found["METRICS_ON"], found["METRICS_URL"]) == ("address", urls.split(",")[0])


def test_the_health_checks_timer_writes_for_monitoring_where_that_is_asked_for() -> None:
    plain = renderer(guide("v1.31.14"))
    asked = renderer(guide("v1.31.14", health={"metricsDirectory": "/srv/metrics"}))
    command = "\nExecStart=/usr/local/sbin/bundlegen-health"
    assert plain.health_service().endswith(f"{command}\n")
    assert asked.health_service().endswith(
        f"{command} --metrics /srv/metrics/bundlegen-{guide('v1.31.14').name}.prom\n"
    )
    assert "\nOnCalendar=daily\nRandomizedDelaySec=1h\n" in plain.health_timer()
    assert "\nOnCalendar=hourly\nRandomizedDelaySec=5min\n" in asked.health_timer()


def test_metrics_on_loopback_need_no_flag() -> None:
    assert "listen-metrics-urls" not in args_of(guide("v1.31.14", etcd={"metricsOn": "loopback"}))


@pytest.mark.parametrize("minor", MINORS)
def test_kubelet(minor: int) -> None:
    asked = guide(f"v1.{minor}.0")
    config = yaml.safe_load(renderer(asked).kubelet_config())
    endpoint = "unix:///var/run/containerd/containerd.sock"
    assert config.pop("containerRuntimeEndpoint", None) == (endpoint if minor >= 27 else None)
    assert config == {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "systemd",
        "address": "127.0.0.1",
        "staticPodPath": "/etc/kubernetes/manifests",
    }
    flags = "--config=/etc/systemd/system/kubelet.service.d/kubelet.conf"
    flags += " --container-runtime=remote" if minor <= 23 else ""
    flags += f" --container-runtime-endpoint={endpoint}" if minor <= 26 else ""
    lines = renderer(asked).kubelet_dropin().splitlines()
    assert lines == [
        *(
            "[Unit]",
            "StartLimitIntervalSec=0",
            "[Service]",
            "ExecStartPre=/usr/local/sbin/bundlegen-guard",
            "ExecStart=",
        ),
        *(f"ExecStart=/usr/bin/kubelet {flags}", "Restart=always", "RestartSec=10"),
    ]


def test_extra_config_is_merged_and_its_effect_is_in_the_conf() -> None:
    extra = {"failSwapOn": False, "failCgroupV1": False, "systemReserved": {"cpu": "200m"}}
    asked = guide("v1.35.0", kubelet={"extraConfig": extra})
    config = yaml.safe_load(renderer(asked).kubelet_config())
    assert {key: config[key] for key in extra} == extra
    assert config["authorization"] == {"mode": "AlwaysAllow"}
    conf = values(asked)
    assert (conf["KUBELET_FAIL_SWAP_ON"], conf["KUBELET_FAIL_CGROUP_V1"]) == ("false", "false")
    plain = values(guide("v1.35.0"))
    assert (plain["KUBELET_FAIL_SWAP_ON"], plain["KUBELET_FAIL_CGROUP_V1"]) == ("true", "true")


def test_the_image_is_exact_only_where_the_bundle_says_which() -> None:
    def exact(**changes: Any) -> str:
        asked = guide("v1.31.4", **changes)
        return values(asked)["ETCD_IMAGE_EXACT"]

    assert exact() == "no"
    assert exact(manifest="rendered") == exact(etcd={"imageTag": "3.5.16-0"}) == "yes"


def test_flags_of_the_specification_come_last_and_are_kept() -> None:
    asked = guide("v1.31.4", etcd={"extraArgs": {"snapshot-count": "5000", "log-level": "warn"}}, manifest="rendered")
    assert args_of(asked)["snapshot-count"] == "5000"
    flags = member.flags(asked, asked.hosts[0], TOKEN, member.founding(asked))
    assert (flags["snapshot-count"], flags["log-level"], flags["client-cert-auth"]) == ("5000", "warn", "true")
    assert list(flags) == sorted(flags)


def test_p384_is_named_only_to_a_kubeadm_that_knows_it() -> None:
    for minor, named in ((33, None), (34, "ECDSA-P384")):
        _, whole = config_of(guide(f"v1.{minor}.0", pki={"encryptionAlgorithm": "ECDSA-P384"}))
        assert whole.get("encryptionAlgorithm") == named


# What a specification's texts may hold: control characters and line separators are refused there.
@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cn"), exclude_characters="\ufeff")))
def test_a_scalar_is_read_back_as_it_was(text: str) -> None:
    for written in (jinja.scalar(text), jinja.quoted_scalar(text)):
        assert yaml.safe_load(f"a: {written}\nb: 1\n") == {"a": text, "b": 1}


@pytest.mark.parametrize(
    "text", ["no", "~", "1", "1.5", "0x1", "10:20", "true", "null", "", " a", "a: b", "- a", "2026-01-01"]
)
def test_a_scalar_that_looks_like_something_else_stays_text(text: str) -> None:
    assert yaml.safe_load(jinja.scalar(text)) == text


@pytest.mark.parametrize("text", ["a'b", "a\nb", "a\\b", "\x00", "a\tb", "\x7f"])
def test_what_the_conf_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        jinja.conf_value(text)


@given(specifications(max_hosts=2))
@settings(max_examples=40)
def test_every_valid_specification_renders_and_reads_back(data: dict[str, Any]) -> None:
    asked = check.parse(data)
    made = renderer(asked)
    for number, host in enumerate(asked.hosts):
        init, whole = config_of(asked, number)
        assert init["nodeRegistration"]["name"] == args_of(asked, number)["name"] == host.name
        assert whole["etcd"]["local"]["dataDir"] == asked.etcd.data_dir
        own = member.own_args(asked, host, TOKEN, member.founding(asked))
        assert args_of(asked, number) == {**own, **asked.etcd.extra_args}
        [container] = yaml.load(made.static_pod(host), yaml.CSafeLoader)["spec"]["containers"]
        flags = member.flags(asked, host, TOKEN, member.founding(asked))
        assert container["command"] == ["etcd", *(f"--{name}={value}" for name, value in flags.items())]
        assert container["image"] == member.image(asked)
        for line in made.bundle_conf(host, CONTENT).splitlines():
            assert line.endswith("'")
            assert line.count("'") == 2
    config = yaml.load(made.kubelet_config(), yaml.CSafeLoader)
    assert {key: config[key] for key in asked.kubelet.extra_config} == dict(asked.kubelet.extra_config)
    assert kubernetes.for_version(asked.minor).number == asked.minor
