"""The documents that people read: those of the record that follows from the bundles, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from bundlegen import layout
from bundlegen.errors import VerificationError
from bundlegen.operations import table
from bundlegen.record import write
from bundlegen.record.schema import Change
from bundlegen.system.resources import template_text
from bundlegen.trust.finding import Finding
from bundlegen.trust.small_file import small_file


def faults(folder: Path, sums: Mapping[str, str], again: Change, record: bytes | None) -> Iterator[Finding]:
    """The documents are those of the record that follows, byte for byte; ``record``: None if it is another anyway."""
    operation = table.named(again.operation)
    if operation is None:
        return
    wanted = write.render(again, template_text, operation.story)
    if layout.RECORD_ANNEX in sums.keys() - wanted.keys():
        yield Finding(layout.RECORD_ANNEX, f"is there, though {layout.RECORD_MARKDOWN} needs none")
    for name, content in wanted.items():
        if name not in sums:
            yield Finding(name, f"is not in {layout.SUMS}")
            continue
        try:
            found = record if name == layout.RECORD else small_file(folder / name)
        except VerificationError as error:
            yield Finding(name, error.message.removeprefix(f"{name} "))
            continue
        if found is not None and found != content:
            yield Finding(name, "is not what bundlegen writes for these bundles")
