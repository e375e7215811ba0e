"""Records and receipts from disk, and the text file for node-exporter to disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from bundlegen import layout
from bundlegen.errors import OutputError, UsageError, VerificationError
from bundlegen.record.receipts import LARGEST
from bundlegen.record.schema import Change
from bundlegen.system.files import opened

_LARGEST_RECORD: Final = 64 << 20
_READABLE: Final = 0o644


def change(path: Path) -> Change:
    """The record at ``path``: ``change.json``, or the folder it is in. Raises UsageError and VerificationError."""
    file = path / layout.RECORD if path.is_dir() else path
    try:
        with opened(file) as stream:
            content = stream.read(_LARGEST_RECORD + 1)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}", hint="name a change folder, or its record") from error
    try:
        if len(content) <= _LARGEST_RECORD:
            return Change.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise VerificationError(f"{file} is not the record of a change: {where}: {first['msg']}") from error
    raise VerificationError(f"{file} is too large for the record of a change")


def receipts(paths: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """The receipts at ``paths`` as (name, content): files, and folders with what is below them. Raises UsageError.

    Of a folder every ``.json`` counts, but for hidden ones, which some systems put beside each file.
    """
    for path in paths:
        files = list(_below(path)) if path.is_dir() else [path]
        if not files:
            raise UsageError(f"no receipt in {path}, nor below it", hint="receipts end in .json")
        for file in files:
            yield str(file), _content(file)


def _below(folder: Path) -> Iterator[Path]:
    """The receipts in the folder and all folders below it, in order; links to folders are not followed."""

    def refuse(error: OSError) -> None:
        raise _unreadable(Path(error.filename), error) from error

    for place, folders, files in os.walk(folder, onerror=refuse):
        folders.sort()
        yield from (Path(place) / name for name in sorted(files) if name.endswith(".json") and name[0] != ".")


def _content(file: Path) -> bytes:
    try:
        with opened(file) as stream:
            return stream.read(LARGEST + 1)
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: OSError) -> UsageError:
    return UsageError(f"cannot read {file}: {error.strerror}", hint="name receipts, or their folder")


def write_metrics(path: Path, text: str) -> None:
    """Put ``text`` at ``path`` in one step, readable by node-exporter. Raises OutputError."""
    name = ""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            os.fchmod(stream.fileno(), _READABLE)
        Path(name).replace(path)
    except OSError as error:
        if name:
            with suppress(OSError):
                Path(name).unlink()
        raise OutputError(
            f"cannot write {path}: {error.strerror}", hint="choose another file with --metrics"
        ) from error
