"""What the record of ``rotate-ca`` says: another CA for a cluster that runs, in two rounds or at once. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bundlegen import layout
from bundlegen.operations import restarts, telling
from bundlegen.pki import catalog
from bundlegen.record import steps
from bundlegen.record.blocks import Block, Paragraph, Points, Table
from bundlegen.record.schema import Change
from bundlegen.record.story import Story
from bundlegen.record.words import plural, quorum

READY: Final = "--control-planes-ready"
"""What the operator confirms in the second round."""
DOWNTIME: Final = "--accept-downtime"
"""What the operator confirms where all is done at once."""
_PAIR: Final = catalog.APISERVER_ETCD_CLIENT
CONFIRMS: Final = {"2": READY, "now": DOWNTIME}
"""By round, as options of each bundle."""


def _short(fingerprint: str) -> str:
    return f"`{fingerprint[:16]}…`"


def _confirmed(change: Change) -> str:
    return f" {CONFIRMS[change.ca_round]}" if change.ca_round in CONFIRMS else ""


def _summary(change: Change) -> tuple[Block, ...]:
    hosts = plural(len(change.hosts), "host")
    first = {
        "1": (
            f"This change is the first of two rounds that give the etcd cluster {change.cluster}, which runs and stays "
            f"in use, another CA. Each of {hosts} gets new keys, and certificates for them that the new CA "
            f"{_short(change.cas[0].sha256_fingerprint)} has signed. Each is followed in its file by the cross "
            "certificate: the new CA, signed by the old one. So members and clients that trust the old CA accept them, "
            "and those that will trust the new one as well. Nothing is restarted. What hosts trust (`etcd/ca.crt`) "
            f"stays the old CA {_short(change.cas[-1].sha256_fingerprint)} until the second round. A host that has not "
            "run its bundle is harmless for as long as one likes: the second round waits for it."
        ),
        "2": (
            f"This change is the second of two rounds that give the etcd cluster {change.cluster}, which runs and "
            "stays "
            f"in use, another CA. From now on its {hosts} trust the new CA "
            f"{_short(change.ca.sha256_fingerprint)} alone. etcd reads that when it starts, so it is restarted once on "
            "each host, one after the other. Each bundle first proves, by connections to every member, that all of "
            "them show certificates of the new CA, and refuses otherwise. From its restart on a member refuses clients "
            "with certificates of the old CA: API SERVERS MUST HAVE THEIR NEW PAIR BEFORE."
        ),
        "now": (
            f"THE CLUSTER {change.cluster} DOES NOT SERVE WHILE THIS CHANGE IS CARRIED OUT. It gives {hosts} another "
            f"CA {_short(change.ca.sha256_fingerprint)} at once, because the key of the old one is known to others. "
            "Members with the new CA and members with the old one refuse each other: the cluster serves again when "
            f"{quorum(len(change.addresses))} hosts have run their bundles and API servers have their new pair. No "
            "data is touched."
        ),
    }[change.ca_round]
    more = f" The first certificate expires on {telling.first_expiry(change)}."
    return (Paragraph(first + more), *telling.in_short(change))


def _risk(change: Change) -> tuple[Block, ...]:
    count = len(change.addresses)
    if change.ca_round == "1":
        return telling.risks(
            downtime="None: connections that are open stay open, and new ones are made with the new certificates.",
            restarts="None: neither etcd nor kubelet, and no reboot.",
            quorum=f"Untouched: all {plural(count, 'member')} go on running.",
            failing="A bundle that fails on its host puts the old keys and certificates back by itself and says so "
            "(exit code 13). Members accept the old certificates and the new ones.",
            order="Any. A host that is left out stays as it is, and the second round refuses until it has run this "
            "one.",
        )
    if change.ca_round == "2":
        return telling.risks(
            downtime=restarts.downtime(change),
            restarts=" ".join(restarts.told(change)),
            quorum=restarts.quorum_kept(change),
            failing="A bundle that fails on its host puts the old CA back by itself, waits until etcd serves again, "
            "and says so (exit code 13). Do not run the next one then. Members that trust the new CA and members that "
            "trust the old one accept each other: that may stay so for as long as one likes.",
            order="The leader last, so that it changes only once; otherwise any.",
        )
    return telling.risks(
        downtime="THE CLUSTER DOES NOT SERVE from the first hosts on until a quorum of them has run this change, and "
        "then only clients that have a pair of the new CA.",
        restarts=" ".join(restarts.told(change)),
        quorum=f"IT IS LOST, and comes back when {quorum(count)} of {plural(count, 'host')} have run this change. No "
        "data is touched meanwhile.",
        failing="A bundle that fails on its host puts the old CA and certificates back by itself and says so (exit "
        "code 13).",
        order="Any, and quickly one after the other: the leader's host last.",
    )


def _before(change: Change) -> tuple[Block, ...]:
    return (*restarts.expected(change), *_planes(change), *steps.before(change, _confirmed(change)))


def _planes(change: Change) -> Iterator[Block]:
    if change.ca_round == "2":
        yield Paragraph(
            "On every control plane the client pair of the first round must be in place, and kube-apiserver must have "
            f"been restarted since with the `ca.crt` that holds both CAs. Nobody can see that from the hosts of etcd: "
            f"`{READY}` confirms it, on each host, and without it a bundle refuses (exit code 11)."
        )
    elif change.ca_round == "now":
        yield Paragraph(
            f"`{DOWNTIME}` confirms on each host that the cluster will not serve meanwhile; without it a bundle "
            "refuses "
            "(exit code 11). Have the control planes' files ready, which are described below."
        )


def _execution(change: Change) -> tuple[Block, ...]:
    rows = tuple(
        (host.name, f"`{host.address}`", f"`{host.bundle}`", _restart(change), str(host.first_expiry.date()))
        for host in change.hosts
    )
    order = {
        "1": "Run the bundles in any order, each when the one before has ended with exit code 0.",
        "2": "Run one bundle after the other, each when the one before has ended with exit code 0, the leader's last. "
        "Each preflight says whether its member leads. Never run two at the same time.",
        "now": "Run the bundles one after the other, without waiting between them.",
    }[change.ca_round]
    level: tuple[str, ...] = ("…",) if change.ca_round == "now" else (steps.healthy(change),)
    return (
        Paragraph(order),
        Table("Bundles", ("Host", "Address", "Bundle", "What restarts", "Expires then"), rows),
        *steps.runs(change, lambda _: level, _confirmed(change)),
    )


def _restart(change: Change) -> str:
    return "nothing restarts" if change.ca_round == "1" else "etcd"


def _after(change: Change) -> tuple[Block, ...]:
    return (*steps.after(change), *_control_planes(change))


def _control_planes(change: Change) -> Iterator[Block]:
    """kube-apiserver reads its pair whenever it connects, and its CA file once, when it starts."""
    folder, base = layout.PKI_DIR, f"{layout.CONTROL_PLANE}/{_PAIR}"
    if change.ca_round == "2":
        yield Paragraph(
            "The cross certificate is not needed any more, and goes with the next `bundlegen renew`. The old CA may "
            f"leave the API servers' `{folder}/etcd/ca.crt` at any time: give them the `etcd/ca.crt` of a host, and "
            "restart kube-apiserver for it."
        )
        return
    where = "now" if change.ca_round == "now" else "before the second round"
    yield Paragraph(
        f"The API servers of the Kubernetes cluster need the files in `{layout.CONTROL_PLANE}/` of this change "
        f"{where}: "
        f"`ca.crt`, with {'the new CA' if change.ca_round == 'now' else 'both CAs'}, and a client pair of the new CA. "
        "kube-apiserver reads the pair whenever it connects, and `ca.crt` only when it starts: it must be restarted, "
        "one control plane after the other. For each, here called CONTROL-PLANE:"
    )
    there, own = f"root@CONTROL-PLANE:{folder}/new/", f"{folder}/{_PAIR}"
    carried = [f"In the change folder: `scp -p {layout.CONTROL_PLANE}/ca.crt {base}.crt {base}.key {there}`"]
    if change.sealed:
        carried = [
            f"In the change folder: `scp -p {layout.CONTROL_PLANE}/ca.crt {there}`",
            f"From {change.hosts[0].name}, once it has run its bundle, as root: `scp -p {own}.crt {own}.key {there}`",
        ]
    moved = (
        f"cd {folder} && mv -f new/{_PAIR}.key {_PAIR}.key && mv -f new/{_PAIR}.crt {_PAIR}.crt && "
        "mv -f new/ca.crt etcd/ca.crt && rmdir new"
    )
    yield Points(
        (
            f"`ssh root@CONTROL-PLANE mkdir -pm 0700 {folder}/new`",
            *carried,
            f"On CONTROL-PLANE, as root: `{moved}`",
            "On CONTROL-PLANE, restart kube-apiserver: move its manifest away for half a minute.",
        )
    )


def _way_back(change: Change) -> tuple[Block, ...]:
    intro = {
        "1": "To take the change back after success, on the hosts that have run it, in any order, as long as no host "
        "has run the second round: each bundle asks, and then refuses, untouched (exit code 11). Nothing is restarted.",
        "2": "To take the change back after success, on the hosts that have run it, one after the other, each when the "
        "one before has ended with exit code 0. etcd is restarted on each. Certificates stay those of the new CA.",
        "now": "To take the change back after success, on all hosts that have run it. THE CLUSTER DOES NOT SERVE "
        "meanwhile, as on the way there, and trusts the old CA again.",
    }[change.ca_round]
    stays = (
        telling.RECEIPTS_STAY,
        telling.KEYS_WERE_THERE,
        "Control planes keep what they were given; with both CAs in `ca.crt` they reach the members either way.",
    )
    return telling.way_back(change, intro, stays)


STORY: Final = Story(
    title=telling.title,
    summary=_summary,
    risk=_risk,
    before=_before,
    execution=_execution,
    after=_after,
    way_back=_way_back,
)
