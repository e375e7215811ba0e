"""``bundlegen reconcile``: which host has run what, by the receipts."""

from __future__ import annotations

from typing import Any

from bundlegen.change.taken_in import take_in
from bundlegen.commands.arguments import Arguments
from bundlegen.errors import EXIT_OK, VerificationError
from bundlegen.record import metrics, reading
from bundlegen.record.receipts import Outcome, Reconciled, reconcile
from bundlegen.record.schema import Change
from bundlegen.system import clock
from bundlegen.system.console import Console
from bundlegen.system.text import one_line, table


def run(arguments: Arguments, console: Console) -> int:
    """Say which host has run the change, by the receipts; 0 where all have, otherwise as a verification.

    With --pki, the store takes in the receipts that count. Raises UsageError, VerificationError, StoreError,
    ConflictError and OutputError.
    """
    change = reading.change(arguments.change)
    found = reconcile(change, reading.receipts(arguments.receipts), clock.now())
    if arguments.metrics is not None:
        reading.write_metrics(arguments.metrics, metrics.render(change, found))
    if arguments.pki_given:
        new = take_in(arguments.pki, change.cluster, change.change, found.counted)
        console.remark(f"{new} of {len(found.counted)} receipts are new to the store, which has them all now")
    if arguments.json:
        console.data(_data(change, found))
    else:
        console.result(_text(change, found))
    return EXIT_OK if found.complete else VerificationError.exit_code


def _text(change: Change, found: Reconciled) -> str:
    rows = [_row(each) for each in found.hosts]
    lines = [table(("HOST", "STATE", "ENDED", "PAYLOAD", "DAYS LEFT", "WHAT THE RECEIPT SAYS"), rows)]
    if found.refused:
        lines += ["", "Receipts that do not count:"]
        lines += [one_line(f"  {each.fault}: {each.name} {each.why}") for each in found.refused]
    done = sum(each.state == "installed" for each in found.hosts)
    lines += ["", one_line(f"{done} of {len(found.hosts)} hosts run the change {change.change} of {change.cluster}.")]
    return "\n".join(lines)


def _row(outcome: Outcome) -> tuple[str, ...]:
    ended = outcome.ended_at.strftime("%Y-%m-%d %H:%M") if outcome.ended_at else ""
    days = str(outcome.days_to_expiry)
    return (outcome.host, outcome.state, ended, outcome.payload_digest[:12], days, outcome.words)


def _data(change: Change, found: Reconciled) -> dict[str, Any]:
    return {
        "cluster": change.cluster,
        "change": change.change,
        "complete": found.complete,
        "hosts": [
            {
                "host": each.host,
                "state": each.state,
                "receipt": each.receipt or None,
                "endedAt": each.ended_at.isoformat() if each.ended_at else None,
                "words": each.words,
                "payloadDigest": each.payload_digest or None,
                "daysToFirstExpiry": each.days_to_expiry,
            }
            for each in found.hosts
        ],
        "refused": [{"receipt": each.name, "fault": each.fault, "why": each.why} for each in found.refused],
    }
