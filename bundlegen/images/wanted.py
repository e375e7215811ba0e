"""The images that a cluster needs, and how they are fetched where there is a network. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bundlegen.bundle import member
from bundlegen.images.contents import Image, full_name, shown

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster


def needed(cluster: Cluster) -> tuple[str, ...]:
    """The images that a host of ``cluster`` has to have: etcd's, and the one that holds a Pod's namespaces."""
    return (member.image(cluster), member.pause_image(cluster))


def unmet(cluster: Cluster, images: Sequence[Image]) -> list[str]:
    """What the cluster needs and ``images`` do not have: sentences that name both."""
    names = {name for image in images for name in image.names}
    sentences = []
    for wanted in map(full_name, needed(cluster)):
        if wanted not in names:
            short = wanted.rpartition("/")[2].partition(":")[0]
            similar = sorted(name for name in names if name.rpartition("/")[2].partition(":")[0] == short)
            there = ", ".join(shown(name) for name in similar or sorted(names)) or "images without names"
            sentences.append(f"the hosts need {wanted}; carried is {there}")
    return sentences


def file_name(image: str) -> str:
    """A file name for an image."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", image) + ".tar"


def fetch_command(image: str, architecture: str) -> tuple[str, ...]:
    """How to save ``image`` for Go's ``architecture`` on a machine with a network, into the folder ``images``."""
    # k8s.gcr.io has been frozen since April 2023; the same images are at its successor, under the name it is given.
    source = re.sub(r"^k8s\.gcr\.io/", "registry.k8s.io/", image)
    return (
        *("skopeo", "copy", "--override-os", "linux", "--override-arch", architecture),
        *(f"docker://{source}", f"docker-archive:images/{file_name(image)}:{image}"),
    )
