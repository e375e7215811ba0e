"""What the record of ``configure`` says: a cluster that runs and is used, changed host by host. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bundlegen.operations import restarts, telling
from bundlegen.record import steps
from bundlegen.record.blocks import Block, Paragraph
from bundlegen.record.schema import Change
from bundlegen.record.story import Story
from bundlegen.record.words import listed, plural


def _summary(change: Change) -> tuple[Block, ...]:
    etcd = restarts.restarting(change, restarts.ETCD)
    restarted = f"On {listed(etcd)} etcd is restarted, one host at a time" if etcd else "No etcd is restarted"
    what = "These fields of the specification change:" if change.differences else _no_field(change)
    return (
        Paragraph(
            f"This change configures the etcd cluster {change.cluster}, which runs and stays in use. It changes "
            f"{plural(len(change.hosts), 'host')} of {len(change.addresses)}: on each of them one self-extracting "
            "bundle is run, which checks the host and the cluster, replaces the files that differ, restarts only what "
            "reads them when it starts, waits until etcd is healthy, and undoes everything if it does not become so. "
            f"{restarted}. Of these hosts, the first certificate expires on {telling.first_expiry(change)}. {what}"
        ),
        *telling.in_short(change),
    )


def _no_field(change: Change) -> str:
    return (
        "The specification is as it was; what differs on the hosts comes from bundlegen "
        f"{change.versions['bundlegen']} itself."
    )


def _risk(change: Change) -> tuple[Block, ...]:
    return telling.risks(
        downtime=restarts.downtime(change),
        restarts=" ".join(restarts.told(change)),
        quorum=restarts.quorum_kept(change),
        failing="A bundle that fails on its host undoes what it did there by itself, waits until the earlier etcd "
        "serves again, and says so (exit code 13). Do not run the next one then. Hosts that were done before keep the "
        "change until it is taken back there.",
        order="Any. A host that is left out stays as it is; the next change that has a bundle for it makes up for this "
        "one, and says so. After that, this change's bundle is refused there (exit code 11).",
    )


def _before(change: Change) -> tuple[Block, ...]:
    return (*steps.before(change), *restarts.expected(change))


def _execution(change: Change) -> tuple[Block, ...]:
    return restarts.one_by_one(change, "Any order of the hosts will do; never run two at the same time.")


def _way_back(change: Change) -> tuple[Block, ...]:
    again = (
        " etcd restarts there again, with the same checks of the quorum."
        if restarts.restarting(change, restarts.ETCD)
        else ""
    )
    intro = (
        "To take the change back after success, on the hosts that have run it, one after the other, each when the one "
        f"before has ended with exit code 0.{again}"
    )
    stays = (telling.DATA_STAYS, telling.RECEIPTS_STAY, *_kept_secret(change))
    return telling.way_back(change, intro, stays)


def _kept_secret(change: Change) -> Iterator[str]:
    replaced = change.compared_with.hosts if change.compared_with else ()
    if any(file.path.endswith(".key") for host in replaced for file in host.files):
        yield telling.KEYS_WERE_THERE


STORY: Final = Story(
    title=telling.title,
    summary=_summary,
    risk=_risk,
    before=_before,
    execution=_execution,
    after=steps.after,
    way_back=_way_back,
)
