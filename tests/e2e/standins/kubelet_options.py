"""What the real kubelet accepts and refuses at its start, by version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.standins.versions import Version

# Flags this stand-in gives a meaning, and those it accepts and ignores.
FLAGS = (
    *("config", "kubeconfig", "bootstrap-kubeconfig", "container-runtime-endpoint", "pod-manifest-path"),
    *("hostname-override", "node-ip", "v", "root-dir", "node-labels", "register-node", "cert-dir", "config-dir"),
)
OVERRIDES = {
    "address": "address",
    "cgroup-driver": "cgroupDriver",
    "fail-swap-on": "failSwapOn",
    "pod-manifest-path": "staticPodPath",
    "container-runtime-endpoint": "containerRuntimeEndpoint",
}
KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("address", "cgroupDriver", "clusterDomain", "staticPodPath", "healthzBindAddress"), str),
    **dict.fromkeys(("tlsCertFile", "tlsPrivateKeyFile", "tlsMinVersion", "resolvConf", "volumePluginDir"), str),
    **dict.fromkeys(("fileCheckFrequency", "syncFrequency", "httpCheckFrequency", "runtimeRequestTimeout"), str),
    **dict.fromkeys(("nodeStatusUpdateFrequency", "streamingConnectionIdleTimeout", "shutdownGracePeriod"), str),
    **dict.fromkeys(("shutdownGracePeriodCriticalPods", "cpuManagerPolicy", "topologyManagerPolicy"), str),
    **dict.fromkeys(("hairpinMode", "staticPodURL", "systemCgroups", "kubeletCgroups", "cgroupRoot"), str),
    **dict.fromkeys(("memoryManagerPolicy", "containerLogMaxSize", "providerID", "imageMinimumGCAge"), str),
    **dict.fromkeys(("port", "readOnlyPort", "healthzPort", "maxPods", "podPidsLimit", "registryBurst"), int),
    **dict.fromkeys(("registryPullQPS", "eventRecordQPS", "eventBurst", "kubeAPIQPS", "kubeAPIBurst"), int),
    **dict.fromkeys(("oomScoreAdj", "containerLogMaxFiles", "nodeLeaseDurationSeconds", "maxOpenFiles"), int),
    **dict.fromkeys(("imageGCHighThresholdPercent", "imageGCLowThresholdPercent", "podsPerCore"), int),
    **dict.fromkeys(("failSwapOn", "rotateCertificates", "serverTLSBootstrap", "protectKernelDefaults"), bool),
    **dict.fromkeys(("serializeImagePulls", "cgroupsPerQOS", "enableServer", "cpuCFSQuota"), bool),
    **dict.fromkeys(("enableDebuggingHandlers", "makeIPTablesUtilChains", "enableControllerAttachDetach"), bool),
    **dict.fromkeys(("seccompDefault", "localStorageCapacityIsolation", "registerNode"), bool),
    **dict.fromkeys(("authentication", "authorization", "featureGates", "evictionHard", "evictionSoft"), dict),
    **dict.fromkeys(("systemReserved", "kubeReserved", "logging", "memorySwap", "evictionMinimumReclaim"), dict),
    **dict.fromkeys(("clusterDNS", "tlsCipherSuites", "enforceNodeAllocatable", "allowedUnsafeSysctls"), list),
    **dict.fromkeys(("registerWithTaints",), list),
}
KINDS_SINCE: dict[int, dict[str, type]] = {
    27: {"containerRuntimeEndpoint": str, "imageServiceEndpoint": str, "maxParallelImagePulls": int},
    31: {"failCgroupV1": bool},
}


class RefusedError(Exception):
    """The kubelet does not start; the message is what it says."""


@dataclass
class Options:
    """How a kubelet runs."""

    endpoint: str
    cgroup_driver: str = "cgroupfs"
    static_pod_path: str = ""
    address: str = "0.0.0.0"
    port: int = 10250
    healthz_address: str = "127.0.0.1"
    healthz_port: int = 10248
    resolv_conf: str = "/etc/resolv.conf"
    warnings: list[str] = field(default_factory=list)


def read(argv: Sequence[str], version: Version, machine: Mapping[str, Any]) -> Options:
    """Flags and configuration as options. machine: "swap" and "cgroup_v1", as found. Raises RefusedError."""
    flags = _flags(argv, version)
    warnings: list[str] = []
    config = _config(Path(flags["config"]), version, warnings) if flags.get("config") else {}
    for flag, name in OVERRIDES.items():
        if flag in flags:
            config[name] = yaml.safe_load(flags[flag]) if flag == "fail-swap-on" else flags[flag]
    _check_credentials(flags, config)
    if config.get("failSwapOn", True) and machine["swap"]:
        raise RefusedError(
            "failed to run Kubelet: running with swap on is not supported, please disable swap "
            'or set "failSwapOn" to false'
        )
    if machine["cgroup_v1"] and config.get("failCgroupV1", version.minor >= 35) and version.minor >= 31:
        raise RefusedError(
            "kubelet is configured to not run on a host using cgroup v1. cgroup v1 support is in maintenance mode"
        )
    options = Options(endpoint=_endpoint(flags, config, version), warnings=warnings)
    options.resolv_conf = config.get("resolvConf", options.resolv_conf)
    options.cgroup_driver = config.get("cgroupDriver", options.cgroup_driver)
    if options.cgroup_driver not in ("cgroupfs", "systemd"):
        raise RefusedError(f"invalid configuration: option cgroupDriver {options.cgroup_driver!r}")
    options.static_pod_path = config.get("staticPodPath", "")
    options.address = config.get("address", options.address)
    options.port = config.get("port", options.port)
    options.healthz_address = config.get("healthzBindAddress", options.healthz_address)
    options.healthz_port = config.get("healthzPort", options.healthz_port)
    return options


def _flags(argv: Sequence[str], version: Version) -> dict[str, str]:
    known = {*FLAGS, *OVERRIDES}
    if version.minor <= 26:
        known |= {"container-runtime"}
    if version.minor <= 34:
        known |= {"pod-infra-container-image"}
    flags: dict[str, str] = {}
    words = list(argv)
    while words:
        word = words.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--"):
            raise RefusedError(f"unknown command {word}")
        if name not in known:
            raise RefusedError(f"failed to parse kubelet flag: unknown flag: --{name}")
        flags[name] = value if equals else (words.pop(0) if words and not words[0].startswith("--") else "true")
    return flags


def _config(path: Path, version: Version, warnings: list[str]) -> dict[str, Any]:
    try:
        config = yaml.safe_load(path.read_text())
    except OSError as missing:
        raise RefusedError(f"failed to load kubelet config file, path: {path}, error: {missing}") from missing
    except yaml.YAMLError as broken:
        raise RefusedError(f"failed to load kubelet config file, path: {path}, error: {broken}") from broken
    if not isinstance(config, dict) or (config.pop("apiVersion", ""), config.pop("kind", "")) != (
        "kubelet.config.k8s.io/v1beta1",
        "KubeletConfiguration",
    ):
        raise RefusedError(f"failed to decode {path}: no kind KubeletConfiguration of kubelet.config.k8s.io/v1beta1")
    kinds = dict(KINDS)
    for since, more in KINDS_SINCE.items():
        kinds |= more if version.minor >= since else {}
    for name in list(config):
        if name not in kinds:
            # Strict decoding fails, lenient decoding follows: the field has no effect.
            warnings.append(f'unknown field "{name}" in {path}; ignored')
            del config[name]
        elif config[name] is not None and not _is(config[name], kinds[name]):
            raise RefusedError(
                f"failed to decode {path}: cannot unmarshal {type(config[name]).__name__} into field {name}"
            )
    return {name: value for name, value in config.items() if value is not None}


def _is(value: object, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _check_credentials(flags: Mapping[str, str], config: Mapping[str, Any]) -> None:
    kubeconfig = flags.get("kubeconfig")
    if kubeconfig:
        if not Path(kubeconfig).exists():
            raise RefusedError(
                f"failed to run Kubelet: unable to load bootstrap kubeconfig: stat {kubeconfig}: no such file"
            )
        return
    webhook = (config.get("authentication") or {}).get("webhook") or {}
    if webhook.get("enabled", True):
        raise RefusedError("failed to run Kubelet: no client provided, cannot use webhook authentication")
    if (config.get("authorization") or {}).get("mode", "Webhook") == "Webhook":
        raise RefusedError("failed to run Kubelet: no client provided, cannot use webhook authorization")


def _endpoint(flags: Mapping[str, str], config: Mapping[str, Any], version: Version) -> str:
    if version.minor <= 23:
        if flags.get("container-runtime", "docker") != "remote":
            raise RefusedError(
                "failed to run Kubelet: failed to get docker version: Cannot connect to the Docker daemon"
            )
        default = "unix:///var/run/dockershim.sock"
    else:
        default = "unix:///run/containerd/containerd.sock"
    if flags.get("container-runtime") not in (None, "remote") and version.minor >= 24:
        raise RefusedError(
            f'unsupported CRI runtime: {flags["container-runtime"]!r}, only "remote" is currently supported'
        )
    endpoint = str(config.get("containerRuntimeEndpoint") or default)
    return endpoint if endpoint.startswith("unix://") else f"unix://{endpoint}"
