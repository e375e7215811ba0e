"""The append-only record of every certificate a store ever issued: ``issued.jsonl``, one JSON object a line.

An entry is written before its certificate appears in the store, so no certificate is ever without one; after a crash
there may be an entry whose certificate never came into use.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from bundlegen.pki.catalog import CertRequest
from bundlegen.pki.compare import issue_time
from bundlegen.pki.files import FILE_MODE, failing_as, read_private, write_all
from bundlegen.pki.issue import fingerprint, request_digest
from bundlegen.system.text import stamp

Entry = Mapping[str, Any]

FIRST: Final = "new"
RENEWED: Final = "renewed"
OTHER_CA: Final = "new, under another CA"


@dataclass(frozen=True)
class Record:
    """What the record says: the newest entry by (host, name), every fingerprint, and where it cannot be read."""

    newest: Mapping[tuple[str | None, str], Entry]
    fingerprints: frozenset[str]
    warnings: tuple[str, ...]


def entry(
    request: CertRequest, certificate: x509.Certificate, issuer: x509.Certificate | None, reason: str, time: str
) -> Entry:
    """The record's entry for one certificate: no secret in it."""
    return {
        "time": time,
        "host": request.host,
        "name": request.name,
        "serial": f"{certificate.serial_number:x}",
        "subject": request.subject,
        "sans": list(request.sans),
        "usages": list(request.usages),
        "algorithm": request.algorithm,
        "notBefore": stamp(certificate.not_valid_before_utc),
        "notAfter": stamp(certificate.not_valid_after_utc),
        "validity": int(request.validity.total_seconds()),
        "margin": int(request.margin.total_seconds()),
        **({"issue": request.issue} if request.issue else {}),
        "issuer": fingerprint(issuer) if issuer else None,
        "fingerprint": fingerprint(certificate),
        "request": request_digest(request, issuer),
        "reason": reason,
    }


def read(path: Path) -> Record:
    """Reads the record.

    An unfinished last line, which a crash leaves, is passed over. Raises StoreError as files do.
    """
    newest: dict[tuple[str | None, str], Entry] = {}
    fingerprints: set[str] = set()
    warnings = []
    try:
        content = read_private(path)
    except FileNotFoundError:
        return Record({}, frozenset(), ())
    # What follows the last newline is the unfinished line of a run that was killed; append() cuts it off.
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        found = _parse(line)
        if found is None:
            warnings.append(f"{path}:{number}: not an entry of the record; it is left as it is")
        else:
            newest[found["host"], found["name"]] = found
            fingerprints.add(found["fingerprint"])
    return Record(newest, frozenset(fingerprints), tuple(warnings))


def append(path: Path, entries: Iterable[Entry]) -> None:
    """Adds entries at the end, all or none; an unfinished last line is cut off first.

    Not yet durable: the caller syncs. Raises OutputError where there is no space, else StoreError.
    """
    text = "".join(json.dumps(item, separators=(",", ":"), ensure_ascii=False) + "\n" for item in entries).encode()
    with failing_as("write", path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
        try:
            end = _finished_length(descriptor)
            os.ftruncate(descriptor, end)
            os.lseek(descriptor, end, os.SEEK_SET)
            try:
                write_all(descriptor, text)
            except OSError:
                os.ftruncate(descriptor, end)
                raise
        finally:
            os.close(descriptor)


def explain(request: CertRequest, issuer: x509.Certificate | None, earlier: Entry | None) -> str:
    """Why a certificate is issued, in words: what is different from the one issued before it."""
    if earlier is None:
        return FIRST
    before = f"the one issued {earlier['time']}"
    differences: list[str] = []
    if list(request.sans) != earlier.get("sans"):
        differences.append(f"SANs differ from {before}: {_changes(earlier.get('sans') or [], request.sans)}")
    values = (
        ("subject", request.subject, earlier.get("subject")),
        ("usages", list(request.usages), earlier.get("usages")),
        ("key algorithm", request.algorithm, earlier.get("algorithm")),
        ("validity period", int(request.validity.total_seconds()), earlier.get("validity")),
        ("notBeforeMargin", int(request.margin.total_seconds()), earlier.get("margin")),
        ("CA", fingerprint(issuer) if issuer else None, earlier.get("issuer")),
    )
    for what, now, then in values:
        if now != then:
            unit = " s" if isinstance(now, int) else ""
            told = "" if what == "CA" else f": {_word(now)}{unit}, was {_word(then)}{unit}"
            differences.append(f"{what} differs from {before}{told}")
    if differences == [f"CA differs from {before}"]:
        return OTHER_CA
    if differences:
        return f"new, {'; '.join(differences)}"
    return f"new, {before} is not in the store" if request.issue == earlier.get("issue", 0) else RENEWED


def _changes(before: Iterable[str], after: Iterable[str]) -> str:
    old, new = list(before), list(after)
    # "IP:10.0.0.7" reads as "10.0.0.7": what kind it is can be seen.
    added = [san.partition(":")[2] for san in new if san not in old]
    removed = [san.partition(":")[2] for san in old if san not in new]
    parts = [f"{verb} {', '.join(sans)}" for verb, sans in (("added", added), ("removed", removed)) if sans]
    return ", ".join(parts) or "in another order"


def _word(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _parse(line: bytes) -> Entry | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    texts = ("name", "fingerprint", "time")
    if not isinstance(found, dict) or not all(isinstance(found.get(key), str) for key in texts):
        return None
    return found if isinstance(found.get("host", 0), str | None) else None


def _finished_length(descriptor: int) -> int:
    """How long the file is without an unfinished last line."""
    size = os.fstat(descriptor).st_size
    content = os.pread(descriptor, size, 0)
    return content.rfind(b"\n") + 1


class Ledger:
    """What one run will add to the record, and says about it to the user."""

    def __init__(self, past: Record, now: datetime) -> None:
        self._past = past
        self._time = stamp(now)
        self.entries: list[Entry] = []
        self.sentences: list[str] = []

    def wanted(self, request: CertRequest, issuer: x509.Certificate | None) -> str:
        """Notes that a certificate has to be issued; returns why."""
        reason = explain(request, issuer, self._past.newest.get((request.host, request.name)))
        self.sentences.append(f"{request.label}: {reason}")
        return reason

    def issued(self, request: CertRequest, certificate: x509.Certificate, issuer: x509.Certificate | None) -> None:
        """Notes a certificate made just now."""
        reason = self.wanted(request, issuer)
        self.entries.append(entry(request, certificate, issuer, reason, self._time))

    def found(self, request: CertRequest, certificate: x509.Certificate, issuer: x509.Certificate | None) -> None:
        """Notes a certificate of the store, unless the record has it, as it always should."""
        if fingerprint(certificate) not in self._past.fingerprints:
            issued = stamp(issue_time(request, certificate))
            self.entries.append(entry(request, certificate, issuer, "was in the store and not in the record", issued))
