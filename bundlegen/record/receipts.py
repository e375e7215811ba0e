"""Receipts, judged against the change they claim to be of. Pure.

A receipt is JSON that a host wrote and people carried: nothing in it is believed that the record contradicts. Its own
digest shows damage and careless editing; the digest of the receipt before, which each names, shows what was put in
between. Neither is a signature: who can write on the host can write a receipt.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from bundlegen import layout
from bundlegen.record.schema import Change, Host, Moment, Sum

_SEAL: Final = re.compile(r'  "receiptDigest": "([0-9a-f]{64})"\n}\n\Z')
LARGEST: Final = 1 << 20

Fault: TypeAlias = Literal["unreadable", "altered", "foreign", "replayed"]
State: TypeAlias = Literal["installed", "failed", "undone", "missing"]


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True, defer_build=True
    )


class Changed(_Model):
    """A file that the run changed: hashes before and after, None if there was none."""

    path: str
    before: str | None
    after: str | None
    mode: str | None


class Receipt(_Model):
    """What a host says of one run (templates/install/transaction/receipt.sh)."""

    format: Literal[1]
    cluster: str
    change: str
    host: str
    address: str
    payload_digest: Sum
    verb: str
    started_at: Moment
    ended_at: Moment
    exit_code: int
    outcome: str
    error: str
    machine_id: str
    changed: tuple[Changed, ...]
    previous_receipt_digest: Sum | None
    receipt_digest: Sum = Field(description="SHA-256 of everything before the line that names it")


@dataclass(frozen=True)
class Refused:
    """A receipt that does not count, and why."""

    name: str
    fault: Fault
    why: str


@dataclass(frozen=True)
class Outcome:
    """What is known of one host. ``receipt`` names the file that says it; empty if there is none."""

    host: str
    state: State
    receipt: str = ""
    ended_at: datetime | None = None
    words: str = ""
    payload_digest: str = ""
    days_to_expiry: int = 0


@dataclass(frozen=True)
class Reconciled:
    """The whole answer. ``counted``: the receipts that do, in the order of their runs."""

    hosts: tuple[Outcome, ...]
    refused: tuple[Refused, ...]
    counted: tuple[Receipt, ...] = ()

    @property
    def complete(self) -> bool:
        """Every host has run its bundle with success, and no receipt was refused."""
        return not self.refused and all(each.state == "installed" for each in self.hosts)


@dataclass(frozen=True)
class _Given:
    name: str
    receipt: Receipt
    file_digest: str


@dataclass
class _Seen:
    """What earlier receipts were, so that a second of the same is noticed."""

    digests: dict[str, str] = field(default_factory=dict)
    machines: dict[str, str] = field(default_factory=dict)
    followers: dict[tuple[str, str, str | None], str] = field(default_factory=dict)


def reconcile(change: Change, given: Iterable[tuple[str, bytes]], now: datetime) -> Reconciled:
    """Judge the receipts ``given`` as (name, content) against ``change``."""
    refused: list[Refused] = []
    read: list[_Given] = []
    for name, content in given:
        found = _read(name, content)
        if isinstance(found, Refused):
            refused.append(found)
        else:
            read.append(found)
    hosts = {host.name: host for host in change.hosts}
    seen = _Seen()
    counted: list[_Given] = []
    for each in sorted(read, key=lambda one: (one.receipt.started_at, one.receipt.ended_at)):
        wrong = _foreign(change, hosts, each) or _altered(hosts, each) or _replayed(hosts, each, seen)
        if wrong:
            refused.append(wrong)
        else:
            counted.append(each)
    outcomes = tuple(_outcome(host, counted, now) for host in change.hosts)
    return Reconciled(outcomes, tuple(refused), tuple(each.receipt for each in counted))


def _read(name: str, content: bytes) -> _Given | Refused:
    if len(content) > LARGEST:
        return Refused(name, "unreadable", f"is larger than {LARGEST >> 20} MiB")
    try:
        # Ticket systems and editors turn line ends; that alters no word of it.
        text = content.decode("utf-8-sig").replace("\r\n", "\n").rstrip() + "\n"
        receipt = Receipt.model_validate_json(text)
    except (UnicodeDecodeError, ValidationError, ValueError):
        return Refused(name, "unreadable", "is not a whole receipt")
    seal = _SEAL.search(text)
    if seal is None or hashlib.sha256(text[: seal.start()].encode()).hexdigest() != seal[1]:
        return Refused(name, "altered", "its content is not what its own digest says")
    return _Given(name, receipt, hashlib.sha256(text.encode()).hexdigest())


def _foreign(change: Change, hosts: dict[str, Host], given: _Given) -> Refused | None:
    receipt = given.receipt
    if (receipt.cluster, receipt.change) != (change.cluster, change.change):
        return Refused(given.name, "foreign", f"is of the change {receipt.change} of cluster {receipt.cluster}")
    host = hosts.get(receipt.host)
    if host is None:
        return Refused(given.name, "foreign", f"is of {receipt.host}, which is no host of this change")
    if receipt.address != host.address:
        return Refused(given.name, "foreign", f"is of an address {receipt.address}; {host.name} has {host.address}")
    if receipt.payload_digest != host.payload_digest:
        short = receipt.payload_digest[:12]
        return Refused(given.name, "foreign", f"{host.name} ran another bundle (payload {short}…) than this change's")
    return None


def _altered(hosts: dict[str, Host], given: _Given) -> Refused | None:
    """An install that claims to have put something else in place than the bundle holds."""
    receipt = given.receipt
    if receipt.ended_at < receipt.started_at:
        return Refused(given.name, "altered", "ends before it starts")
    if receipt.verb != "install" or receipt.exit_code != 0 or receipt.outcome == "removed":
        return None
    files = {file.path: file for file in hosts[receipt.host].files if file.placed}
    for each in receipt.changed:
        file = files.get(each.path)
        # the host gives the static Pod manifest its form of life, once etcd has its log
        same = each.path == layout.STATIC_POD_MANIFEST or (file and each.after == file.sha256)
        if file and (not same or each.mode != file.mode):
            return Refused(
                given.name, "altered", f"says {each.path} was placed as something else than the bundle holds"
            )
    return None


def _replayed(hosts: dict[str, Host], given: _Given, seen: _Seen) -> Refused | None:
    receipt = given.receipt
    if given.file_digest in seen.digests:
        return Refused(given.name, "replayed", f"is the same receipt as {seen.digests[given.file_digest]}")
    seen.digests[given.file_digest] = given.name
    begun = min(each.not_before for each in hosts[receipt.host].certificates)
    if receipt.ended_at < begun:
        return Refused(given.name, "replayed", "is dated before this change's certificates begin")
    owner = seen.machines.setdefault(receipt.machine_id, receipt.host) if receipt.machine_id else receipt.host
    if owner != receipt.host:
        return Refused(given.name, "replayed", f"comes from the machine that is {owner}")
    place = (receipt.host, receipt.machine_id, receipt.previous_receipt_digest)
    if other := seen.followers.get(place):
        return Refused(given.name, "replayed", f"follows the same receipt as {other}: both cannot be of this host")
    seen.followers[place] = given.name
    return None


def _outcome(host: Host, counted: Sequence[_Given], now: datetime) -> Outcome:
    days = (host.first_expiry - now).days
    own = [each for each in counted if each.receipt.host == host.name]
    if not own:
        return Outcome(host.name, "missing", words="no receipt that counts", days_to_expiry=days)
    last = own[-1]
    state, words = _state(last.receipt)
    known = {each.file_digest for each in own}
    if any(each.receipt.previous_receipt_digest not in {*known, None} for each in own):
        words += "; follows a receipt that was not given"
    return Outcome(
        host.name, state, last.name, last.receipt.ended_at, words, last.receipt.payload_digest, days_to_expiry=days
    )


def _state(receipt: Receipt) -> tuple[State, str]:
    if receipt.exit_code != 0:
        return "failed", f"{receipt.verb}: {receipt.outcome}: {receipt.error}"
    if receipt.verb == "install" and receipt.outcome in ("installed", "removed"):
        return "installed", "ran this change's bundle"
    if receipt.outcome in ("rolled-back", "uninstalled"):
        return "undone", f"was taken back by {receipt.verb}"
    return "failed", f"{receipt.verb}: {receipt.outcome}"
