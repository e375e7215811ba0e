"""What one etcd member is told: URLs, flags, images and probes. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from bundlegen import kubernetes
from bundlegen.addresses import bracketed, loopback_for
from bundlegen.layout import PKI_DIR, state_dir

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster, Host


KUBEADM_METRICS_PORT: Final = 2381
"""kubeadm's own default needs no extra argument (``app/constants/constants.go EtcdMetricsPort``)."""


@dataclass(frozen=True)
class Probes:
    """The HTTP paths the static Pod is probed at (kubeadm ``app/util/staticpod/utils.go``); no readiness: empty."""

    liveness: str
    startup: str
    readiness: str = ""


_PROBES: dict[kubernetes.ProbeStyle, Probes] = {
    "health": Probes("/health", "/health"),
    "health-serializable": Probes("/health?exclude=NOSPACE&serializable=true", "/health?serializable=false"),
    "livez": Probes("/livez", "/readyz", "/readyz"),
}


def client_url(cluster: Cluster, host: Host) -> str:
    """The URL at which clients reach ``host``'s member."""
    return f"https://{bracketed(host.address)}:{cluster.ports.client}"


def peer_url(cluster: Cluster, host: Host) -> str:
    """The URL at which other members reach ``host``'s member."""
    return f"https://{bracketed(host.address)}:{cluster.ports.peer}"


def metrics_url(cluster: Cluster, host: Host) -> str:
    """The plain HTTP URL for health and metrics, on the loopback address of the member's own family, as kubeadm."""
    return f"http://{bracketed(loopback_for(host.address))}:{cluster.ports.metrics}"


def metrics_urls(cluster: Cluster, host: Host) -> str:
    """``--listen-metrics-urls``. The loopback one is first: kubeadm's probes ask the first (GetEtcdProbeEndpoint)."""
    urls = [metrics_url(cluster, host)]
    if cluster.etcd.metrics_on == "address":
        urls.append(f"http://{bracketed(host.address)}:{cluster.ports.metrics}")
    return ",".join(urls)


def initial_cluster(cluster: Cluster, hosts: Iterable[Host] | None = None) -> str:
    """The value of etcd's ``--initial-cluster``: every member and its peer URL, in the order of the specification.

    ``hosts``: those that are members by then; None: all.
    """
    return ",".join(f"{host.name}={peer_url(cluster, host)}" for host in (cluster.hosts if hosts is None else hosts))


def wal_dir(cluster: Cluster) -> str:
    """The folder that ``wal-dir`` names; empty if etcd chooses."""
    return cluster.etcd.extra_args.get("wal-dir", "").rstrip("/")


def backup_dir(cluster: Cluster) -> str:
    """The folder for snapshots that are taken by themselves; empty if there are none."""
    if cluster.backup is None:
        return ""
    return cluster.backup.directory or f"{state_dir(cluster.name)}/snapshots"


ETCD_QUOTA: Final = 2 * 1024**3
"""etcd's own quota-backend-bytes, which 0 stands for too (etcd server/storage/quota.go, DefaultQuotaBytes)."""


def quota_bytes(cluster: Cluster) -> int:
    """How large the database may grow, in bytes; at most 18 digits, which every shell can count with.

    Without a limit (a negative number) it is etcd's own, as a least size. etcd reads the number as Go's ``flag.Int64``
    does: ``0x`` and the like may stand before it. What is no number is etcd's to refuse, and counts as its own.
    """
    try:
        quota = int(cluster.etcd.extra_args.get("quota-backend-bytes", "0"), 0)
    except ValueError:
        return ETCD_QUOTA
    return min(quota, 10**18 - 1) if quota > 0 else ETCD_QUOTA


State: TypeAlias = Literal["new", "existing"]


@dataclass(frozen=True)
class Birth:
    """What a member is started with for the first time: ``--initial-cluster`` and ``--initial-cluster-state``.

    etcd never reads either again once it has a log, and changing them would restart it for nothing: bundles for a
    member that exists keep those of its birth.
    """

    initial_cluster: str
    state: State = "new"


def joining(cluster: Cluster, present: Container[str]) -> dict[str, Birth]:
    """The births of members that come to a cluster that runs, by name, each when the one before it is there.

    ``present``: the names of those that are members already. etcd compares ``--initial-cluster`` of a member that joins
    with the list as it is then, itself included (etcd server/etcdserver/api/membership, ValidateClusterAndAssignIDs).
    """
    there = [host for host in cluster.hosts if host.name in present]
    found = {}
    for host in cluster.hosts:
        if host.name not in present:
            there.append(host)
            found[host.name] = Birth(initial_cluster(cluster, there), "existing")
    return found


def founding(cluster: Cluster) -> Birth:
    """The birth of every member that a cluster begins with."""
    return Birth(initial_cluster(cluster))


def image_repository(cluster: Cluster) -> str:
    """The repository of the etcd image, without the image's name."""
    return cluster.etcd.image_repository or kubernetes.for_version(cluster.minor).default_repository


def image_tag(cluster: Cluster) -> str:
    """The tag of the etcd image: the specification's, or the one kubeadm of just this version asks for."""
    return cluster.etcd.image_tag or kubernetes.for_version(cluster.minor).etcd_tag(cluster.patch)


def image(cluster: Cluster) -> str:
    """The etcd image by its whole name."""
    return f"{image_repository(cluster)}/etcd:{image_tag(cluster)}"


def pause_image(cluster: Cluster) -> str:
    """The sandbox image that kubeadm of this version names; what is used is the runtime's own setting."""
    facts = kubernetes.for_version(cluster.minor)
    return f"{facts.default_repository}/pause:{facts.pause_tag}"


def probes(cluster: Cluster) -> Probes:
    """The probes of the static Pod."""
    return _PROBES[kubernetes.for_version(cluster.minor).probe_style]


def own_args(cluster: Cluster, host: Host, token: str, birth: Birth) -> dict[str, str]:
    """The flags bundlegen sets through kubeadm's extraArgs: the guide's seven, the token, other metrics URLs.

    Listening stays on the host's address alone, as in the guide, so health checks ask there or at the metrics URL.
    """
    args = {
        "initial-cluster": birth.initial_cluster,
        "initial-cluster-state": birth.state,
        "name": host.name,
        "listen-peer-urls": peer_url(cluster, host),
        "listen-client-urls": client_url(cluster, host),
        "advertise-client-urls": client_url(cluster, host),
        "initial-advertise-peer-urls": peer_url(cluster, host),
        "initial-cluster-token": token,
    }
    if cluster.ports.metrics != KUBEADM_METRICS_PORT or cluster.etcd.metrics_on != "loopback":
        args["listen-metrics-urls"] = metrics_urls(cluster, host)
    return args


def kubeadm_args(cluster: Cluster, host: Host, token: str, birth: Birth) -> dict[str, str]:
    """extraArgs for kubeadmcfg.yaml: bundlegen's own, then the specification's."""
    return own_args(cluster, host, token, birth) | cluster.etcd.extra_args


def flags(cluster: Cluster, host: Host, token: str, birth: Birth) -> dict[str, str]:
    """Every flag etcd has in kubeadm's static Pod (``app/phases/etcd/local.go``), sorted by name."""
    minor = kubernetes.for_version(cluster.minor)
    defaults = {
        "cert-file": f"{PKI_DIR}/etcd/server.crt",
        "client-cert-auth": "true",
        "data-dir": cluster.etcd.data_dir,
        "key-file": f"{PKI_DIR}/etcd/server.key",
        "listen-metrics-urls": metrics_urls(cluster, host),
        "peer-cert-file": f"{PKI_DIR}/etcd/peer.crt",
        "peer-client-cert-auth": "true",
        "peer-key-file": f"{PKI_DIR}/etcd/peer.key",
        "peer-trusted-ca-file": f"{PKI_DIR}/etcd/ca.crt",
        "snapshot-count": "10000",
        "trusted-ca-file": f"{PKI_DIR}/etcd/ca.crt",
        **kubernetes.consistency_flags(minor, cluster.patch, image_tag(cluster)),
    }
    return dict(sorted((defaults | kubeadm_args(cluster, host, token, birth)).items()))
