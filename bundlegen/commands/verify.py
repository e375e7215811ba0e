"""What the commands about trust print: each works through one module and shows the result for people or as JSON."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bundlegen.errors import EXIT_OK, OutputError, UsageError, VerificationError
from bundlegen.system import clock

EXIT_DIFFERENT = 1
"""As diff(1): a bug in bundlegen has this code as well, and a traceback with it."""

if TYPE_CHECKING:
    from bundlegen.system.console import Console


def inspect(path: Path, console: Console, *, as_json: bool) -> int:
    """Show what is in a bundle. Raises VerificationError for one that is damaged or none at all."""
    from bundlegen.trust import bundle as reader
    from bundlegen.trust import show

    found = reader.read(path)
    now = clock.now()
    console.result(_json(show.data(found, now)) if as_json else show.text(found, now))
    return EXIT_OK


def extract(path: Path, folder: Path, console: Console) -> int:
    """Unpack a bundle. Raises VerificationError and OutputError."""
    from bundlegen.trust.extract import extract as unpack

    found = unpack(path, folder)
    console.remark(f"unpacked {len(found.manifest) - len(found.sealed)} files into {folder}; nothing was executed")
    return EXIT_OK


def verify(paths: tuple[Path, ...], asked: Asked, console: Console, *, as_json: bool) -> int:
    """Verify bundles and change folders: one line per finding. Raises UsageError and ToolError."""
    from bundlegen.system.text import printable
    from bundlegen.trust.verify import verify as check

    at = _moment(asked.at)
    found = {path: check(path, at, allowed=asked.allowed_signers, signer=asked.signer) for path in paths}
    failed = any(each.fatal for findings in found.values() for each in findings)
    if as_json:
        results = [
            {
                "path": str(path),
                "good": not any(each.fatal for each in findings),
                "findings": [{"where": e.where, "sentence": e.sentence, "fatal": e.fatal} for e in findings],
            }
            for path, findings in found.items()
        ]
        console.result(_json({"good": not failed, "at": at.isoformat(), "results": results}))
    else:
        for path, findings in found.items():
            for each in findings:
                if each.fatal:
                    console.result(printable(str(each)))
                else:
                    console.warn(printable(str(each)))
            if not any(each.fatal for each in findings):
                console.result(f"{path}: good")
    return VerificationError.exit_code if failed else EXIT_OK


def audit(folder: Path, console: Console, *, as_json: bool) -> int:
    """Show which private key is in which bundle. Raises VerificationError where a bundle cannot be read."""
    from bundlegen.trust import audit as auditor

    found = auditor.audit(folder)
    console.result(_json(auditor.data(found)) if as_json else auditor.text(found))
    return VerificationError.exit_code if found.faults else EXIT_OK


def diff(old: Path, new: Path, console: Console, *, as_json: bool) -> int:
    """Show what changes from one bundle or change to another: 0 nothing, 1 something, as diff(1) has it."""
    from bundlegen.system.text import printable
    from bundlegen.trust import compare

    found = compare.compare(old, new)
    console.result(_json(compare.data(found)) if as_json else printable(compare.text(found)))
    return EXIT_DIFFERENT if found.changed else EXIT_OK


def unlock_codes(cluster: str, pki: Path, output: Path | None, console: Console) -> int:
    """Show the unlock codes of a cluster's hosts: on a terminal, or in the new private file ``output``.

    Raises UsageError where they would go anywhere else, StoreError and OutputError.
    """
    from bundlegen.layout import MODE_SECRET
    from bundlegen.pki import unlock
    from bundlegen.system.files import writing
    from bundlegen.system.text import table

    if output is None and not sys.stdout.isatty():
        raise UsageError(
            "unlock codes are shown on a terminal only, and this is none", hint="give --output FILE for a private file"
        )
    if cluster in ("", ".", "..") or "/" in cluster:
        raise UsageError(f"{cluster!r} is not a cluster's name", hint="it is the name: of its cluster.yaml")
    codes = unlock.read(pki / cluster)
    lines = table(("HOST", "UNLOCK CODE"), list(codes.items()))
    if output is None:
        console.result(lines)
        return EXIT_OK
    if os.path.lexists(output):
        raise OutputError(f"{output} exists and is left as it is", hint="choose another name with --output")
    with writing(output):
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, MODE_SECRET)
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            os.fchmod(handle, MODE_SECRET)
            stream.write(f"{lines}\n")
    console.remark(f"wrote {output} (0600): bring each code to its host by another way than the bundle")
    return EXIT_OK


@dataclass(frozen=True)
class Asked:
    """What verify is asked beside the paths: a moment (empty: now), and who must have signed."""

    at: str
    allowed_signers: Path | None
    signer: str


def _moment(text: str) -> datetime:
    if not text:
        return clock.now()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--at {text}: not a date", hint="write it as 2027-01-31 or 2027-01-31T12:00:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=True)
