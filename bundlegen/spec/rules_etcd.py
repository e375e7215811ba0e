"""Rules for etcd's image: what fits which Kubernetes version. Its flags are in ``rules_flags``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from bundlegen import kubernetes
from bundlegen.spec.etcd_flags import Version, text_of
from bundlegen.spec.finding import FieldPath, Finding, Rule

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster

_FIRST_SOUND: Final[Version] = (3, 5, 3)
_RECOMMENDED: Final[Version] = (3, 5, 6)
_FIRST_WITH_LIVEZ: Final[Version] = (3, 5, 11)
_FIRST_WITHOUT_EXPERIMENTAL: Final[Version] = (3, 7, 0)
_FIRST_WITH_FEATURE_GATES: Final[Version] = (3, 6, 0)


def image_fits(cluster: Cluster) -> Iterator[Finding]:
    """The etcd version works with what kubeadm of this Kubernetes version writes into the manifest.

    Sources: kubeadm#2676 (3.5.0 to 3.5.2 lose data), kubeadm#3039 (/livez from 3.5.11), kubeadm phases/etcd local.go
    (``--experimental-*`` up to 1.33, ``--feature-gates`` always from 1.36), etcd 3.7 (``--experimental-*`` removed).
    """
    path: FieldPath = ("etcd", "imageTag")
    minor, tag = cluster.minor, cluster.etcd.image_tag
    involves: tuple[FieldPath, ...] = (("kubernetesVersion",),)
    if tag is None:
        default = kubernetes.for_version(minor).etcd_tag(cluster.patch)
        version = kubernetes.etcd_version(default)
        if version is not None and version < _RECOMMENDED:
            reason = "can lose data (kubeadm#2676)" if version < _FIRST_SOUND else "has known data problems"
            yield Finding(
                ("kubernetesVersion",),
                f"kubeadm {cluster.kubernetes_version} starts etcd {text_of(version)}, which {reason}",
                f'set etcd.imageTag to "{text_of(_RECOMMENDED)}-0" or a later 3.5',
                involves=(path,),
                warning=True,
            )
        return
    version = kubernetes.etcd_version(tag)
    if version is None:
        yield Finding(
            path,
            f"{tag} does not say which etcd it is",
            "it cannot be checked against kubeadm; better a tag like 3.5.15-0",
            warning=True,
        )
    elif version < _FIRST_SOUND:
        reason = "can lose data (kubeadm#2676)" if version >= (3, 5, 0) else "is older than kubeadm expects"
        yield Finding(path, f"etcd {text_of(version)} {reason}", f"use {text_of(_RECOMMENDED)}-0 or later")
    elif minor >= 31 and version < _FIRST_WITH_LIVEZ:
        yield Finding(
            path,
            f"etcd {text_of(version)} lacks /livez and /readyz, which kubeadm 1.{minor} probes (kubeadm#3039)",
            f"use {text_of(_FIRST_WITH_LIVEZ)}-0 or later",
            involves=involves,
        )
    elif minor >= 36 and version < _FIRST_WITH_FEATURE_GATES:
        yield Finding(
            path,
            f"etcd {text_of(version)} does not know --feature-gates, which kubeadm 1.{minor} always sets",
            "use 3.6.0-0 or later",
            involves=involves,
        )
    elif minor <= 33 and version >= _FIRST_WITHOUT_EXPERIMENTAL:
        yield Finding(
            path,
            f"etcd {text_of(version)} no longer knows the --experimental flags that kubeadm 1.{minor} sets",
            "use a version before 3.7",
            involves=involves,
        )
    elif version < _RECOMMENDED:
        yield Finding(
            path,
            f"etcd {text_of(version)} has known data problems",
            f"better {text_of(_RECOMMENDED)}-0 or later",
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


RULES: Final[tuple[Rule, ...]] = (image_fits, repository_not_the_image)
