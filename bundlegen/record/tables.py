"""The tables of the record. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import groupby

from bundlegen import layout
from bundlegen.record.blocks import Block, Paragraph, Points, Table
from bundlegen.record.schema import Bundle, Certificate, Change, Compared
from bundlegen.system import text


def day(moment: datetime) -> str:
    """The day of a moment, UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d")


def minute(moment: datetime) -> str:
    """A moment for people, UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def members(change: Change) -> Table:
    """Who the members are and where they answer."""
    return Table(
        "Members",
        ("Member", "Address", "Clients connect to", "Members connect to"),
        tuple((host.name, f"`{host.address}`", f"`{host.client_url}`", f"`{host.peer_url}`") for host in change.hosts),
    )


def connections(change: Change) -> Table:
    """Who talks to whom, on which port, with which certificate."""
    server, peer = "etcd/server.crt", "etcd/peer.crt"
    rows = [
        ("Each member", "each other member", change.ports.peer, f"`{peer}`, both sides"),
        ("API servers", "each member", change.ports.client, f"`apiserver-etcd-client.crt`; etcd shows `{server}`"),
        ("Health checks", "each member", change.ports.client, f"`etcd/healthcheck-client.crt`; etcd shows `{server}`"),
        (
            "kubelet's probes, metrics",
            "the member on the same host",
            change.ports.metrics,
            "none: loopback only, plain HTTP",
        ),
    ]
    if change.ports.metrics_on == "address":
        rows[-1] = ("kubelet's probes", "the member on the same host", change.ports.metrics, "none: plain HTTP")
        rows.append(
            ("Monitoring", "each member", change.ports.metrics, "none: plain HTTP, for whoever reaches the port")
        )
    return Table(
        f"Who talks to whom (TCP; certificates below {layout.PKI_DIR}, all checked against `etcd/ca.crt`)",
        ("From", "To", "Port", "Certificate"),
        tuple((source, target, str(port), certificate) for source, target, port, certificate in rows),
    )


def files(change: Change) -> tuple[Table, ...]:
    """What each bundle places, and what it only carries."""
    return tuple(
        bundle_files(f"{host.name}: files of {host.bundle} ({text.size(host.size)})", host) for host in change.hosts
    )


def bundle_files(caption: str, bundle: Bundle) -> Table:
    """What one bundle places, and what it only carries."""
    return Table(
        caption,
        ("Path", "Mode", "What it is", "SHA-256"),
        tuple(
            (
                f"`{file.path}`",
                file.mode,
                f"{file.what}{'' if file.placed else ' (carried, not placed)'}",
                f"`{file.sha256}`",
            )
            for file in bundle.files
        ),
    )


def compared(found: Compared) -> tuple[Block, ...]:
    """What is different from the previous change, host by host; what is the same on all of them, once."""
    blocks: list[Block] = [
        Paragraph(f"Compared with the change whose `{layout.SUMS}` has the SHA-256 `{found.sha256}`.")
    ]
    hosts = [f"{name} no longer has a bundle." for name in found.hosts_gone]
    hosts += [f"{name} is new." for name in found.hosts_added]
    if hosts:
        blocks.append(Points(tuple(hosts)))
    rows = [((each.what, each.old, each.new), host.name) for host in found.hosts for each in host.changes]
    where: dict[tuple[str, str, str], list[str]] = {}
    for difference, name in rows:
        where.setdefault(difference, []).append(name)
    if where:
        everywhere = len(found.hosts) if len(found.hosts) > 1 else 0
        cells = tuple(
            (
                _words(what),
                "all that are in both" if len(names) == everywhere else ", ".join(names),
                _words(old) or "(none)",
                _words(new) or "(none)",
            )
            for (what, old, new), names in where.items()
        )
        blocks.append(Table("What changes", ("What", "On", "Before", "After"), cells))
        restarts = tuple(f"{host.name}: {', '.join(host.restarts) or 'none'}" for host in found.hosts)
        blocks += [Paragraph("Restarts that this needs:"), Points(restarts)]
    elif not hosts:
        blocks.append(Paragraph("Nothing changes on any host."))
    return tuple(blocks)


def _words(text: str) -> str:
    """Text from another change's bundles, in one line and without what would be taken for code."""
    return " ".join(text.replace("`", "'").split())


def certificates(change: Change) -> tuple[Table, ...]:
    """Every certificate: the CA's once, then each host's own."""
    head = ("Certificate", "Subject", "Names", "Valid", "SHA-256 fingerprint")
    tables = [Table("Certificate authority", head, (_row("etcd/ca.crt", change.ca),))]
    for host in change.hosts:
        own = [each for each in host.certificates if not each.ca]
        rows = tuple(_row(short(each.path), each) for each in own)
        tables.append(Table(f"{host.name}: certificates", head, rows))
    return tuple(tables)


def short(path: str) -> str:
    """A certificate's path without the folder they are all in."""
    return path.removeprefix(f"{layout.PKI_DIR}/")


def validity(change: Change) -> list[tuple[str, datetime, datetime]]:
    """The certificates by when they are valid: (whose, from, to), the CA first, equal ones of a host together."""
    rows = [("CA", change.ca.not_before, change.ca.not_after)]
    for host in change.hosts:
        own = sorted((each.not_after, each.not_before, short(each.path)) for each in host.certificates if not each.ca)
        for (end, start), group in groupby(own, key=lambda each: each[:2]):
            names = [path for _, _, path in group]
            whose = host.name if len(names) == len(own) else f"{host.name}: {', '.join(names)}"
            rows.append((whose, start, end))
    return rows


def _row(name: str, certificate: Certificate) -> tuple[str, ...]:
    names = ", ".join(f"`{name}`" for name in certificate.sans) or "none"
    return (
        f"`{name}`",
        f"`{certificate.subject}`",
        names,
        f"{minute(certificate.not_before)} to {minute(certificate.not_after)}",
        f"`{certificate.sha256_fingerprint}`",
    )
