"""The etcd manifest that `kubeadm init phase etcd local` writes, by version."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.e2e.standins import versions
from tests.e2e.standins.kubeadm_config import Config
from tests.e2e.standins.versions import Version

MANIFESTS = Path("/etc/kubernetes/manifests")


def write(config: Config, kubeadm: Version) -> Path:
    """Make the data directory and the manifest as kubeadm does; returns the manifest's path."""
    data = Path(config.local_etcd.get("dataDir") or "/var/lib/etcd")
    if not data.exists():
        data.mkdir(mode=0o700, parents=True)
    if not MANIFESTS.exists():
        MANIFESTS.mkdir(mode=0o700, parents=True)
    path = MANIFESTS / "etcd.yaml"
    path.write_text(yaml.safe_dump(pod(config, kubeadm, str(data)), default_flow_style=False, width=4096))
    path.chmod(0o600)
    return path


def pod(config: Config, kubeadm: Version, data: str) -> dict[str, Any]:
    """The static Pod."""
    minor = kubeadm.minor
    certificates = f"{config.certificates_dir}/etcd"
    client_url = f"https://{_bracketed(config.address)}:2379"
    tag = config.local_etcd.get("imageTag") or versions.etcd_tag(kubeadm, config.version.minor)
    repository = config.local_etcd.get("imageRepository") or config.image_repository or config.version.repository
    command = _command(config, minor, certificates, data, tag)
    container: dict[str, Any] = {
        "command": ["etcd", *command],
        "image": f"{repository}/etcd:{tag}",
        "imagePullPolicy": "IfNotPresent",
        "name": "etcd",
        "resources": {"requests": {"cpu": "100m", "memory": "100Mi"}},
        "volumeMounts": [
            {"mountPath": data, "name": "etcd-data"},
            {"mountPath": certificates, "name": "etcd-certs"},
        ],
        **_probes(command, minor),
    }
    if minor >= 34:
        container["ports"] = [{"containerPort": _metrics(command)[1], "name": "probe-port", "protocol": "TCP"}]
    metadata: dict[str, Any] = {
        "annotations": {"kubeadm.kubernetes.io/etcd.advertise-client-urls": client_url},
        "labels": {"component": "etcd", "tier": "control-plane"},
        "name": "etcd",
        "namespace": "kube-system",
    }
    if minor < 34:
        metadata["creationTimestamp"] = None
    spec: dict[str, Any] = {
        "containers": [container],
        "hostNetwork": True,
        "priorityClassName": "system-node-critical",
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [
            {"hostPath": {"path": certificates, "type": "DirectoryOrCreate"}, "name": "etcd-certs"},
            {"hostPath": {"path": data, "type": "DirectoryOrCreate"}, "name": "etcd-data"},
        ],
    }
    if minor >= 27:
        spec["priority"] = 2000001000
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {}}


def _command(config: Config, minor: int, certificates: str, data: str, tag: str) -> list[str]:
    host = _bracketed(config.address)
    loopback = "[::1]" if ":" in config.address else "127.0.0.1"
    defaults = {
        "advertise-client-urls": f"https://{host}:2379",
        "cert-file": f"{certificates}/server.crt",
        "client-cert-auth": "true",
        "data-dir": data,
        "initial-advertise-peer-urls": f"https://{host}:2380",
        "initial-cluster": f"{config.name}=https://{host}:2380",
        "key-file": f"{certificates}/server.key",
        "listen-client-urls": f"https://{loopback}:2379,https://{host}:2379",
        "listen-metrics-urls": f"http://{loopback}:2381",
        "listen-peer-urls": f"https://{host}:2380",
        "name": config.name,
        "peer-cert-file": f"{certificates}/peer.crt",
        "peer-client-cert-auth": "true",
        "peer-key-file": f"{certificates}/peer.key",
        "peer-trusted-ca-file": f"{certificates}/ca.crt",
        "snapshot-count": "10000",
        "trusted-ca-file": f"{certificates}/ca.crt",
        **_version_flags(minor, tag),
    }
    overridden = {name for name, _ in config.extra_args}
    kept = sorted((name, value) for name, value in defaults.items() if name not in overridden)
    everything = [*kept, *config.extra_args] if minor >= 36 else sorted([*kept, *config.extra_args])
    return [f"--{name}={value}" for name, value in everything]


def _version_flags(minor: int, tag: str) -> dict[str, str]:
    old_etcd = _etcd_minor(tag) < (3, 6)
    if minor >= 36 or (minor >= 34 and not old_etcd):
        return {"feature-gates": "InitialCorruptCheck=true", "watch-progress-notify-interval": "5s"}
    flags = {"experimental-initial-corrupt-check": "true"} if minor >= 24 else {}
    return flags | ({"experimental-watch-progress-notify-interval": "5s"} if minor >= 25 else {})


def _etcd_minor(tag: str) -> tuple[int, int]:
    found = re.match(r"v?(\d+)\.(\d+)", tag)
    return (int(found[1]), int(found[2])) if found else (3, 5)


def _probes(command: list[str], minor: int) -> dict[str, Any]:
    host, port, scheme = _metrics(command)
    liveness, startup = "/health?exclude=NOSPACE&serializable=true", "/health?serializable=false"
    if minor <= 24:
        liveness = startup = "/health"
    elif minor >= 31:
        liveness, startup = "/livez", "/readyz"

    def probe(path: str, delay: int, period: int, failures: int) -> dict[str, Any]:
        get = {"host": host, "path": path, "port": "probe-port" if minor >= 34 else port, "scheme": scheme}
        timing = {"initialDelaySeconds": delay} if delay else {}
        return {"failureThreshold": failures, "httpGet": get, **timing, "periodSeconds": period, "timeoutSeconds": 15}

    probes = {"livenessProbe": probe(liveness, 10, 10, 8), "startupProbe": probe(startup, 10, 10, 24)}
    return probes | ({"readinessProbe": probe("/readyz", 0, 1, 3)} if minor >= 31 else {})


def _metrics(command: list[str]) -> tuple[str, int, str]:
    """Where the probes ask: the first of --listen-metrics-urls."""
    urls = next(word.split("=", 1)[1] for word in command if word.startswith("--listen-metrics-urls="))
    first = urlsplit(urls.split(",")[0])
    return first.hostname or "127.0.0.1", first.port or 2381, first.scheme.upper()


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
