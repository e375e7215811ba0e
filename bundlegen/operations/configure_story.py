"""What the record of ``configure`` says: a cluster that runs and is used, changed host by host. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from bundlegen.bundle.effects import WORDS, Effect
from bundlegen.operations import telling
from bundlegen.record import steps
from bundlegen.record.blocks import Block, Paragraph, Points, Table
from bundlegen.record.schema import Change, Host
from bundlegen.record.story import Story
from bundlegen.record.words import listed, plural, quorum

_ETCD: Final[tuple[Effect, ...]] = ("etcd", "pod")


def _effects(change: Change, host: Host) -> tuple[Effect, ...]:
    """What has to be restarted on ``host``, each once. A record that does not know it counts with the most."""
    if change.compared_with is not None:
        for each in change.compared_with.hosts:
            if each.name == host.name:
                met = {file.effect for file in each.files}
                return tuple(effect for effect in WORDS if effect in met and effect != "none")
    return ("kubelet", "pod")


def _restarting(change: Change, wanted: Sequence[Effect]) -> list[str]:
    """The hosts, by name, on which one of these effects is met."""
    return [host.name for host in change.hosts if set(wanted) & set(_effects(change, host))]


def _summary(change: Change) -> tuple[Block, ...]:
    etcd = _restarting(change, _ETCD)
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
        downtime=_downtime(change),
        restarts=" ".join(_restarts(change)),
        quorum=_quorum(change),
        failing="A bundle that fails on its host undoes what it did there by itself, waits until the earlier etcd "
        "serves again, and says so (exit code 13). Do not run the next one then. Hosts that were done before keep the "
        "change until it is taken back there.",
        order="Any. A host that is left out stays as it is; the next change that has a bundle for it makes up for this "
        "one, and says so. After that, this change's bundle is refused there (exit code 11).",
    )


def _downtime(change: Change) -> str:
    count = len(change.addresses)
    if not _restarting(change, _ETCD):
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


def _restarts(change: Change) -> Iterator[str]:
    for effect, words in WORDS.items():
        hosts = _restarting(change, [effect])
        if effect != "none" and hosts:
            yield f"On {listed(hosts)}: {words}."
    calm = [host.name for host in change.hosts if not _effects(change, host)]
    if calm:
        yield f"On {listed(calm)}: nothing."
    yield "No reboot."


def _quorum(change: Change) -> str:
    count = len(change.addresses)
    if not _restarting(change, _ETCD):
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


def _before(change: Change) -> tuple[Block, ...]:
    return (*steps.before(change), *_expected(change))


def _expected(change: Change) -> Iterator[Block]:
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


def _execution(change: Change) -> tuple[Block, ...]:
    rows = tuple(
        (
            str(number),
            host.name,
            f"`{host.address}`",
            f"`{host.bundle}`",
            "; ".join(WORDS[effect] for effect in _effects(change, host)) or "nothing restarts",
        )
        for number, host in enumerate(change.hosts, start=1)
    )
    return (
        Paragraph(
            "Run one bundle after the other, each when the one before has ended with exit code 0. Any order of the "
            "hosts will do; never run two at the same time."
        ),
        Table("Order of execution", ("Step", "Host", "Address", "Bundle", "What restarts"), rows),
        *steps.runs(change, lambda _: (steps.healthy(change),)),
    )


def _way_back(change: Change) -> tuple[Block, ...]:
    done = ("…", "Done: this host is as it was before.")
    again = " etcd restarts there again, with the same checks of the quorum." if _restarting(change, _ETCD) else ""
    blocks: list[Block] = [
        Paragraph(
            "A failed run undoes itself. To take the change back after success, on the hosts that have run it, one "
            f"after the other, each when the one before has ended with exit code 0.{again}"
        ),
        *telling.undone_by_the_bundle(change, done),
        *telling.with_the_copy(change, done),
        Paragraph("What it cannot undo:"),
        Points(
            (
                "What clients have written to etcd meanwhile stays; no data is moved or deleted.",
                "The receipts stay, as the record of what was done.",
                *_kept_secret(change),
            )
        ),
    ]
    return tuple(blocks)


def _kept_secret(change: Change) -> Iterator[str]:
    replaced = change.compared_with.hosts if change.compared_with else ()
    if any(file.path.endswith(".key") for host in replaced for file in host.files):
        yield "The new private keys have been on the host's disk; removing a file does not wipe the disk."


STORY: Final = Story(
    title=telling.title,
    summary=_summary,
    risk=_risk,
    before=_before,
    execution=_execution,
    after=steps.after,
    way_back=_way_back,
)
