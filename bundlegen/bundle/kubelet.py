"""KubeletConfiguration of a kubelet that runs static Pods only. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bundlegen import kubernetes, layout

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster


def kubelet_configuration(cluster: Cluster) -> dict[str, Any]:
    """KubeletConfiguration as a tree: the guide's fields, what this version adds, then extraConfig merged in."""
    config: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        # Without an API server the webhook defaults end the kubelet (kubernetes#68939).
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": cluster.kubelet.cgroup_driver,
        "address": "127.0.0.1",
    }
    if kubernetes.for_version(cluster.minor).runtime_endpoint_is_a_field:
        config["containerRuntimeEndpoint"] = cluster.kubelet.container_runtime_endpoint
    config["staticPodPath"] = layout.STATIC_POD_DIR
    return _merged(config, cluster.kubelet.extra_config)


def _merged(base: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in extra.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return result
