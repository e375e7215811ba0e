"""The stand-ins say and refuse what the real ones do: without that, a green end-to-end test would prove little."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.standins import kubeadm_config, kubeadm_etcd, kubelet_options, versions
from tests.e2e.standins.kubeadm_config import ConfigError
from tests.e2e.standins.kubelet_options import RefusedError
from tests.e2e.standins.versions import Version

REAL = Path(__file__).parents[1] / "fixtures" / "kubeadm"
SOUND = {"swap": False, "cgroup_v1": False}
PREFIXES = {"ipv4": "10.0.0.", "ipv6": "fd00:db8::"}


def _config(version: Version, family: str = "ipv4", number: int = 0, **cluster: Any) -> list[dict[str, Any]]:
    """The guide's kubeadmcfg.yaml."""
    bare = [f"{PREFIXES[family]}{6 + index}" for index in range(3)]
    urls = [f"https://[{address}]" if ":" in address else f"https://{address}" for address in bare]
    arguments = {
        "initial-cluster": ",".join(f"infra{index}={url}:2380" for index, url in enumerate(urls)),
        "initial-cluster-state": "new",
        "name": f"infra{number}",
        "listen-peer-urls": f"{urls[number]}:2380",
        "listen-client-urls": f"{urls[number]}:2379",
        "advertise-client-urls": f"{urls[number]}:2379",
        "initial-advertise-peer-urls": f"{urls[number]}:2380",
    }
    as_list = [{"name": name, "value": value} for name, value in arguments.items()]
    local: dict[str, Any] = {"serverCertSANs": [bare[number]], "peerCertSANs": [bare[number]]}
    local["extraArgs"] = as_list if version.minor >= 31 else arguments
    api = "kubeadm.k8s.io/v1beta4" if version.minor >= 31 else "kubeadm.k8s.io/v1beta3"
    socket = "unix:///var/run/containerd/containerd.sock"
    init = {"nodeRegistration": {"name": f"infra{number}", "criSocket": socket}}
    return [
        {
            "apiVersion": api,
            "kind": "InitConfiguration",
            **init,
            "localAPIEndpoint": {"advertiseAddress": bare[number]},
        },
        {
            "apiVersion": api,
            "kind": "ClusterConfiguration",
            "kubernetesVersion": str(version),
            "etcd": {"local": local},
            **cluster,
        },
    ]


def _write(folder: Path, documents: list[dict[str, Any]]) -> Path:
    path = folder / "kubeadmcfg.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    return path


@pytest.mark.parametrize("real", sorted(REAL.glob("v*-ip*.yaml")), ids=lambda path: path.stem)
def test_the_manifest_is_byte_for_byte_the_real_one(real: Path, tmp_path: Path) -> None:
    name, family, host = real.stem.split("-")
    version = Version.parse(name)
    config = kubeadm_config.read(_write(tmp_path, _config(version, family, int(host[-1]))), version)
    pod = kubeadm_etcd.pod(config, version, "/var/lib/etcd")
    assert yaml.safe_dump(pod, default_flow_style=False, width=4096) == real.read_text()


@pytest.mark.parametrize("real", sorted(REAL.glob("*-images.txt")), ids=lambda path: path.stem)
def test_the_images_are_the_real_ones(real: Path) -> None:
    version = Version.parse(real.stem.removesuffix("-images"))
    listed = {image for image in real.read_text().split() if "coredns" not in image}
    assert {image for image in versions.images(version, version) if "coredns" not in image} == listed


def _changed(version: str, change: Any) -> list[dict[str, Any]]:
    documents = _config(Version.parse(version))
    change(documents)
    return documents


BAD_CONFIGS = {
    "v1beta4 before 1.31": ("v1.30.0", lambda docs: [doc.update(apiVersion="kubeadm.k8s.io/v1beta4") for doc in docs]),
    "v1beta3 from 1.37 on": ("v1.37.0", lambda docs: [doc.update(apiVersion="kubeadm.k8s.io/v1beta3") for doc in docs]),
    "a list of arguments in v1beta3": ("v1.30.0", lambda docs: docs[1]["etcd"]["local"].update(extraArgs=[])),
    "a map of arguments in v1beta4": ("v1.31.0", lambda docs: docs[1]["etcd"]["local"].update(extraArgs={"a": "b"})),
    "no version": ("v1.31.0", lambda docs: docs[1].pop("kubernetesVersion")),
    "a version label": ("v1.31.0", lambda docs: docs[1].update(kubernetesVersion="stable-1")),
    "two minors behind": ("v1.31.0", lambda docs: docs[1].update(kubernetesVersion="v1.29.0")),
    "a name with an underscore": ("v1.31.0", lambda docs: docs[0]["nodeRegistration"].update(name="infra_0")),
    "no address": ("v1.31.0", lambda docs: docs[0].pop("localAPIEndpoint")),
    "a loopback address": ("v1.31.0", lambda docs: docs[0]["localAPIEndpoint"].update(advertiseAddress="127.0.0.1")),
    "a bracketed address": ("v1.31.0", lambda docs: docs[0]["localAPIEndpoint"].update(advertiseAddress="[fd00::1]")),
    "local and external": ("v1.31.0", lambda docs: docs[1]["etcd"].update(external={"endpoints": []} | {"caFile": ""})),
}


@pytest.mark.parametrize("what", BAD_CONFIGS)
def test_kubeadm_refuses(what: str, tmp_path: Path) -> None:
    version, change = BAD_CONFIGS[what]
    path = _write(tmp_path, _changed(version, change))
    with pytest.raises(ConfigError):
        kubeadm_config.read(path, Version.parse(version))


def test_kubeadm_only_warns_of_unknown_fields_unless_it_validates(tmp_path: Path) -> None:
    version = Version(31, 4)
    path = _write(tmp_path, _config(version, imageTag="3.5.9-0"))
    assert kubeadm_config.read(path, version).warnings == ['unknown field "ClusterConfiguration.imageTag"']
    with pytest.raises(ConfigError, match="unknown field"):
        kubeadm_config.read(path, version, strict=True)


STANDALONE = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "authentication": {"webhook": {"enabled": False}},
    "authorization": {"mode": "AlwaysAllow"},
    "cgroupDriver": "systemd",
}
SOCKET = "unix:///var/run/containerd/containerd.sock"
REMOTE = ["--container-runtime=remote", f"--container-runtime-endpoint={SOCKET}"]

# minor, configuration's changes, flags, machine's changes
REFUSED: dict[str, tuple[int, dict[str, Any], list[str], dict[str, bool]]] = {
    "--container-runtime from 1.27 on": (27, {}, REMOTE, {}),
    "no --container-runtime before 1.24: dockershim": (23, {}, REMOTE[1:], {}),
    "--pod-infra-container-image from 1.35 on": (35, {}, ["--pod-infra-container-image=pause"], {}),
    "webhook authentication without a kubeconfig": (31, {"authentication": {}}, [], {}),
    "webhook authorization without a kubeconfig": (31, {"authorization": {}}, [], {}),
    "swap": (31, {}, [], {"swap": True}),
    "cgroup v1 from 1.35 on": (35, {}, [], {"cgroup_v1": True}),
    "a value of the wrong type": (31, {"failSwapOn": "yes"}, [], {}),
    "another kind": (31, {"kind": "KubeProxyConfiguration"}, [], {}),
    "an unknown flag": (31, {}, ["--no-such-flag"], {}),
    "a missing kubeconfig": (31, {}, ["--kubeconfig=/nonexistent"], {}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_kubelet_refuses(what: str, tmp_path: Path) -> None:
    minor, changes, flags, machine = REFUSED[what]
    with pytest.raises(RefusedError):
        _kubelet(tmp_path, minor, changes, flags, machine)


ACCEPTED: dict[str, tuple[int, dict[str, Any], list[str], dict[str, bool]]] = {
    "1.22 as the guide has it": (22, {}, REMOTE, {}),
    "1.24 to 1.26 with the endpoint as a flag": (26, {}, REMOTE[1:], {}),
    "the endpoint as a field from 1.27 on": (27, {"containerRuntimeEndpoint": SOCKET}, [], {}),
    "swap if told so": (31, {"failSwapOn": False}, [f"--container-runtime-endpoint={SOCKET}"], {"swap": True}),
    "cgroup v1 if told so": (35, {"failCgroupV1": False, "containerRuntimeEndpoint": SOCKET}, [], {"cgroup_v1": True}),
}


@pytest.mark.parametrize("what", ACCEPTED)
def test_kubelet_accepts(what: str, tmp_path: Path) -> None:
    minor, changes, flags, machine = ACCEPTED[what]
    options = _kubelet(tmp_path, minor, changes, flags, machine)
    assert (options.endpoint, options.cgroup_driver, options.warnings) == (SOCKET, "systemd", [])


def test_the_endpoint_as_a_field_has_no_effect_before_1_27(tmp_path: Path) -> None:
    options = _kubelet(tmp_path, 26, {"containerRuntimeEndpoint": "unix:///elsewhere.sock"}, [], {})
    assert options.endpoint == "unix:///run/containerd/containerd.sock"
    assert "containerRuntimeEndpoint" in options.warnings[0]


def _kubelet(
    folder: Path, minor: int, changes: dict[str, Any], flags: list[str], machine: dict[str, bool]
) -> kubelet_options.Options:
    path = folder / "kubelet.yaml"
    path.write_text(yaml.safe_dump(STANDALONE | changes))
    return kubelet_options.read([f"--config={path}", *flags], Version(minor, 0), SOUND | machine)
