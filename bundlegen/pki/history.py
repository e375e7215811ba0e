"""The history of a cluster: every change that was made of it, as the store keeps it. Pure.

``changes.jsonl`` is one JSON object a line and only grows: changes, withdrawals, and what receipts of the hosts said.
No secret is in it. A change made again has another line with the same number, which then counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from bundlegen import layout

FORMAT: Final = 1
FIRST: Final = 1
_UNDONE: Final = frozenset({"rolled-back", "uninstalled"})

Sum: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
Word: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z-]{0,63}$")]
Number: TypeAlias = Annotated[int, Field(ge=FIRST, le=1_000_000)]
Issue: TypeAlias = Annotated[int, Field(ge=0, le=1_000_000)]


class _Model(BaseModel):
    # A later version of the same format may say more.
    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True, defer_build=True
    )


class Member(_Model):
    """A member and what it was born with, which etcd never looks at again and which therefore stays as it is."""

    name: Name
    address: str
    initial_cluster: str
    state: Literal["new", "existing"]


class Place(_Model):
    """A member by name and address."""

    name: Name
    address: str


class Made(_Model):
    """The bundle of a host: what its receipts name it by, and the whole file.

    ``files``: the SHA-256 of each file that it places, keys and certificates apart: a newer bundlegen makes other bytes
    of the same specification. Empty where that was not written down.
    """

    payload_digest: Sum
    sha256: Sum
    files: dict[str, Sum] = Field(default_factory=dict)


class Options(_Model):
    """What shaped the change beside the specification. ``split`` is in bytes; ``now``: a new CA in one round.

    ``signer`` and ``signers``: whose signature images demand.
    """

    seal: bool = False
    base: bool = False
    shared_images: bool = False
    split: int | None = None
    extension: str = ""
    signed: bool = False
    by: str = ""
    now: bool = False
    snapshot: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    signer: str = ""
    signers: tuple[str, ...] = ()


class Change(_Model):
    """One change. ``issues``: by host, the number of the issue of its certificates. ``hosts``: who got a bundle.
    ``token``: etcd's initial cluster token, empty for the store's. ``cas``: the CAs in force after it; where they are
    two, hosts trust the first, and the last one signs.

    ``sums``: SHA-256 of its SHA256SUMS.
    """

    entry: Literal["change"] = "change"
    format: Literal[1] = FORMAT
    number: Number
    name: str
    operation: Word
    time: AwareDatetime
    bundlegen: str
    spec: dict[str, Any]
    options: Options
    members_before: tuple[Place, ...]
    members: tuple[Member, ...]
    cas: tuple[Sum, ...]
    issues: dict[Name, Issue]
    hosts: dict[Name, Made]
    token: str = ""
    sums: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")

    @property
    def births(self) -> Mapping[str, Member]:
        """Its members by name."""
        return {member.name: member for member in self.members}

    @property
    def newborn(self) -> frozenset[str]:
        """The members that came with it."""
        return frozenset(member.name for member in self.members) - {place.name for place in self.members_before}


class Withdrawal(_Model):
    """A change was taken back, before any host ran it."""

    entry: Literal["withdrawn"] = "withdrawn"
    format: Literal[1] = FORMAT
    number: Number
    time: AwareDatetime


class Receipt(_Model):
    """What the receipt of a host said of a run of its bundle of a change."""

    entry: Literal["receipt"] = "receipt"
    format: Literal[1] = FORMAT
    number: Number
    host: Name
    payload_digest: Sum
    verb: Word
    outcome: Word
    exit_code: int
    ended_at: AwareDatetime
    receipt_digest: Sum


Entry: TypeAlias = Change | Withdrawal | Receipt


@cache
def _entry() -> TypeAdapter[Entry]:
    return TypeAdapter(Annotated[Entry, Field(discriminator="entry")])


def parse(line: bytes) -> Entry | None:
    """The entry in a line; None for anything else. Also a change whose name is not that of its number."""
    try:
        entry = _entry().validate_json(line)
    except ValidationError:
        return None
    if isinstance(entry, Change) and entry.name != layout.change_name(entry.number, entry.operation):
        return None
    return entry


def data(entry: Entry) -> dict[str, Any]:
    """The entry as it is written."""
    return entry.model_dump(mode="json", by_alias=True)


@dataclass(frozen=True)
class History:
    """All that is known, in the order in which it was written.

    ``missing``: there is no such file, as in a store that bundlegen 0.1 made.
    """

    entries: tuple[Entry, ...] = ()
    missing: bool = False

    @property
    def changes(self) -> tuple[Change, ...]:
        """The changes in force, by number."""
        found: dict[int, Change] = {}
        for entry in self.entries:
            if isinstance(entry, Change):
                found[entry.number] = entry
            elif isinstance(entry, Withdrawal):
                found.pop(entry.number, None)
        return tuple(found[number] for number in sorted(found))

    @property
    def newest(self) -> Change | None:
        """The change that says how the cluster is to be; None before the first."""
        return self.changes[-1] if self.changes else None

    @property
    def next_number(self) -> int:
        """The number of a change that is new: none is ever used twice, also not of one that was withdrawn."""
        return max((entry.number for entry in self.entries), default=FIRST - 1) + 1

    @property
    def just_withdrawn(self) -> Change | None:
        """The change that the last entry took back; None if that was something else."""
        last = self.entries[-1] if self.entries else None
        if not isinstance(last, Withdrawal):
            return None
        changes = (each for each in reversed(self.entries) if isinstance(each, Change))
        return next((change for change in changes if change.number == last.number), None)

    def named(self, name: str) -> Change | None:
        """The change in force that is called ``name``."""
        return next((change for change in self.changes if change.name == name), None)

    def withdrawn(self, name: str) -> bool:
        """Whether a change of this name was taken back."""
        taken = {entry.number for entry in self.entries if isinstance(entry, Withdrawal)}
        return any(isinstance(each, Change) and each.name == name and each.number in taken for each in self.entries)

    def before(self, number: int) -> History:
        """The history as it was when the change ``number`` was made the last time, receipts included."""
        made = [i for i, entry in enumerate(self.entries) if isinstance(entry, Change) and entry.number == number]
        earlier = self.entries[: made[-1]] if made else self.entries
        return History(tuple(entry for entry in earlier if entry.number < number))

    def ran(self, change: Change) -> tuple[str, ...]:
        """The hosts that have run the change and not undone it, as far as receipts are known."""
        last: dict[str, Receipt] = {}
        for entry in self.entries:
            if isinstance(entry, Receipt) and entry.number == change.number:
                known = last.get(entry.host)
                if known is None or entry.ended_at >= known.ended_at:
                    last[entry.host] = entry
        return tuple(host for host in change.hosts if host in last and last[host].outcome not in _UNDONE)

    def knows(self, receipt_digest: str) -> bool:
        """Whether the receipt was taken in already."""
        return any(isinstance(entry, Receipt) and entry.receipt_digest == receipt_digest for entry in self.entries)

    def last_of(self, host: str) -> Change | None:
        """The newest change in force that had a bundle for ``host``; None for one that is no member any more."""
        return next(self._of_member(host), None)

    def unused_issue(self, host: str) -> int:
        """The number of an issue that no change has used for ``host``, also none that was withdrawn."""
        used = [entry.issues[host] for entry in self.entries if isinstance(entry, Change) and host in entry.issues]
        return max(used, default=-1) + 1

    def required_of(self, host: str, made_up: Callable[[str], bool]) -> Change | None:
        """The newest change that ``host`` must have run, because no later bundle makes up for it.

        ``made_up``: of which operations one does; never of the change that made ``host`` a member.
        """
        needed = (each for each in self._of_member(host) if host in each.newborn or not made_up(each.operation))
        return next(needed, None)

    def _of_member(self, host: str) -> Iterator[Change]:
        """The changes in force that had a bundle for ``host``, newest first, back to where it was no member.

        Another host's bundle may have taken it out: then the change that did so had none for it.
        """
        for change in reversed(self.changes):
            if host not in change.births:
                return
            if host in change.hosts:
                yield change
