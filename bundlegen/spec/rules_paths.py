"""Rules for paths on the hosts: a specification names files of this product, and none that the system reads for more.

Whoever writes a specification decides what root places on every host, so the folders are named in which it may.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

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
    layout.GUARD_COMMAND: "what keeps etcd from starting without its data",
    layout.HEALTH_SERVICE: "the health check's service",
    layout.HEALTH_TIMER: "the health check's timer",
}
_VOLATILE: Final = ("/dev", "/proc", "/run", "/sys", "/tmp", "/var/run", "/var/tmp")  # noqa: S108 - they are refused
_SYSTEM: Final = (
    *("/bin", "/boot", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/lost+found", "/root", "/sbin", "/usr"),
    *("/var/backups", "/var/cache", "/var/lock", "/var/log", "/var/mail", "/var/spool"),
)
_TOP: Final = (
    "/",
    "/home",
    "/media",
    "/mnt",
    "/opt",
    "/srv",
    "/var",
    "/var/lib",
)
_OTHERS_DATA: Final = (
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/cni",
    "/var/lib/docker",
    "/var/lib/dpkg",
    "/var/lib/kubelet",
    "/var/lib/private",
    "/var/lib/rpm",
    "/var/lib/systemd",
)

_CONFIG_FOLDERS: Final = (layout.KUBELET_DROPIN_DIR, "/etc/kubernetes", "/etc/kubelet", "/var/lib/kubelet")
_CONFIG_ENDINGS: Final = (".conf", ".yaml", ".yml", ".json")
_GUIDE_NAME: Final = f"{layout.KUBELET_DROPIN_DIR}/kubelet.conf"
_KUBEADM_FILES: Final = frozenset(
    f"/etc/kubernetes/{name}.conf"
    for name in ("admin", "super-admin", "kubelet", "bootstrap-kubelet", "controller-manager", "scheduler")
)
"""What kubeadm calls the credentials of its components (``cmd/kubeadm/app/constants/constants.go``)."""
_PROGRAM_FOLDERS: Final = ("/bin", "/nix", "/opt", "/sbin", "/snap", "/usr", "/var/lib")


def _under(path: str, folders: Iterable[str]) -> str:
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


def config_file_apart(cluster: Cluster) -> Iterator[Finding]:
    """The kubelet's configuration is placed where such files are, and where nothing else is."""
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
    elif where.rpartition("/")[0] not in _CONFIG_FOLDERS:
        folders = f"{', '.join(_CONFIG_FOLDERS[:-1])} or {_CONFIG_FOLDERS[-1]}"
        yield Finding(path, f"{where} is not a file in {folders}", hint)
    elif not where.endswith(_CONFIG_ENDINGS):
        yield Finding(path, f"{where} does not end in {', '.join(_CONFIG_ENDINGS)}", hint)
    elif where in _KUBEADM_FILES:
        yield Finding(path, f"{where} is where kubeadm keeps credentials", hint)
    elif _under(where, (layout.KUBELET_DROPIN_DIR,)) and where.endswith(".conf") and where != _GUIDE_NAME:
        yield Finding(
            path, f"{where} would be a drop-in of kubelet.service", f"choose another path, such as {_GUIDE_NAME}"
        )


def binary_is_a_program(cluster: Cluster) -> Iterator[Finding]:
    """The kubelet is where programs are, which root alone puts there."""
    binary = cluster.kubelet.binary
    path: FieldPath = ("kubelet", "binary")
    hint = "write where the hosts have the kubelet"
    if folder := _under(binary, _OWN_FOLDERS):
        yield Finding(path, f"{binary} is in {folder}, {_OWN_FOLDERS[folder]}", hint)
    elif folder := _under(binary, _VOLATILE):
        yield Finding(path, f"{binary} is below {folder}, which does not outlive a reboot", hint)
    elif not _under(binary, _PROGRAM_FOLDERS):
        folders = f"{', '.join(_PROGRAM_FOLDERS[:-1])} or {_PROGRAM_FOLDERS[-1]}"
        yield Finding(path, f"{binary} is not below {folders}", hint)


def metrics_folder_apart(cluster: Cluster) -> Iterator[Finding]:
    """Root writes a file there time and again: where such files are read, and nothing else is."""
    where = None if cluster.health is None else cluster.health.metrics_directory
    if where is None:
        return
    path: FieldPath = ("health", "metricsDirectory")
    hint = "write the folder that node-exporter reads, such as /var/lib/prometheus/node-exporter"
    volatile = [folder for folder in _VOLATILE if not folder.endswith("/run")]  # there it may well be
    if where in _TOP:
        yield Finding(path, f"{where} holds more than metrics", hint)
    elif folder := _under(where, (*volatile, *_SYSTEM)) or _under(where, _OTHERS_DATA):
        yield Finding(path, f"{where} is below {folder}, which belongs to the system", hint)
    elif folder := _under(where, _OWN_FOLDERS):
        yield Finding(path, f"{where} is in {folder}, {_OWN_FOLDERS[folder]}", hint)
    elif _under(where, (cluster.etcd.data_dir,)):
        yield Finding(path, f"{where} is in etcd's data directory", hint, involves=(("etcd", "dataDir"),))


def backup_folder_apart(cluster: Cluster) -> Iterator[Finding]:
    """What is lost with etcd's data is no backup of it."""
    where = None if cluster.backup is None else cluster.backup.directory
    if where is None:
        return
    path: FieldPath = ("backup", "directory")
    hint = "write a folder for snapshots alone, on another disk than etcd's data, such as /srv/etcd-snapshots"
    if where in _TOP:
        yield Finding(path, f"{where} holds more than snapshots", hint)
    elif folder := _under(where, (*_VOLATILE, *_SYSTEM)) or _under(where, _OTHERS_DATA):
        yield Finding(path, f"{where} is below {folder}, which is no place for snapshots", hint)
    elif _under(where, (cluster.etcd.data_dir,)):
        yield Finding(path, f"{where} is in etcd's data directory", hint, involves=(("etcd", "dataDir"),))


RULES: Final[tuple[Rule, ...]] = (
    config_file_apart,
    binary_is_a_program,
    data_dir_safe,
    metrics_folder_apart,
    backup_folder_apart,
)
