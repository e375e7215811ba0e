"""Which etcd may follow which: what an upgrade must not skip, and from where it may begin. Pure.

Sources: etcd's upgrade guides (one minor after the other; 3.6 only from 3.5.26 on, 3.7 only from 3.6.11 on: blog
"zombie members", ``upgrade_3_6``, ``upgrade_3_7``); etcd starts on no data whose cluster version is newer than it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, TypeAlias

from bundlegen import kubernetes
from bundlegen.bundle import member

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster

Version: TypeAlias = tuple[int, int, int]

LEAST_BEFORE: Final[dict[int, int]] = {6: 26, 7: 11}
"""By minor of etcd 3: the patch release of the minor before that every member must have reached before."""


def refusals(before: Cluster, after: Cluster) -> Iterator[tuple[str, str]]:
    """Why etcd of ``after`` must not follow that of ``before``: what is wrong, and what to do. Nothing if it may."""
    old, new = (kubernetes.etcd_version(member.image_tag(each)) for each in (before, after))
    tags = f"{member.image_tag(before)} -> {member.image_tag(after)}"
    if member.image_tag(before) == member.image_tag(after):
        return
    if old is None or new is None:
        yield (
            f"the etcd image changes ({tags}), and a tag does not say which etcd it is",
            "name images by tags that begin with the version, such as 3.5.26-0",
        )
    elif new < old:
        yield (
            f"etcd would go back ({tags}), which no upgrade does",
            "keep etcd.imageTag as it is; to take an upgrade back, see the way back in its record",
        )
    elif new[0] != old[0] or new[1] > old[1] + 1:
        yield (
            f"etcd would skip a minor version ({tags}), and does not start then",
            f"upgrade to {old[0]}.{old[1] + 1} first, as a change of its own (etcd.imageTag)",
        )
    elif new[1] > old[1] and old[2] < (least := LEAST_BEFORE.get(new[1], 0)):
        what = (
            f"etcd {new[0]}.{new[1]} may follow {old[0]}.{old[1]} only from {old[0]}.{old[1]}.{least} on ({tags}), for "
            "it may not start on the data of an earlier one"
        )
        yield (
            what,
            f"upgrade to {old[0]}.{old[1]}.{least} or later first, as a change of its own (etcd.imageTag)",
        )
