"""The command line, typed: what every command is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundlegen.errors import UsageError


@dataclass(frozen=True)
class Arguments:
    """The command line, typed."""

    command: str
    spec: Path
    bundle: Path
    folder: Path
    paths: tuple[Path, ...]
    old: Path
    new: Path
    cluster: str
    at: str
    allowed_signers: Path | None
    signer: str
    pairs: tuple[str, ...]
    output: Path
    file: Path | None
    name: str | None
    pki: Path
    jobs: int | None
    replace: bool
    sign_key: Path | None
    seal: bool
    base: bool
    shared_images: bool
    source_date: bool
    split: str | None
    extension: str | None
    previous: Path | None
    change: Path
    receipts: tuple[Path, ...]
    metrics: Path | None
    of_change: bool
    json: bool
    quiet: bool
    verbose: bool


def typed(found: Mapping[str, Any], command: str) -> Arguments:
    """What docopt found, of which ``command`` is the verb, typed. Raises UsageError."""
    return Arguments(
        command=command,
        spec=Path(found["SPEC"] or ""),
        bundle=Path(found["BUNDLE"] or ""),
        folder=Path(found["DIR"] or ""),
        cluster=found["CLUSTER"] or "",
        old=Path(found["OLD"] or ""),
        new=Path(found["NEW"] or ""),
        paths=tuple(map(Path, found["PATH"])),
        at=found["--at"] or "",
        allowed_signers=Path(found["--allowed-signers"]) if found["--allowed-signers"] else None,
        signer=found["--signer"] or "",
        pairs=tuple(found["NAME=ADDRESS"]),
        output=Path(found["--output"]),
        file=Path(found["--file"]) if found["--file"] else None,
        name=found["--name"],
        pki=Path(found["--pki"]),
        jobs=_jobs(found["--jobs"]),
        replace=found["--replace"],
        seal=found["--seal"],
        base=found["--base"],
        shared_images=found["--shared-images"],
        source_date=found["--source-date"],
        sign_key=Path(found["--sign-key"]) if found["--sign-key"] else None,
        split=found["--split"],
        extension=found["--extension"],
        previous=Path(found["--previous"]) if found["--previous"] else None,
        change=Path(found["CHANGE"] or ""),
        receipts=tuple(map(Path, found["RECEIPT"])),
        metrics=Path(found["--metrics"]) if found["--metrics"] else None,
        of_change=found["change"],
        json=found["--json"],
        quiet=found["--quiet"],
        verbose=found["--verbose"],
    )


def _jobs(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1024):
        raise UsageError(f"--jobs {text}: not a number from 1 to 1024", hint="leave it out to use every processor")
    return int(text)
