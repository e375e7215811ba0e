"""What the record of ``renew`` says: new keys and certificates on a cluster that runs, and nothing restarts. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bundlegen import layout
from bundlegen.operations import telling
from bundlegen.pki import catalog
from bundlegen.record import steps
from bundlegen.record.blocks import Block, Paragraph, Points, Table
from bundlegen.record.schema import Change
from bundlegen.record.story import Story
from bundlegen.record.words import listed, plural, quorum
from bundlegen.system.text import stamp

_CLIENT: Final = next(each.base_name for each in catalog.CATALOG if each.name == catalog.APISERVER_ETCD_CLIENT)
_EXPIRY: Final = ", expiry"


def _ends(change: Change) -> list[str]:
    """When the certificates that are replaced expire, sorted; none where the store no longer has them."""
    hosts = change.compared_with.hosts if change.compared_with else ()
    return sorted(each.old for host in hosts for each in host.changes if each.what.endswith(_EXPIRY) and each.old)


def _expired(change: Change) -> bool:
    """Whether a certificate that is replaced had expired when the new ones were made."""
    ends = _ends(change)
    return bool(ends) and ends[0] <= stamp(change.issued_at)


def _summary(change: Change) -> tuple[Block, ...]:
    ends = _ends(change)
    old = f" The first of those that they replace expires on {ends[0][:10]}." if ends else ""
    return (
        Paragraph(
            f"This change renews the certificates of the etcd cluster {change.cluster}, which runs and stays in use: "
            "new private keys, and new certificates for them under the same CA, on "
            f"{plural(len(change.hosts), 'host')} of {len(change.addresses)}. On each of them one self-extracting "
            "bundle is run, which checks the host, replaces the keys and certificates, each pair at once, proves by "
            "connections to etcd that it shows the new ones, and puts the old ones back if it does not. No etcd and no "
            "kubelet is restarted: etcd reads these files whenever a connection is made. Of the new certificates, the "
            "first expires on "
            f"{telling.first_expiry(change)}.{old}"
        ),
        *telling.in_short(change),
    )


def _risk(change: Change) -> tuple[Block, ...]:
    need, count = quorum(len(change.addresses)), len(change.addresses)
    downtime = "None: connections that are open stay open, and new ones are made with the new certificates."
    serving = f"Untouched: all {plural(count, 'member')} go on running." if count > 1 else "Untouched."
    if _expired(change):
        downtime = (
            f"Certificates have expired already. Members that could not connect to each other any more can do so again "
            f"when {need} of {count} hosts show valid certificates; until then the first hosts wait, which is success."
        )
        serving = f"{need} of {plural(count, 'member')} must show valid certificates, and this change makes that so."
    return telling.risks(
        downtime=downtime,
        restarts="None: neither etcd nor kubelet, and no reboot.",
        quorum=serving,
        failing="A bundle that fails on its host puts the old keys and certificates back by itself and says so (exit "
        "code 13). The other hosts are not touched by that: old and new certificates are of the same CA, and work with "
        "each other.",
        order="Any. A host that is left out stays as it is, with the day on which its certificates expire.",
    )


def _before(change: Change) -> tuple[Block, ...]:
    return (*steps.before(change), *_expected(change))


def _expected(change: Change) -> Iterator[Block]:
    earlier = [host for host in change.hosts if host.after]
    if earlier:
        yield Paragraph(
            "This change replaces keys and certificates, and nothing else that etcd or kubelet reads. Where an earlier "
            "change that did more than that was skipped, its bundle refuses, untouched, and names it (exit code 11). "
            "Made for hosts on which this ran:"
        )
        rows = tuple((host.name, host.after or "none", host.required or "none") for host in earlier)
        yield Table("Changes before this one", ("Host", "Newest", "Must have run"), rows)
    unknown = [host.name for host in earlier if not host.after_ran]
    if unknown:
        yield Paragraph(
            f"No receipt says that it ran on {listed(unknown)}. `bundlegen reconcile` with `--pki` takes receipts into "
            "the store."
        )


def _execution(change: Change) -> tuple[Block, ...]:
    rows = tuple(
        (host.name, f"`{host.address}`", f"`{host.bundle}`", "nothing restarts", str(host.first_expiry.date()))
        for host in change.hosts
    )
    level: tuple[str, ...] = ("…",) if _expired(change) else (steps.healthy(change),)
    return (
        Paragraph("Run the bundles in any order, each when the one before has ended with exit code 0."),
        Table("Bundles", ("Host", "Address", "Bundle", "What restarts", "Expires then"), rows),
        *_first_hosts(change),
        *steps.runs(change, lambda _: level),
    )


def _first_hosts(change: Change) -> Iterator[Block]:
    if _expired(change):
        count = len(change.addresses)
        yield Paragraph(
            "Certificates have expired already. If the members no longer serve because of that, the first runs say "
            f"“… of {count} members run with valid certificates so far; etcd serves when {quorum(count)} do.” and end "
            "with exit code 0."
        )


def _after(change: Change) -> tuple[Block, ...]:
    return (*steps.after(change), *_control_planes(change))


def _control_planes(change: Change) -> Iterator[Block]:
    """API servers have a copy of a host's client pair, and read it when they connect: no restart."""
    path = f"{layout.PKI_DIR}/{_CLIENT}"
    name = path.rpartition("/")[2]
    ends = _ends(change)
    until = f" It is good until it expires, on {ends[0][:10]} at the earliest." if ends else ""
    yield Paragraph(
        f"The API servers of the Kubernetes cluster have a copy of a host's `{path}.crt` and `{name}.key`, which this "
        f"change does not reach.{until} Give them the new pair before that. kube-apiserver reads it when it connects, "
        "so it is not restarted, and the CA (`etcd/ca.crt`) stays as it is. For each control plane, here called "
        "CONTROL-PLANE:"
    )
    copies = " ".join(f"{path}.{end}" for end in ("crt", "key"))
    folder = layout.PKI_DIR
    carried = f"ssh root@CONTROL-PLANE mkdir -pm 0700 {folder}/new && scp -p {copies} root@CONTROL-PLANE:{folder}/new/"
    moved = f"cd {folder} && mv -f new/{name}.key {name}.key && mv -f new/{name}.crt {name}.crt && rmdir new"
    yield Points(
        (
            f"From {change.hosts[0].name}, once it has run its bundle, as root: `{carried}`",
            f"On CONTROL-PLANE, as root, both files right after each other: `{moved}`",
            f"On CONTROL-PLANE, to see when the copy expires: `openssl x509 -noout -enddate -in {path}.crt`",
        )
    )


def _way_back(change: Change) -> tuple[Block, ...]:
    intro = (
        "To take the change back after success, on the hosts that have run it, in any order. Nothing is restarted by "
        "that. Old certificates that have expired come back as they are, and a warning says so: then nobody can "
        "connect "
        "to that member any more."
    )
    stays = (
        telling.RECEIPTS_STAY,
        telling.KEYS_WERE_THERE,
        "Control planes that were given the new client pair keep it; it is good until it expires.",
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
