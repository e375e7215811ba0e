"""kubeadm's configuration file: decoding and validation as far as an etcd host's phases go, by version."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.standins.versions import Version

GROUP = "kubeadm.k8s.io/"
DNS_1123 = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")

# A schema is a type, a one-item list of the items' schema, or a dictionary; `dict` alone allows any keys.
ARGUMENT = {"name": str, "value": str}
LOCAL_ETCD: dict[str, Any] = {
    **dict.fromkeys(("imageRepository", "imageTag", "dataDir"), str),
    "serverCertSANs": [str],
    "peerCertSANs": [str],
}
NODE_REGISTRATION = {
    "name": str,
    "criSocket": str,
    "taints": list,
    "ignorePreflightErrors": [str],
    "imagePullPolicy": str,
}
INIT = {
    "bootstrapTokens": list,
    "nodeRegistration": NODE_REGISTRATION,
    "localAPIEndpoint": {"advertiseAddress": str, "bindPort": int},
    "certificateKey": str,
    "skipPhases": [str],
    "patches": {"directory": str},
}
CLUSTER: dict[str, Any] = {
    **dict.fromkeys(("kubernetesVersion", "controlPlaneEndpoint", "certificatesDir", "imageRepository"), str),
    "clusterName": str,
    **dict.fromkeys(("networking", "apiServer", "controllerManager", "scheduler", "dns", "featureGates"), dict),
}
TIMEOUTS = (
    "controlPlaneComponentHealthCheck",
    "kubeletHealthCheck",
    "kubernetesAPICall",
    "etcdAPICall",
    "tlsBootstrap",
)


class ConfigError(Exception):
    """kubeadm would refuse this file; the message says why."""


@dataclass
class Config:
    """What the phases read."""

    name: str
    address: str
    version: Version
    local_etcd: dict[str, Any]
    external: bool
    certificates_dir: str
    image_repository: str | None
    extra_args: list[tuple[str, str]]
    warnings: list[str] = field(default_factory=list)


def read(path: Path, kubeadm: Version, *, strict: bool = False) -> Config:
    """Decode, default and validate. strict: unknown fields are errors, as in `config validate`. Raises ConfigError."""
    documents, warnings = _documents(path, kubeadm)
    if strict and (unknown := [text for text in warnings if text.startswith("unknown field")]):
        raise ConfigError("; ".join(unknown))
    init, cluster = documents.get("InitConfiguration", {}), documents.get("ClusterConfiguration", {})
    etcd = cluster.get("etcd") or {}
    if etcd.get("local") and etcd.get("external"):
        raise ConfigError("etcd: Invalid value: .Etcd.Local and .Etcd.External are mutually exclusive")
    local = etcd.get("local") or {}
    return Config(
        name=_name((init.get("nodeRegistration") or {}).get("name")),
        address=_address((init.get("localAPIEndpoint") or {}).get("advertiseAddress")),
        version=parsed_version(cluster.get("kubernetesVersion"), kubeadm),
        local_etcd=local,
        external=bool(etcd.get("external")),
        certificates_dir=cluster.get("certificatesDir") or "/etc/kubernetes/pki",
        image_repository=cluster.get("imageRepository"),
        extra_args=_arguments(local.get("extraArgs")),
        warnings=warnings,
    )


def _documents(path: Path, kubeadm: Version) -> tuple[dict[str, dict[str, Any]], list[str]]:
    try:
        loaded = [document for document in yaml.safe_load_all(path.read_text()) if document is not None]
    except (OSError, yaml.YAMLError) as broken:
        raise ConfigError(f"unable to read config from {path}: {broken}") from broken
    found: dict[str, dict[str, Any]] = {}
    warnings: list[str] = []
    for document in loaded:
        api, kind = str(document.pop("apiVersion", "")), str(document.pop("kind", ""))
        if not api.startswith(GROUP):
            warnings.append(f"ignored {api} {kind}: it has no effect in this phase")
            continue
        _check_api(api, kind, kubeadm, warnings)
        warnings += _unknown(document, _schema(kind, api.removeprefix(GROUP)), kind)
        found[kind] = document
    if not found:
        raise ConfigError("no InitConfiguration or ClusterConfiguration kind was found in the YAML file")
    return found, warnings


def _check_api(api: str, kind: str, kubeadm: Version, warnings: list[str]) -> None:
    version = api.removeprefix(GROUP)
    if kind not in ("InitConfiguration", "ClusterConfiguration"):
        raise ConfigError(f"no kind {kind!r} is registered for version {api!r}")
    if version == "v1beta3" and kubeadm.minor <= 36:
        if kubeadm.minor >= 31:
            warnings.append(f"your configuration file uses a deprecated API spec: {api!r}")
        return
    if version == "v1beta4" and kubeadm.minor >= 31:
        return
    if version == "v1beta4" and kubeadm.minor >= 28:
        raise ConfigError(f"experimental API spec: {api!r} (kind: {kind!r}) is not allowed")
    raise ConfigError(f'no kind "{kind}" is registered for version "{api}"')


def _schema(kind: str, version: str) -> dict[str, Any]:
    new = version == "v1beta4"
    if kind == "InitConfiguration":
        node = {**NODE_REGISTRATION, "kubeletExtraArgs": [ARGUMENT] if new else dict}
        added: dict[str, Any] = {
            "dryRun": bool,
            "timeouts": dict.fromkeys((*TIMEOUTS, "discovery", "upgradeManifests"), str),
        }
        return {**INIT, "nodeRegistration": node, **(added if new else {})}
    local = {**LOCAL_ETCD, "extraArgs": [ARGUMENT] if new else dict, **({"extraEnvs": list} if new else {})}
    added = {"proxy": dict, **dict.fromkeys(("encryptionAlgorithm", "certificateValidityPeriod"), str)}
    added["caCertificateValidityPeriod"] = str
    return {**CLUSTER, "etcd": {"local": local, "external": dict}, **(added if new else {})}


def _unknown(value: Any, schema: Any, where: str) -> list[str]:
    """The unknown fields below; a value of the wrong type raises."""
    if value is None:
        return []
    kind = list if isinstance(schema, list) else dict if isinstance(schema, dict) else schema
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ConfigError(f"json: cannot unmarshal {type(value).__name__} into Go struct field {where}")
    if isinstance(schema, list):
        return [text for item in value for text in _unknown(item, schema[0], f"{where}[]")]
    if not isinstance(schema, dict) or not isinstance(value, dict):
        return []
    found = []
    for name, item in value.items():
        if name not in schema:
            found.append(f'unknown field "{where}.{name}"')
        else:
            found += _unknown(item, schema[name], f"{where}.{name}")
    return found


def _name(given: str | None) -> str:
    if not given:
        raise ConfigError("nodeRegistration.name is not set: this stand-in does not guess it")
    name = given.strip().lower()
    if not DNS_1123.fullmatch(name):
        raise ConfigError(
            f"nodeRegistration.name: Invalid value: {name!r}: a lowercase RFC 1123 subdomain must consist of …"
        )
    return name


def _address(given: str | None) -> str:
    if not given:
        raise ConfigError("localAPIEndpoint.advertiseAddress is not set: kubeadm would look at the default route")
    try:
        address = ipaddress.ip_address(given)
    except ValueError as wrong:
        raise ConfigError(
            f'couldn\'t use {given!r} as "apiserver-advertise-address", must be ipv4 or ipv6 address'
        ) from wrong
    if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
        raise ConfigError(f"cannot use {given!r} as the bind address: not a global unicast address")
    return str(address)


def parsed_version(given: str | None, kubeadm: Version) -> Version:
    if not given:
        raise ConfigError("kubernetesVersion is not set: kubeadm would fetch https://dl.k8s.io/release/stable-1.txt")
    try:
        version = Version.parse(given if given.startswith("v") else f"v{given}")
    except ValueError as wrong:
        raise ConfigError(f"kubernetesVersion: {wrong}; kubeadm would look it up on the network") from wrong
    if version.minor < kubeadm.minor - 1:
        raise ConfigError(
            f"this version of kubeadm only supports deploying clusters with the control plane version >= "
            f"1.{kubeadm.minor - 1}.0. Current version: {version}"
        )
    return version


def _arguments(given: dict[str, Any] | list[dict[str, str]] | None) -> list[tuple[str, str]]:
    if isinstance(given, dict):
        if wrong := [name for name, value in given.items() if not isinstance(value, str)]:
            raise ConfigError(
                f"json: cannot unmarshal into Go struct field etcd.local.extraArgs.{wrong[0]} of type string"
            )
        return list(given.items())
    return [(item.get("name", ""), item.get("value", "")) for item in given or []]
