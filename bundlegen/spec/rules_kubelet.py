"""Rules for what may be merged into the kubelet's configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from bundlegen.spec.finding import FieldPath, Finding, Rule

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster

_OWN_FIELD: Final = {
    "cgroupdriver": "kubelet.cgroupDriver",
    "containerruntimeendpoint": "kubelet.containerRuntimeEndpoint",
}
_RESERVED: Final = {
    "apiversion": "bundlegen writes it for the Kubernetes version",
    "kind": "it is always KubeletConfiguration",
    "staticpodpath": "etcd runs from the directory bundlegen and kubeadm agree on",
    "staticpodurl": "it would let whoever serves that URL run Pods on the host",
    "staticpodurlheader": "it belongs to staticPodURL, which is not possible either",
    "address": "the kubelet listens on loopback only, because its API asks for no credentials here",
    "authentication": "without an API server the kubelet cannot ask who is calling",
    "authorization": "without an API server the kubelet cannot ask what is allowed",
}
_BOOLEANS: Final = ("failSwapOn", "failCgroupV1", "enableServer")
_PORTS: Final = {"port": 1, "healthzPort": 0, "readOnlyPort": 0}


def extra_config_leaves_ours(cluster: Cluster) -> Iterator[Finding]:
    """``extraConfig`` adds to the kubelet's configuration; what etcd and the host's safety rest on stays."""
    for key, value in cluster.kubelet.extra_config.items():
        path: FieldPath = ("kubelet", "extraConfig", key)
        folded = key.lower()
        if folded in _OWN_FIELD:
            yield Finding(path, "has a field of its own", f"write {_OWN_FIELD[folded]}")
        elif folded in _RESERVED:
            yield Finding(path, f"cannot be changed: {_RESERVED[folded]}", "remove it")
        elif key in _BOOLEANS and not isinstance(value, bool):
            yield Finding(path, "must be true or false", "without quotes")
        elif key in _PORTS and not (type(value) is int and _PORTS[key] <= value <= 65535):
            yield Finding(path, "is not a port number", f"a number from {_PORTS[key]} to 65535")


RULES: Final[tuple[Rule, ...]] = (extra_config_leaves_ours,)
