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
from bundlegen.record import base, checksums, differences, pictures, tables
from bundlegen.record.blocks import Block, Document, Paragraph, Picture, Points, Section, Table
from bundlegen.record.schema import Change
from bundlegen.record.story import Story
from bundlegen.system import text

REMINDERS: Final = (60, 14)
"""Days before the first expiry on which the calendar reminds."""


def document(change: Change, story: Story) -> Document:
    """The whole record of ``change``; ``story`` is that of its operation."""
    sections = [
        Section("summary", "Summary", story.summary(change)),
        *_changes(change),
        Section("risk", "Risk and impact", story.risk(change)),
        Section("before", "Checks beforehand", story.before(change)),
        Section("execution", "Execution, host by host", story.execution(change)),
        Section("after", "Verification afterwards", story.after(change)),
        Section("rollback", "Rollback", story.way_back(change)),
        Section("cluster", "The cluster", _cluster(change)),
        Section("certificates", "Certificates", _certificates(change)),
        Section("files", "Files per host", tables.files(change)),
        *_base(change),
        Section("secrets", "Where secrets are, and are not", _secrets(change)),
        Section("checksums", "Checksums and signature", checksums.checksums(change)),
        Section("versions", "Versions", _versions(change)),
    ]
    return Document(story.title(change), tuple(sections))


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
            f"Renew before {tables.day(first)}, with `bundlegen renew SPEC`. `{layout.RECORD_CALENDAR}` puts "
            f"reminders on {reminders} ({REMINDERS[0]} and {REMINDERS[1]} days ahead) and the expiry itself into a "
            "calendar."
        ),
        *tables.certificates(change),
    )


def _changes(change: Change) -> Iterator[Section]:
    told = differences.told(change)
    if told:
        yield Section("changes", "What changes", told)


def _base(change: Change) -> Iterator[Section]:
    if change.base is not None:
        yield Section("base", "The image that hosts share", base.base(change.base, change.images))


def _secrets(change: Change) -> tuple[Block, ...]:
    keys = [(host, [file for file in host.files if file.secret]) for host in change.hosts]
    carried = (
        "The keys in the bundles are sealed: encrypted under an unlock code per host that is in none of these files."
        if change.sealed
        else "Every bundle (`*.run`, and its parts) holds private keys in the clear: treat it as a secret, give it "
        "only to its host, and delete it from tickets and sticks afterwards."
    )
    ca = (
        "The CA's private key is in no bundle of this change; it stays in the generator's store."
        if change.ca_key_host not in [host.name for host in change.hosts]
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
            bulky=True,
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
