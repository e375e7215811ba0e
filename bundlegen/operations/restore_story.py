"""What the record of ``restore`` says: the cluster begins anew from a snapshot. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bundlegen import layout
from bundlegen.operations import telling
from bundlegen.record import steps
from bundlegen.record.blocks import Block, Command, Paragraph
from bundlegen.record.schema import Change, Host
from bundlegen.record.story import Story
from bundlegen.record.words import listed, plural, quorum

STOPPED: Final = "etcd is stopped here, and its data is where it was."
"""What the first half says at its end."""


def _going(change: Change) -> tuple[str, ...]:
    """The members of before whose hosts are none any more, in order."""
    stay = {each.name for each in change.addresses}
    return tuple(each.name for each in change.members_before if each.name not in stay)


def _were_members(change: Change) -> tuple[Host, ...]:
    known = {each.name for each in change.members_before}
    return tuple(host for host in change.hosts if host.name in known)


def _summary(change: Change) -> tuple[Block, ...]:
    going = _going(change)
    left = f" {listed(going)} will be none of it." if going else ""
    return (
        Paragraph(
            f"This change makes the etcd cluster {change.cluster} anew, on {plural(len(change.hosts), 'host')}, "
            "from "
            f"the snapshot with the SHA-256 `{change.snapshot}`. WHAT WAS WRITTEN AFTER THE SNAPSHOT IS LOST to "
            "clients. "
            "All members are stopped first; each host's data is moved aside, never deleted, and its member begins with "
            f"the snapshot, as one of a new cluster with a token of its own, which no old member can join.{left} The "
            f"first certificate expires on {telling.first_expiry(change)}."
        ),
        *telling.in_short(change),
    )


def _risk(change: Change) -> tuple[Block, ...]:
    count = len(change.addresses)
    return telling.risks(
        downtime="THE CLUSTER DOES NOT SERVE from when the first members are stopped until a quorum of restored ones "
        "runs.",
        restarts="etcd and kubelet on every host. No reboot. API servers are stopped before and started after.",
        quorum=f"There is none meanwhile. It is there again when {quorum(count)} of {plural(count, 'host')} have run "
        "their bundles; the first ones wait, which is success.",
        failing="Before data is moved, a bundle tries everything that can fail: the snapshot's sum, the room, the "
        "program that restores, which comes out of the etcd image. If it fails nevertheless, it stops there and "
        "changes "
        "nothing more: no old member is started again by itself. Run it again, and it goes on; `rollback` puts the old "
        "data back.",
        order="Stop all, then run the bundles in any order. A bundle refuses, untouched, as long as a member of before "
        "answers (exit code 11).",
    )


def _before(change: Change) -> tuple[Block, ...]:
    return (
        Paragraph(
            "Carry to each host its bundle and the snapshot, into one folder; its name must end in `.db`. It is taken "
            f"only if its SHA-256 is `{change.snapshot}`. A host that keeps this very snapshot itself needs no other "
            "copy: a bundle looks there too. On every control plane, stop the API server before the first "
            f"member stops: move kube-apiserver's manifest out of `{layout.STATIC_POD_DIR}`."
        ),
        *_checks(change),
    )


def _checks(change: Change) -> Iterator[Block]:
    for host in change.hosts:
        yield Command(
            f"On {host.name}, {steps.HERE}",
            steps.sums_check([host.bundle]),
            ("…", f"{host.bundle}: OK", "…"),
        )


def _execution(change: Change) -> tuple[Block, ...]:
    stops = [
        Command(f"On {host.name}, as root, {steps.HERE}", f"sh {host.bundle} -- stop", ("…", STOPPED))
        for host in _were_members(change)
    ]
    return (
        Paragraph(
            "First stop every member. A host that is gone cannot be stopped, and must not come back with its data."
        ),
        *stops,
        *_leave(change),
        Paragraph("When all are stopped, restore each, in any order:"),
        *steps.runs(change, lambda _: ("…",)),
    )


def _leave(change: Change) -> Iterator[Block]:
    for name in _going(change):
        installer = f"{layout.state_dir(change.cluster)}/bundle/{layout.INSTALLER}"
        yield Command(f"On {name}, which will be no member, as root", f"bash {installer} uninstall", telling.DONE)


def _after(change: Change) -> tuple[Block, ...]:
    return (
        *steps.after(change),
        Paragraph(
            "Then start the API servers again, one after the other: move kube-apiserver's manifest back into "
            f"`{layout.STATIC_POD_DIR}`. Restart everything that watches: kube-controller-manager, kube-scheduler, and "
            "kubelet on every node, for what they remember may be newer than the snapshot. Revisions are raised by a "
            "thousand million, so that watchers notice, where the version of etcd can do that (from 3.5.10 on). If the "
            "hosts are others than before, API servers need the new addresses: `--etcd-servers`, and "
            "`etcd.external.endpoints` in kubeadm's ClusterConfiguration."
        ),
    )


def _way_back(change: Change) -> tuple[Block, ...]:
    intro = (
        "To take the change back, on ALL hosts that have stopped or run it: the data that was moved aside comes back, "
        "with all that was written before, and what was written since is moved aside. Stop the API servers first."
    )
    return telling.way_back(change, intro, (telling.RECEIPTS_STAY, _KEPT), copy=False)


_KEPT: Final = "Data that was moved aside stays where it is said to be, until somebody deletes it."

STORY: Final = Story(
    title=telling.title,
    summary=_summary,
    risk=_risk,
    before=_before,
    execution=_execution,
    after=_after,
    way_back=_way_back,
)
