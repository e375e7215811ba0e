"""The tables of the record. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby, starmap

from bundlegen import layout
from bundlegen.record.blocks import Table
from bundlegen.record.schema import Certificate, Change, File
from bundlegen.system import text


def day(moment: datetime) -> str:
    """The day of a moment, UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d")


def minute(moment: datetime) -> str:
    """A moment for people, UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def members(change: Change) -> Table:
    """Who the members are afterwards and where they answer."""
    return Table(
        "Members",
        ("Member", "Address", "Clients connect to", "Members connect to"),
        tuple(
            (each.name, f"`{each.address}`", f"`{each.client_url}`", f"`{each.peer_url}`") for each in change.addresses
        ),
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
    """What each bundle places, and what it only carries; what all of them have alike, once."""
    first, *others = change.hosts
    alike = {file for file in first.files if others and all(file in host.files for host in others)}
    tables = [bundle_files("Files of every bundle", sorted(alike, key=lambda file: file.path))] if alike else []
    for host in change.hosts:
        more = "further files" if alike else "files"
        caption = f"{host.name}: {more} of {host.bundle} ({text.size(host.size)})"
        tables.append(bundle_files(caption, [file for file in host.files if file not in alike]))
    return tuple(tables)


def bundle_files(caption: str, files: Sequence[File]) -> Table:
    """What a bundle places, and what it only carries."""
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
            for file in files
        ),
        bulky=True,
    )


def certificates(change: Change) -> tuple[Table, ...]:
    """Every certificate: the CA's once, then each host's own."""
    head = ("Certificate", "Subject", "Names", "Valid", "SHA-256 fingerprint")
    tables = [Table("Certificate authority", head, tuple(starmap(_row, _authorities(change))))]
    for host in change.hosts:
        own = [each for each in host.certificates if not each.ca]
        rows = tuple(_row(short(each.path), each) for each in own)
        tables.append(Table(f"{host.name}: certificates", head, rows, bulky=True))
    return tuple(tables)


def _authorities(change: Change) -> list[tuple[str, Certificate]]:
    """The CAs in force. The one that hosts trust is in the file; the new one signs, and is there in the next round."""
    cas = change.cas or (change.ca,)
    return [("etcd/ca.crt" if each is cas[-1] else "the new CA", each) for each in cas]


def short(path: str) -> str:
    """A certificate's path without the folder they are all in."""
    return path.removeprefix(f"{layout.PKI_DIR}/")


def validity(change: Change) -> list[tuple[str, datetime, datetime]]:
    """The certificates by when they are valid: (whose, from, to), the CA first, equal ones of a host together."""
    cas = change.cas or (change.ca,)
    called = ["CA"] if len(cas) == 1 else ["new CA", "old CA"]
    rows = [(name, each.not_before, each.not_after) for name, each in zip(called, cas, strict=True)]
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
