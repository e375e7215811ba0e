"""What the stories of operations say alike that restart etcd on a cluster that runs, host by host. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from bundlegen.bundle.effects import WORDS, Effect
from bundlegen.operations import telling
from bundlegen.record import steps
from bundlegen.record.blocks import Block, Paragraph, Table
from bundlegen.record.schema import Change, Host
from bundlegen.record.words import listed, plural, quorum

ETCD: Final[tuple[Effect, ...]] = ("etcd", "pod")
"""The effects by which etcd restarts."""


def effects(change: Change, host: Host) -> tuple[Effect, ...]:
    """What has to be restarted on ``host``, each once. A record that does not know it counts with the most."""
    if change.compared_with is not None:
        for each in change.compared_with.hosts:
            if each.name == host.name:
                met = {file.effect for file in each.files}
                return tuple(effect for effect in WORDS if effect in met and effect != "none")
    return ("kubelet", "pod")


def restarting(change: Change, wanted: Sequence[Effect]) -> list[str]:
    """The hosts, by name, on which one of these effects is met."""
    return [host.name for host in change.hosts if set(wanted) & set(effects(change, host))]


def downtime(change: Change) -> str:
    """Whether the cluster is away meanwhile."""
    count = len(change.addresses)
    if not restarting(change, ETCD):
        return "None: no etcd is restarted."
    if count - 1 < quorum(count):
        return (
            f"The cluster does not serve while etcd restarts on a host, up to half a minute each time: {count} "
            f"{'member' if count == 1 else 'members'} cannot do without one."
        )
    return (
        "None for the cluster if the bundles are run one host after the other: the other members go on serving. "
        "Connections to the member that restarts are closed. If it is the leader, another one is elected within "
        "seconds, and a write that is under way may fail and have to be repeated by its client."
    )


def told(change: Change) -> Iterator[str]:
    """What restarts on which hosts, in sentences."""
    for effect, words in WORDS.items():
        hosts = restarting(change, [effect])
        if effect != "none" and hosts:
            yield f"On {listed(hosts)}: {words}."
    calm = [host.name for host in change.hosts if not effects(change, host)]
    if calm:
        yield f"On {listed(calm)}: nothing."
    yield "No reboot."


def quorum_kept(change: Change) -> str:
    """What is asked before etcd is restarted."""
    count = len(change.addresses)
    if not restarting(change, ETCD):
        return f"Untouched: all {plural(count, 'member')} go on running." if count > 1 else "Untouched."
    asked = (
        "Before it changes anything, and again right before etcd is restarted, each bundle asks every other voting "
        "member for its own health."
    )
    if count - 1 < quorum(count):
        return f"{asked} It warns that the cluster does not serve meanwhile."
    return (
        f"While etcd restarts on one host, {count - 1} of {count} members serve, and {quorum(count)} must. {asked} If "
        "the cluster would lose its quorum without this member, nothing is touched and the member that is missing is "
        "named (exit code 11)."
    )


def expected(change: Change) -> Iterator[Block]:
    """What must be true on the hosts; a receipt that is not at hand proves nothing either way."""
    earlier = sorted({name for host in change.hosts for name in (host.after, host.required) if name})
    unknown = [host for host in change.hosts if host.after and not host.after_ran]
    if earlier:
        yield Paragraph(
            "Each bundle looks on its host which changes ran there: it makes up for a skipped one if it can, and "
            "refuses, untouched, if another bundle must be run first (exit code 11). Made for hosts on which this ran:"
        )
        rows = tuple((host.name, host.after or "none", host.required or "none") for host in change.hosts)
        yield Table("Changes before this one", ("Host", "Newest", "Must have run"), rows)
    if unknown:
        yield Paragraph(
            f"No receipt says that it ran on {listed([host.name for host in unknown])}. `bundlegen reconcile` with "
            "`--pki` takes receipts into the store."
        )


def one_by_one(change: Change, order: str) -> tuple[Block, ...]:
    """The bundles, one after the other; ``order``: a sentence on which comes when."""
    return (
        Paragraph(f"Run one bundle after the other, each when the one before has ended with exit code 0. {order}"),
        telling.in_order(
            change,
            "What restarts",
            lambda host: "; ".join(WORDS[effect] for effect in effects(change, host)) or "nothing restarts",
        ),
        *steps.runs(change, lambda _: (steps.healthy(change),)),
    )
