"""``bundle.conf``: what the installer is told about its host. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bundlegen import __version__, kubernetes, layout
from bundlegen.bundle import member
from bundlegen.bundle.kubelet import kubelet_configuration

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster, Host


IDENTITY: Final = (
    "HOST",
    "ADDRESS",
    "MACHINE_ID",
    "MEMBERS",
    "INITIAL_CLUSTER",
    "INITIAL_CLUSTER_TOKEN",
    "METRICS_URL",
    "ISSUED_AT",
    "NOT_BEFORE",
    "NOT_AFTER",
)
"""What in bundle.conf belongs to one host or to the data of one cluster: empty in the bundle for images."""


def conf_values(cluster: Cluster, host: Host, token: str) -> dict[str, str]:
    """The values of bundle.conf that follow from the specification (docs/bundle-format.md)."""
    config = kubelet_configuration(cluster)
    minor = kubernetes.for_version(cluster.minor)
    exact = cluster.manifest == "rendered" or cluster.etcd.image_tag is not None
    return {
        "FORMAT": layout.FORMAT,
        "KIND": layout.KIND_HOST,
        "BUNDLEGEN_VERSION": __version__,
        "CLUSTER": cluster.name,
        "HOST": host.name,
        "ADDRESS": host.address,
        "MACHINE_ID": host.machine_id or "",
        "KUBERNETES_VERSION": cluster.kubernetes_version,
        "MANIFEST_MODE": cluster.manifest,
        "MEMBERS": " ".join(f"{each.name}={each.address}" for each in cluster.hosts),
        "CLIENT_PORT": str(cluster.ports.client),
        "PEER_PORT": str(cluster.ports.peer),
        "METRICS_PORT": str(cluster.ports.metrics),
        "METRICS_URL": member.metrics_url(cluster, host),
        "INITIAL_CLUSTER": member.initial_cluster(cluster),
        "INITIAL_CLUSTER_TOKEN": token,
        "DATA_DIR": cluster.etcd.data_dir,
        "PKI_DIR": layout.PKI_DIR,
        "KUBEADM_CONFIG": layout.KUBEADM_CONFIG,
        "STATIC_POD_MANIFEST": layout.STATIC_POD_MANIFEST,
        "KUBELET_BINARY": cluster.kubelet.binary,
        "KUBELET_CONFIG": cluster.kubelet.config_file,
        "KUBELET_DROPIN": layout.KUBELET_DROPIN,
        "KUBELET_FAIL_CGROUP_V1": _flag(config.get("failCgroupV1", minor.fails_on_cgroup_v1)),
        "KUBELET_FAIL_SWAP_ON": _flag(config.get("failSwapOn", True)),
        "CGROUP_DRIVER": cluster.kubelet.cgroup_driver,
        "RUNTIME_ENDPOINT": cluster.kubelet.container_runtime_endpoint,
        "ETCD_IMAGE": member.image(cluster),
        "ETCD_IMAGE_EXACT": "yes" if exact else "no",
        "PAUSE_IMAGE": member.pause_image(cluster),
        "STATE_DIR": layout.state_dir(cluster.name),
        "HEALTH_COMMAND": layout.HEALTH_COMMAND,
        "SEALED": "no",
    }


def _flag(value: object) -> str:
    return "true" if value else "false"
