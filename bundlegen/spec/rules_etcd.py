"""Rules for etcd's image and flags: what fits which Kubernetes version, and which flags are not the user's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from bundlegen import kubernetes
from bundlegen.spec.finding import Finding, Path, Rule

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster

_Version = tuple[int, int, int]

_FIRST_SOUND: Final[_Version] = (3, 5, 3)
_RECOMMENDED: Final[_Version] = (3, 5, 6)
_FIRST_WITH_LIVEZ: Final[_Version] = (3, 5, 11)
_FIRST_WITHOUT_EXPERIMENTAL: Final[_Version] = (3, 7, 0)
_FIRST_WITH_FEATURE_GATES: Final[_Version] = (3, 6, 0)

_FROM_HOSTS: Final = "it follows from hosts"
_FROM_PORTS: Final = "it follows from hosts and ports"
_FROM_PKI: Final = "the certificates are where kubeadm expects them"
_TLS_STAYS: Final = "every connection is authenticated by certificates from this cluster's CA"
_BOOTSTRAP: Final = "members find each other by the hosts listed here"
_MANAGED: Final = {
    "name": _FROM_HOSTS,
    "initial-cluster": _FROM_HOSTS,
    "initial-cluster-state": "bundlegen knows whether the cluster is new",
    "initial-cluster-token": "write etcd.initialClusterToken",
    "initial-advertise-peer-urls": _FROM_PORTS,
    "advertise-client-urls": _FROM_PORTS,
    "listen-client-urls": _FROM_PORTS,
    "listen-peer-urls": _FROM_PORTS,
    "listen-metrics-urls": _FROM_PORTS,
    "listen-client-http-urls": "health is asked for where kubeadm's probes ask",
    "data-dir": "write etcd.dataDir",
    "cert-file": _FROM_PKI,
    "key-file": _FROM_PKI,
    "trusted-ca-file": _FROM_PKI,
    "ca-file": _FROM_PKI,
    "client-cert-file": _FROM_PKI,
    "client-key-file": _FROM_PKI,
    "peer-cert-file": _FROM_PKI,
    "peer-key-file": _FROM_PKI,
    "peer-trusted-ca-file": _FROM_PKI,
    "peer-ca-file": _FROM_PKI,
    "peer-client-cert-file": _FROM_PKI,
    "peer-client-key-file": _FROM_PKI,
    "client-cert-auth": _TLS_STAYS,
    "peer-client-cert-auth": _TLS_STAYS,
    "auto-tls": _TLS_STAYS,
    "peer-auto-tls": _TLS_STAYS,
    "config-file": "etcd would then ignore every other flag",
    "force-new-cluster": "it makes every member forget the others at each start",
    "discovery": _BOOTSTRAP,
    "proxy": "a proxy is not a member",
}
_FOLDED: Final = {name.replace("-", ""): name for name in _MANAGED}


def _text(version: _Version) -> str:
    return ".".join(map(str, version))


def image_fits(cluster: Cluster) -> Iterator[Finding]:
    """The etcd version works with what kubeadm of this Kubernetes version writes into the manifest.

    Sources: kubeadm#2676 (3.5.0 to 3.5.2 lose data), kubeadm#3039 (/livez from 3.5.11), kubeadm phases/etcd local.go
    (``--experimental-*`` up to 1.33, ``--feature-gates`` always from 1.36), etcd 3.7 (``--experimental-*`` removed).
    """
    path: Path = ("etcd", "imageTag")
    minor, tag = cluster.minor, cluster.etcd.image_tag
    involves: tuple[Path, ...] = (("kubernetesVersion",),)
    if tag is None:
        default = kubernetes.for_version(minor).etcd_tag(cluster.patch)
        version = kubernetes.etcd_version(default)
        if version is not None and version < _RECOMMENDED:
            reason = "can lose data (kubeadm#2676)" if version < _FIRST_SOUND else "has known data problems"
            yield Finding(
                ("kubernetesVersion",),
                f"kubeadm {cluster.kubernetes_version} starts etcd {_text(version)}, which {reason}",
                f'set etcd.imageTag to "{_text(_RECOMMENDED)}-0" or a later 3.5',
                involves=(path,),
                warning=True,
            )
        return
    version = kubernetes.etcd_version(tag)
    if version is None:
        yield Finding(
            path,
            f"{tag} does not say which etcd it is",
            "nothing can be checked; better a tag like 3.5.15-0",
            warning=True,
        )
    elif version < _FIRST_SOUND:
        reason = "can lose data (kubeadm#2676)" if version >= (3, 5, 0) else "is older than kubeadm expects"
        yield Finding(path, f"etcd {_text(version)} {reason}", f"use {_text(_RECOMMENDED)}-0 or later")
    elif minor >= 31 and version < _FIRST_WITH_LIVEZ:
        yield Finding(
            path,
            f"etcd {_text(version)} lacks /livez and /readyz, which kubeadm 1.{minor} probes (kubeadm#3039)",
            f"use {_text(_FIRST_WITH_LIVEZ)}-0 or later",
            involves=involves,
        )
    elif minor >= 36 and version < _FIRST_WITH_FEATURE_GATES:
        yield Finding(
            path,
            f"etcd {_text(version)} does not know --feature-gates, which kubeadm 1.{minor} always sets",
            "use 3.6.0-0 or later",
            involves=involves,
        )
    elif minor <= 33 and version >= _FIRST_WITHOUT_EXPERIMENTAL:
        yield Finding(
            path,
            f"etcd {_text(version)} no longer knows the --experimental flags that kubeadm 1.{minor} sets",
            "use a version before 3.7",
            involves=involves,
        )
    elif version < _RECOMMENDED:
        yield Finding(
            path,
            f"etcd {_text(version)} has known data problems",
            f"better {_text(_RECOMMENDED)}-0 or later",
            warning=True,
        )


def repository_not_the_image(cluster: Cluster) -> Iterator[Finding]:
    """kubeadm appends ``/etcd`` to the repository."""
    repository = cluster.etcd.image_repository
    if repository is not None and repository.rpartition("/")[2] == "etcd" and "/" in repository:
        shorter = repository.rpartition("/")[0]
        yield Finding(
            ("etcd", "imageRepository"),
            f"the image will be {repository}/etcd",
            f"if that is not meant, write {shorter}",
            warning=True,
        )


def flags_free(cluster: Cluster) -> Iterator[Finding]:
    """extraArgs adds and tunes; what bundlegen derives from the rest of the specification is not overridden."""
    tag = cluster.etcd.image_tag
    version = kubernetes.etcd_version(tag) if tag else None
    involves: tuple[Path, ...] = (("kubernetesVersion",), ("etcd", "imageTag"))
    for name, value in cluster.etcd.extra_args.items():
        path: Path = ("etcd", "extraArgs", name)
        managed = _FOLDED.get(name.replace("-", "").removeprefix("experimental"), "")
        if name.startswith("discovery"):
            managed = "discovery"
        if managed:
            yield Finding(path, f"cannot be set: {_MANAGED[managed]}", "remove it")
        elif name.startswith("experimental-"):
            plain = name.removeprefix("experimental-")
            if cluster.minor >= 37 or (version is not None and version >= _FIRST_WITHOUT_EXPERIMENTAL):
                yield Finding(
                    path,
                    "etcd 3.7 no longer has --experimental flags",
                    f"write {plain}, or its feature gate",
                    involves=involves,
                )
            elif cluster.minor >= 34:
                yield Finding(
                    path,
                    "--experimental flags end with etcd 3.7",
                    f"if etcd 3.6 has {plain}, write that",
                    involves=involves,
                    warning=True,
                )
        elif name == "wal-dir" and not (value + "/").startswith(cluster.etcd.data_dir.rstrip("/") + "/"):
            yield Finding(
                path,
                "is outside dataDir, so the log would be lost with each container",
                f"a folder below {cluster.etcd.data_dir}: only that is mounted",
                involves=(("etcd", "dataDir"),),
            )
        elif name == "unsafe-no-fsync" and value != "false":
            yield Finding(
                path, "a power cut can then destroy the data", "remove it unless this is a test", warning=True
            )
        elif name == "feature-gates" and cluster.minor >= 34 and "InitialCorruptCheck" not in value:
            yield Finding(
                path,
                "replaces kubeadm's own InitialCorruptCheck=true",
                "add InitialCorruptCheck=true to it",
                involves=involves,
                warning=True,
            )


RULES: Final[tuple[Rule, ...]] = (image_fits, repository_not_the_image, flags_free)
