"""What the record of ``adopt`` says: a cluster that is there already gets into bundlegen's care. Pure."""

from __future__ import annotations

from typing import Final

from bundlegen.operations import telling
from bundlegen.record import steps
from bundlegen.record.blocks import Block, Paragraph
from bundlegen.record.schema import Change
from bundlegen.record.story import Story
from bundlegen.record.words import plural


def _summary(change: Change) -> tuple[Block, ...]:
    return (
        Paragraph(
            f"This change takes over the etcd cluster {change.cluster}, which runs, stays in use, and was made by hand "
            "or "
            f"by another tool. On each of {plural(len(change.hosts), 'host')} one self-extracting bundle is run. It "
            "compares what runs with what the specification says, and refuses, untouched, if anything that matters "
            "differs. Then it gives the member new keys and certificates under the same CA, puts kubelet's set-up, the "
            "health check and the installer's own files in place, and proves by connections to etcd that it shows the "
            "new certificates. No etcd is restarted. Later changes are made as for any cluster. The first certificate "
            f"expires on {telling.first_expiry(change)}."
        ),
        *telling.in_short(change),
    )


def _risk(change: Change) -> tuple[Block, ...]:
    count = len(change.addresses)
    return telling.risks(
        downtime="None: connections that are open stay open, and new ones are made with the new certificates.",
        restarts="kubelet, on each host; its containers run on. No etcd, and no reboot.",
        quorum=f"Untouched: all {plural(count, 'member')} go on running, and each bundle sees that all of them serve.",
        failing="A bundle that fails on its host puts everything back that was there, by itself, and says so (exit "
        "code 13). The other hosts are not touched by that.",
        order="Any.",
    )


def _before(change: Change) -> tuple[Block, ...]:
    return (
        Paragraph(
            "Each difference between what runs and the specification is a sentence of the preflight: correct the "
            "specification, or what runs, and build again (`bundlegen withdraw` first)."
        ),
        *steps.before(change),
    )


def _execution(change: Change) -> tuple[Block, ...]:
    return (
        Paragraph("Run the bundles in any order, each when the one before has ended with exit code 0."),
        telling.in_order(change, "What restarts", lambda _: "kubelet"),
        *steps.runs(change, lambda _: (steps.healthy(change),)),
    )


def _way_back(change: Change) -> tuple[Block, ...]:
    intro = (
        "To take the change back after success, on the hosts that have run it, in any order: the files of before come "
        "back, and etcd runs on."
    )
    return telling.way_back(change, intro, (telling.RECEIPTS_STAY, telling.KEYS_WERE_THERE))


STORY: Final = Story(
    title=telling.title,
    summary=_summary,
    risk=_risk,
    before=_before,
    execution=_execution,
    after=steps.after,
    way_back=_way_back,
)
