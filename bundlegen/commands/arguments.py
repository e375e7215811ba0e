"""The command line, typed: what every command is given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from bundlegen.addresses import RejectedError
from bundlegen.durations import parse
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
    clusters: tuple[str, ...]
    at: str
    allowed_signers: Path | None
    signer: str
    require_signer: str
    pairs: tuple[str, ...]
    output: Path
    file: Path | None
    name: str | None
    pki: Path
    pki_given: bool
    jobs: int | None
    replace: bool
    sign_key: Path | None
    seal: bool
    base: bool
    shared_images: bool
    source_date: bool
    operation: str
    hosts: tuple[str, ...]
    within: timedelta | None
    split: str | None
    extension: str | None
    change_name: str | None
    existing: bool
    by: str
    now: bool
    snapshot: str | None
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
        spec=Path(found.get("SPEC") or ""),
        bundle=Path(found.get("BUNDLE") or ""),
        folder=Path(found.get("DIR") or ""),
        cluster="".join(_words(found.get("CLUSTER"))[:1]),
        clusters=_words(found.get("CLUSTER")),
        old=Path(found.get("OLD") or ""),
        new=Path(found.get("NEW") or ""),
        paths=tuple(map(Path, found.get("PATH") or ())),
        at=found.get("--at") or "",
        allowed_signers=_path(found.get("--allowed-signers")),
        signer=found.get("--signer") or "",
        require_signer=found.get("--require-signer") or "",
        pairs=tuple(found.get("NAME=ADDRESS") or ()),
        output=Path(found.get("--output") or "out"),
        file=_path(found.get("--file")),
        name=found.get("--name"),
        pki=Path(found.get("--pki") or "pki"),
        pki_given=found.get("--pki") is not None,
        jobs=_jobs(found.get("--jobs")),
        replace=bool(found.get("--replace")),
        seal=bool(found.get("--seal")),
        base=bool(found.get("--base")),
        shared_images=bool(found.get("--shared-images")),
        source_date=bool(found.get("--source-date")),
        operation=found.get("OPERATION") or "",
        hosts=_words(found.get("HOST")),
        within=_within(found.get("--within")),
        sign_key=_path(found.get("--sign-key")),
        split=found.get("--split"),
        extension=found.get("--extension"),
        change_name=found.get("--change"),
        existing=bool(found.get("--existing")),
        by=found.get("--by") or "",
        now=bool(found.get("--now")),
        snapshot=found.get("--snapshot"),
        change=Path(found.get("CHANGE") or ""),
        receipts=tuple(map(Path, found.get("RECEIPT") or ())),
        metrics=_path(found.get("--metrics")),
        of_change=bool(found.get("change")),
        json=bool(found.get("--json")),
        quiet=bool(found.get("--quiet")),
        verbose=bool(found.get("--verbose")),
    )


def _words(found: Any) -> tuple[str, ...]:
    """What docopt makes a list of where there may be several."""
    return (found,) if isinstance(found, str) else tuple(found or ())


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _within(text: str | None) -> timedelta | None:
    if text is None:
        return None
    days = re.fullmatch(r"([0-9]{1,5})d", text, re.ASCII)
    try:
        return timedelta(days=int(days[1])) if days else parse(text)
    except RejectedError as error:
        raise UsageError(f"--within: {error.message}", hint="write a number of days such as 60d, or hours") from error


def _jobs(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1024):
        raise UsageError(f"--jobs {text}: not a number from 1 to 1024", hint="leave it out to use every processor")
    return int(text)
