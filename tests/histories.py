"""Histories for tests: changes that never were, each with as little as the history needs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from bundlegen import layout
from bundlegen.pki.history import Change, Made, Member, Options, Place, Receipt, Withdrawal

START = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
DIGEST = "a" * 64


def change(
    number: int,
    operation: str,
    hosts: Iterable[str] = ("infra0", "infra1", "infra2"),
    *,
    members: Iterable[str] = ("infra0", "infra1", "infra2"),
    before: Iterable[str] | None = None,
    **fields: Any,
) -> Change:
    """``before``: the members until then; all of them, unless the operation is create."""
    members = tuple(members)
    earlier = (() if operation == "create" else members) if before is None else tuple(before)
    return Change(
        number=number,
        name=layout.change_name(number, operation),
        operation=operation,
        time=START + timedelta(days=number),
        bundlegen="0.2.0",
        spec={"name": "prod"},
        options=Options(),
        members_before=tuple(Place(name=name, address="10.0.0.6") for name in earlier),
        members=tuple(
            Member(name=name, address="10.0.0.6", initial_cluster=f"{name}=https://10.0.0.6:2380", state="new")
            for name in members
        ),
        cas=(DIGEST,),
        issues=dict.fromkeys(members, 0),
        hosts={host: Made(payload_digest=DIGEST, sha256=DIGEST) for host in hosts},
    ).model_copy(update=fields)


def withdrawal(number: int) -> Withdrawal:
    return Withdrawal(number=number, time=START)


def receipt(number: int, host: str, outcome: str = "installed", *, minutes: int = 0) -> Receipt:
    return Receipt(
        number=number,
        host=host,
        payload_digest=DIGEST,
        verb="rollback" if outcome == "rolled-back" else "install",
        outcome=outcome,
        exit_code=0,
        ended_at=START + timedelta(minutes=minutes),
        receipt_digest=f"{number:032x}{minutes:032x}",
    )
