"""What each Kubernetes minor from 1.22 to 1.37 wants: one table, and the few decisions that follow from it. Pure.

Sources: kubernetes/kubernetes ``cmd/kubeadm/app/constants/constants.go`` (etcd and pause images),
``app/util/config/common.go`` (API versions), ``app/phases/etcd/local.go`` (flags, probes),
``pkg/kubelet/apis/config`` (kubelet fields) and the CHANGELOGs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

ProbeStyle = Literal["health", "health-serializable", "livez"]

_OLD_REPOSITORY: Final = "k8s.gcr.io"
_NEW_REPOSITORY: Final = "registry.k8s.io"
PRIORITY_NODE_CRITICAL: Final = 2000001000


@dataclass(frozen=True)
class Minor:
    """One Kubernetes minor.

    ``etcd_tags``: the first patch release that kubeadm uses a tag from, and the tag, ascending.
    ``corrupt_check_from``: the first patch release whose kubeadm passes etcd that flag. ``progress_notify``: whether
    it passes that one, which was not brought back to older minors.
    """

    number: int
    etcd_tags: tuple[tuple[int, str], ...]
    pause_tag: str
    corrupt_check_from: int = 0
    progress_notify: bool = True

    @property
    def api_version(self) -> str:
        """v1beta4 is refused before 1.31, v1beta3 is gone in 1.37 (kubeadm ``validateSupportedVersion``)."""
        return "kubeadm.k8s.io/v1beta4" if self.number >= 31 else "kubeadm.k8s.io/v1beta3"

    @property
    def args_are_a_list(self) -> bool:
        """extraArgs: a map in v1beta3, a list of name and value in v1beta4."""
        return self.number >= 31

    @property
    def default_repository(self) -> str:
        return _NEW_REPOSITORY if self.number >= 25 else _OLD_REPOSITORY

    @property
    def probe_style(self) -> ProbeStyle:
        """kubernetes#110072 (1.25) and #124465 (1.31) changed what the probes ask."""
        if self.number >= 31:
            return "livez"
        return "health-serializable" if self.number >= 25 else "health"

    @property
    def named_probe_port(self) -> bool:
        """kubernetes#132776: probes name a declared container port."""
        return self.number >= 34

    @property
    def explicit_priority(self) -> bool:
        """kubernetes#114338: spec.priority beside priorityClassName, for a kubelet without an API server."""
        return self.number >= 27

    @property
    def runtime_endpoint_is_a_field(self) -> bool:
        """containerRuntimeEndpoint is a field since 1.27 (kubernetes#112136); before, it is a flag only."""
        return self.number >= 27

    @property
    def needs_remote_runtime_flag(self) -> bool:
        """dockershim was the default up to 1.23; the flag is gone, and fatal, from 1.27 (kubernetes#114017)."""
        return self.number <= 23

    @property
    def fails_on_cgroup_v1(self) -> bool:
        """failCgroupV1 is true by default since 1.35 (KEP-5573)."""
        return self.number >= 35

    def knows_algorithm(self, name: str) -> bool:
        """Whether this kubeadm's ``encryptionAlgorithm`` may be ``name``: ECDSA-P384 since 1.34 (kubernetes#131677)."""
        return name != "ECDSA-P384" or self.number >= 34

    def etcd_tag(self, patch: int) -> str:
        """The tag of the etcd image that kubeadm of this patch release asks for."""
        return [tag for first, tag in self.etcd_tags if first <= patch][-1]


MINORS: Final[dict[int, Minor]] = {
    minor.number: minor
    for minor in (
        Minor(22, ((0, "3.5.0-0"), (17, "3.5.6-0")), "3.5", corrupt_check_from=10, progress_notify=False),
        Minor(
            23, ((0, "3.5.1-0"), (14, "3.5.5-0"), (15, "3.5.6-0")), "3.6", corrupt_check_from=7, progress_notify=False
        ),
        Minor(24, ((0, "3.5.3-0"), (8, "3.5.5-0"), (9, "3.5.6-0")), "3.7", progress_notify=False),
        Minor(25, ((0, "3.5.4-0"), (4, "3.5.5-0"), (5, "3.5.6-0"), (15, "3.5.9-0")), "3.8"),
        Minor(26, ((0, "3.5.6-0"), (10, "3.5.9-0"), (13, "3.5.10-0")), "3.9"),
        Minor(27, ((0, "3.5.7-0"), (7, "3.5.9-0"), (10, "3.5.10-0"), (12, "3.5.12-0")), "3.9"),
        Minor(28, ((0, "3.5.9-0"), (6, "3.5.10-0"), (8, "3.5.12-0"), (14, "3.5.15-0")), "3.9"),
        Minor(29, ((0, "3.5.10-0"), (3, "3.5.12-0"), (9, "3.5.15-0"), (11, "3.5.16-0")), "3.9"),
        Minor(30, ((0, "3.5.12-0"), (5, "3.5.15-0")), "3.9"),
        Minor(31, ((0, "3.5.15-0"), (14, "3.5.24-0")), "3.10"),
        Minor(32, ((0, "3.5.16-0"), (10, "3.5.24-0")), "3.10"),
        Minor(33, ((0, "3.5.21-0"), (6, "3.5.24-0")), "3.10"),
        Minor(34, ((0, "3.6.4-0"), (2, "3.6.5-0")), "3.10.1"),
        Minor(35, ((0, "3.6.6-0"),), "3.10.1"),
        Minor(36, ((0, "3.6.8-0"),), "3.10.2"),
        Minor(37, ((0, "3.7.0-0"),), "3.10.2"),
    )
}


def for_version(minor: int) -> Minor:
    """The facts for Kubernetes 1.``minor``. Raises KeyError outside 1.22 to 1.37."""
    return MINORS[minor]


def etcd_version(tag: str) -> tuple[int, int, int] | None:
    """The etcd version in an image tag such as ``3.5.15-0`` or ``v3.6.4``; None if there is none."""
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", tag)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def consistency_flags(minor: Minor, patch: int, etcd_tag: str) -> dict[str, str]:
    """The etcd flags for data consistency that kubeadm adds by itself, which were renamed in etcd 3.6.

    kubernetes#109074, brought back by #109075 (1.23.7) and #109076 (1.22.10), and #111383 (1.25): ``experimental-``
    forms; #132838: by etcd version, 1.34 and 1.35; #135701: 1.36.
    """
    version = etcd_version(etcd_tag)
    renamed = minor.number >= 36 or (minor.number >= 34 and (version is None or version >= (3, 6, 0)))
    if renamed:
        return {"feature-gates": "InitialCorruptCheck=true", "watch-progress-notify-interval": "5s"}
    flags = {}
    if patch >= minor.corrupt_check_from:
        flags["experimental-initial-corrupt-check"] = "true"
    if minor.progress_notify:
        flags["experimental-watch-progress-notify-interval"] = "5s"
    return flags
