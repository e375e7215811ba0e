"""What differs between Kubernetes versions, for the stand-ins.

Written down apart from bundlegen's own table on purpose: a stand-in that read bundlegen's facts could not contradict
them. Sources: kubernetes/kubernetes cmd/kubeadm/app/constants/constants.go and the CHANGELOG of each minor.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

VERSION_FILE = Path("/etc/standin-kubernetes-version")

# The etcd tag by kubeadm's own patch release: minor -> (from this patch on, tag), newest last.
ETCD_TAGS: dict[int, tuple[tuple[int, str], ...]] = {
    22: ((0, "3.5.0-0"), (17, "3.5.6-0")),
    23: ((0, "3.5.1-0"), (14, "3.5.5-0"), (15, "3.5.6-0")),
    24: ((0, "3.5.3-0"), (8, "3.5.5-0"), (9, "3.5.6-0")),
    25: ((0, "3.5.4-0"), (4, "3.5.5-0"), (5, "3.5.6-0"), (15, "3.5.9-0")),
    26: ((0, "3.5.6-0"), (10, "3.5.9-0"), (13, "3.5.10-0")),
    27: ((0, "3.5.7-0"), (7, "3.5.9-0"), (10, "3.5.10-0"), (12, "3.5.12-0")),
    28: ((0, "3.5.9-0"), (6, "3.5.10-0"), (8, "3.5.12-0"), (14, "3.5.15-0")),
    29: ((0, "3.5.10-0"), (3, "3.5.12-0"), (9, "3.5.15-0"), (11, "3.5.16-0")),
    30: ((0, "3.5.12-0"), (5, "3.5.15-0")),
    31: ((0, "3.5.15-0"), (14, "3.5.24-0")),
    32: ((0, "3.5.16-0"), (10, "3.5.24-0")),
    33: ((0, "3.5.21-0"), (6, "3.5.24-0")),
    34: ((0, "3.6.4-0"), (2, "3.6.5-0")),
    35: ((0, "3.6.6-0"),),
    36: ((0, "3.6.8-0"),),
    37: ((0, "3.7.0-0"),),
}
PAUSE_TAGS = {22: "3.5", 23: "3.6", 24: "3.7", 25: "3.8", **dict.fromkeys(range(26, 31), "3.9")}
PAUSE_TAGS |= {31: "3.10", 32: "3.10", 33: "3.10", 34: "3.10.1", 35: "3.10.1", 36: "3.10.2", 37: "3.10.2"}
COREDNS_TAG = "v1.11.3"  # no etcd host ever runs it


@dataclass(frozen=True, order=True)
class Version:
    """A Kubernetes version 1.minor.patch."""

    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "v1.31.4"; ValueError for anything else."""
        if not (match := re.fullmatch(r"v1\.(\d+)\.(\d+)", text.strip())):
            raise ValueError(f"could not parse {text!r} as version")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"v1.{self.minor}.{self.patch}"

    @property
    def repository(self) -> str:
        return "k8s.gcr.io" if self.minor <= 24 else "registry.k8s.io"


def own() -> Version:
    """The version this stand-in plays."""
    return Version.parse(VERSION_FILE.read_text())


def etcd_tag(kubeadm: Version, minor: int) -> str:
    """The tag that this kubeadm chooses for a cluster of that minor; the nearest one it knows if it knows none."""
    tags = ETCD_TAGS[min(max(minor, min(ETCD_TAGS)), max(ETCD_TAGS))]
    patch = kubeadm.patch if minor == kubeadm.minor else 99 if minor < kubeadm.minor else 0
    return [tag for since, tag in tags if since <= patch][-1]


def images(kubeadm: Version, cluster: Version, repository: str | None = None) -> list[str]:
    """What `kubeadm config images list` prints."""
    where = repository or cluster.repository
    control_plane = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
    coredns = f"{where}/coredns:{COREDNS_TAG}" if repository else f"{where}/coredns/coredns:{COREDNS_TAG}"
    return [
        *(f"{where}/{name}:{cluster}" for name in control_plane),
        coredns,
        f"{where}/pause:{PAUSE_TAGS[kubeadm.minor]}",
        f"{where}/etcd:{etcd_tag(kubeadm, cluster.minor)}",
    ]
