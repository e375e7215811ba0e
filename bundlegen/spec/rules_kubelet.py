"""Rules for paths on the hosts and for what may be merged into the kubelet's configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from bundlegen import layout
from bundlegen.spec.finding import FieldPath, Finding, Rule

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster

_OWN_FOLDERS: Final = {
    layout.STATIC_POD_DIR: "where the kubelet takes every file for a static Pod",
    layout.PKI_DIR: "where the certificates and keys are",
    layout.STATE_ROOT: "the installer's own folder",
}
_OWN_FILES: Final = {
    layout.KUBEADM_CONFIG: "kubeadm's configuration",
    layout.KUBELET_DROPIN: "the kubelet's systemd drop-in",
    layout.HEALTH_COMMAND: "the health check",
    layout.HEALTH_SERVICE: "the health check's service",
    layout.HEALTH_TIMER: "the health check's timer",
}
_VOLATILE: Final = ("/dev", "/proc", "/run", "/sys", "/tmp", "/var/run", "/var/tmp")  # noqa: S108 - they are refused
_SYSTEM: Final = ("/bin", "/boot", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/sbin", "/usr")
_TOP: Final = (
    "/",
    "/home",
    "/media",
    "/mnt",
    "/opt",
    "/root",
    "/srv",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/spool",
)
_OTHERS_DATA: Final = (
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var/lib/dpkg",
    "/var/lib/kubelet",
    "/var/lib/rpm",
)

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


def _under(path: str, folders: Any) -> str:
    return next((folder for folder in folders if path == folder or path.startswith(folder.rstrip("/") + "/")), "")


def data_dir_safe(cluster: Cluster) -> Iterator[Finding]:
    """etcd's data gets a folder of its own, on a disk."""
    where = cluster.etcd.data_dir
    path: FieldPath = ("etcd", "dataDir")
    hint = "give etcd a folder of its own, such as /var/lib/etcd"
    if where in _TOP:
        yield Finding(path, f"{where} holds more than etcd's data", hint)
    elif folder := _under(where, _VOLATILE):
        yield Finding(path, f"{where} is below {folder}, which does not outlive a reboot", hint)
    elif folder := _under(where, _SYSTEM) or _under(where, _OTHERS_DATA):
        yield Finding(path, f"{where} is below {folder}, which belongs to the system", hint)
    elif folder := _under(where, _OWN_FOLDERS):
        yield Finding(path, f"{where} is in {folder}, {_OWN_FOLDERS[folder]}", hint)


def kubelet_paths_apart(cluster: Cluster) -> Iterator[Finding]:
    """The kubelet's configuration is placed where nothing else is."""
    where, binary, data = cluster.kubelet.config_file, cluster.kubelet.binary, cluster.etcd.data_dir
    path: FieldPath = ("kubelet", "configFile")
    hint = "choose another path, such as /etc/kubernetes/kubelet-etcd.yaml"
    if folder := _under(where, _OWN_FOLDERS):
        yield Finding(path, f"{where} is in {folder}, {_OWN_FOLDERS[folder]}", hint)
    elif where in _OWN_FILES:
        yield Finding(path, f"{where} is {_OWN_FILES[where]}", hint)
    elif folder := _under(where, _VOLATILE):
        yield Finding(path, f"{where} is below {folder}, which does not outlive a reboot", hint)
    elif where in (*_TOP, *_SYSTEM) or any(_under(own, (where,)) for own in (*_OWN_FOLDERS, *_OWN_FILES)):
        yield Finding(path, f"{where} is a directory", hint)
    elif where == binary:
        yield Finding(path, f"{where} is the kubelet itself", hint, involves=(("kubelet", "binary"),))
    elif data != "/" and _under(where, (data,)):
        yield Finding(path, f"{where} is in etcd's data directory", hint, involves=(("etcd", "dataDir"),))
    if folder := _under(binary, _OWN_FOLDERS):
        yield Finding(
            ("kubelet", "binary"),
            f"{binary} is in {folder}, {_OWN_FOLDERS[folder]}",
            "write where the hosts have the kubelet",
        )
    if folder := _under(binary, _VOLATILE):
        yield Finding(
            ("kubelet", "binary"),
            f"{binary} is below {folder}, which does not outlive a reboot",
            "write where the hosts have the kubelet",
        )


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


RULES: Final[tuple[Rule, ...]] = (kubelet_paths_apart, extra_config_leaves_ours, data_dir_safe)
