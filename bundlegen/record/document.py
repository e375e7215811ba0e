"""The record as a document: what a change board asks, in the order it asks. Pure.

Everything here follows from ``change.json``, so that Markdown and HTML, which are both made from this, cannot differ in
a fact, and so that making them again gives the same bytes. The record's "today" is the moment its newest certificate
was issued: it comes from the store, not from a clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from bundlegen import layout
from bundlegen.record import pictures, steps, tables
from bundlegen.record.blocks import Block, Document, Paragraph, Picture, Points, Section, Table
from bundlegen.record.schema import Change
from bundlegen.system import text

REMINDERS: Final = (60, 14)
"""Days before the first expiry on which the calendar reminds."""


def document(change: Change) -> Document:
    """The whole record of ``change``."""
    sections = [
        Section("summary", "Summary", _summary(change)),
        Section("risk", "Risk and impact", _risk(change)),
        Section("before", "Checks beforehand", steps.before(change)),
        Section("execution", "Execution, host by host", steps.execution(change)),
        Section("after", "Verification afterwards", steps.after(change)),
        Section("rollback", "Rollback", steps.rollback(change)),
        Section("cluster", "The cluster", _cluster(change)),
        Section("certificates", "Certificates", _certificates(change)),
        Section("files", "Files per host", tables.files(change)),
        *_base(change),
        *_compared(change),
        Section("secrets", "Where secrets are, and are not", _secrets(change)),
        Section("checksums", "Checksums and signature", steps.checksums(change)),
        Section("versions", "Versions", _versions(change)),
    ]
    return Document(f"Change {change.change} of etcd cluster {change.cluster}", tuple(sections))


def quorum(members: int) -> int:
    """How many of ``members`` must run for the cluster to work."""
    return members // 2 + 1


def plural(count: int, noun: str) -> str:
    """``1 host``, ``3 hosts``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _summary(change: Change) -> tuple[Block, ...]:
    count = len(change.hosts)
    expiry = tables.day(min(host.first_expiry for host in change.hosts))
    return (
        Paragraph(
            f"This change creates the etcd cluster {change.cluster} with {plural(count, 'member')} for Kubernetes "
            f"{change.kubernetes_version}. On each host one self-extracting bundle is run: it checks the host, places "
            "keys, certificates and the kubelet's configuration, lets the kubelet start etcd as a static Pod, waits "
            "until it is healthy, and undoes everything if it does not become so. It needs no network but the "
            f"members' own. The first certificate expires on {expiry}."
        ),
        Table(
            "The change in short",
            ("What", "Value"),
            (
                ("Cluster", change.cluster),
                ("Change", change.change),
                ("Kubernetes version", change.kubernetes_version),
                ("etcd image", f"`{change.etcd_image}`"),
                ("Hosts, in order of execution", ", ".join(host.name for host in change.hosts)),
                ("Issued (the “today” of this record)", tables.day(change.issued_at)),
                ("First certificate expires", expiry),
            ),
        ),
    )


def _risk(change: Change) -> tuple[Block, ...]:
    count = len(change.hosts)
    need = quorum(count)
    spare = count - need
    survives = (
        "Afterwards it bears the loss of no member: one host that fails, fails the cluster."
        if spare == 0
        else f"Afterwards it bears the loss of {plural(spare, 'member')} of {count}."
    )
    elsewhere = (
        "None for anything that runs elsewhere: the cluster is new and nobody uses it yet. A host that holds data of "
        "another etcd is refused, untouched."
    )
    restarts = (
        "On each host the kubelet is enabled and restarted once. Its unit then runs static Pods only: a host that is a "
        "node of a Kubernetes cluster is not fit for this. No reboot."
    )
    serving = (
        f"etcd starts to serve when {need} of {plural(count, 'member')} run; until then the first hosts wait, which is "
        f"success. {survives}"
    )
    failing = (
        "A bundle that fails on its host undoes what it did there by itself and says so (exit code 13). The other "
        "hosts are not touched by that."
    )
    rows = (
        ("Downtime", elsewhere),
        ("Restarts", restarts),
        ("Quorum", serving),
        ("If it fails", failing),
        ("Run again", "Running a bundle a second time changes nothing and restarts nothing."),
        ("Wrong host", "A bundle refuses every machine but its own (exit code 10), and touches nothing there."),
    )
    return (Table("What may happen", ("Question", "Answer"), rows),)


def _cluster(change: Change) -> tuple[Block, ...]:
    return (
        Picture(
            f"Members of {change.cluster} and who talks to whom",
            pictures.cluster(change),
            pictures.cluster_words(change),
        ),
        tables.members(change),
        tables.connections(change),
    )


def _certificates(change: Change) -> tuple[Block, ...]:
    first = min(host.first_expiry for host in change.hosts)
    reminders = " and ".join(tables.day(first - timedelta(days=days)) for days in REMINDERS)
    return (
        Picture(
            f"Validity of the certificates of {change.cluster}",
            pictures.timeline(change),
            pictures.timeline_words(change),
        ),
        Paragraph(
            f"Renew before {tables.day(first)}. `{layout.RECORD_CALENDAR}` puts reminders on {reminders} "
            f"({REMINDERS[0]} and {REMINDERS[1]} days ahead) and the expiry itself into a calendar."
        ),
        *tables.certificates(change),
    )


def _compared(change: Change) -> Iterator[Section]:
    if change.compared_with is not None:
        yield Section("compared", "Compared with the previous change", tables.compared(change.compared_with))


def _base(change: Change) -> Iterator[Section]:
    if change.base is not None:
        yield Section("base", "The image that hosts share", steps.base(change.base, change.images))


def _secrets(change: Change) -> tuple[Block, ...]:
    keys = [(host, [file for file in host.files if file.secret]) for host in change.hosts]
    carried = (
        "The keys in the bundles are sealed: encrypted under an unlock code per host that is in none of these files."
        if change.sealed
        else "Every bundle (`*.run`, and its parts) holds private keys in the clear: treat it as a secret, give it "
        "only to its host, and delete it from tickets and sticks afterwards."
    )
    ca = (
        "The CA's private key is in no bundle; it stays in the generator's store."
        if change.ca_key_host is None
        else f"The CA's private key is in the bundle of {change.ca_key_host} and in no other: whoever has that one can "
        "make certificates for the whole cluster."
    )
    return (
        Points(
            (
                carried,
                ca,
                "No two hosts share a private key.",
                "On a host, keys are readable by root alone (0600).",
                *(
                    [f"`{change.base.bundle}` holds no key, no certificate and nothing of one host."]
                    if change.base
                    else []
                ),
                "The generator's `pki` folder, from which the bundles are made, is not part of this change.",
                f"No secret is in this record, `{layout.RECORD}`, `{layout.SUMS}` or the receipts that hosts write.",
            )
        ),
        Table(
            "Private keys per bundle",
            ("Bundle", "Number", "Files"),
            tuple(
                (f"`{host.bundle}`", str(len(files)), ", ".join(f"`{file.path}`" for file in files))
                for host, files in keys
            ),
        ),
    )


def _versions(change: Change) -> tuple[Block, ...]:
    rows = [
        ("Kubernetes", change.kubernetes_version),
        ("etcd image", f"`{change.etcd_image}`"),
        *((name, version) for name, version in change.versions.items()),
        (f"`{change.installer.file}`, SHA-256", f"`{change.installer.sha256}`"),
    ]
    sizes = sum(host.size for host in change.hosts)
    images = (
        f", `{change.images.file}`, which all of them need, {text.size(change.images.size)}" if change.images else ""
    )
    return (
        Table("What had a part in this change", ("What", "Version"), tuple(rows)),
        Paragraph(
            f"`{change.installer.file}` is the same in every bundle of bundlegen {change.versions['bundlegen']}: "
            f"reviewed once, known by its hash. The bundles are {text.size(sizes)} together{images}."
        ),
    )
