"""What the record of ``upgrade`` says: another etcd on a cluster that runs and is used, host by host. Pure."""

from __future__ import annotations

from typing import Final

from bundlegen.operations import restarts, telling
from bundlegen.record import steps
from bundlegen.record.blocks import Block, Paragraph
from bundlegen.record.schema import Change
from bundlegen.record.story import Story
from bundlegen.record.words import listed, plural


def _restarts_etcd(change: Change) -> bool:
    return bool(restarts.restarting(change, restarts.ETCD))


def _summary(change: Change) -> tuple[Block, ...]:
    etcd = restarts.restarting(change, restarts.ETCD)
    restarted = f"On {listed(etcd)} etcd is restarted, one host at a time" if etcd else "No etcd is restarted"
    return (
        Paragraph(
            f"This change upgrades the etcd cluster {change.cluster}, which runs and stays in use, to "
            f"`{change.etcd_image}` and Kubernetes {change.kubernetes_version}. On each of "
            f"{plural(len(change.hosts), 'host')} one self-extracting bundle is run, which checks the host and asks "
            "every member for its version and its health, replaces the files that differ, waits until the new etcd is "
            f"healthy, and undoes everything if it does not become so. {restarted}. kubelet and kubeadm themselves are "
            "not in the bundles: install their new packages first, as the host's own package manager does. Of these "
            f"hosts, the first certificate expires on {telling.first_expiry(change)}. These fields of the "
            "specification change:"
        ),
        *telling.in_short(change),
    )


def _risk(change: Change) -> tuple[Block, ...]:
    return telling.risks(
        downtime=restarts.downtime(change),
        restarts=" ".join(restarts.told(change)),
        quorum=restarts.quorum_kept(change),
        failing="A bundle that fails on its host undoes what it did there by itself, waits until the earlier etcd "
        "serves again, and says so (exit code 13). Do not run the next one then. The members before it go on with the "
        "new etcd, which is harmless for as long as one likes: the cluster uses what is new only when the last one "
        "has it.",
        order=_order(change),
    )


def _order(change: Change) -> str:
    if len(change.addresses) == 1 or not _restarts_etcd(change):
        return "Any."
    return (
        "The leader last, so that it changes only once; otherwise any. Each bundle's preflight says whether its member "
        "leads. No host may be left out: a later change is refused there until this one has run."
    )


def _before(change: Change) -> tuple[Block, ...]:
    return (
        *restarts.expected(change),
        Paragraph(
            "On every host, before the first bundle is run: kubelet and kubeadm as this Kubernetes version wants them; "
            "the new etcd image in the runtime or in the bundle, for a member that cannot get it would be away. The "
            "preflight tells both. Each bundle takes a snapshot of its member before it restarts etcd, into the folder "
            "`snapshots` of its state (`--no-snapshot` leaves that out): when the last host is done, it is the only "
            "way back across a minor version."
        ),
        *steps.before(change),
    )


def _execution(change: Change) -> tuple[Block, ...]:
    return restarts.one_by_one(change, f"{_order(change)} Never run two at the same time.")


def _way_back(change: Change) -> tuple[Block, ...]:
    intro = (
        "To take the change back after success, on the hosts that have run it, one after the other, each when the one "
        "before has ended with exit code 0. Put the earlier packages of kubelet and kubeadm back first, if they were "
        "changed."
    )
    until = (
        "This works as long as one member still runs the earlier minor version of etcd. A few seconds after the last "
        "one has the new version, the cluster itself goes up to it, and an older etcd does not start on its data any "
        "more. Each bundle asks, and then refuses, untouched (exit code 11). The way back is the snapshot then."
    )
    return telling.way_back(change, intro, (telling.DATA_STAYS, telling.RECEIPTS_STAY), more=(until,))


STORY: Final = Story(
    title=telling.title,
    summary=_summary,
    risk=_risk,
    before=_before,
    execution=_execution,
    after=steps.after,
    way_back=_way_back,
)
