"""The renewal dates as an iCalendar file (RFC 5545), for the calendar of those who must renew. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bundlegen import __version__
from bundlegen.record.document import REMINDERS
from bundlegen.record.schema import Change

_FOLD = 75


def render(change: Change) -> str:
    """``renewal.ics``: the first expiry and the reminders ahead of it, as events of a day each.

    Events and not alarms: calendars drop the alarms of a file they import. What identifies an event is the certificate
    that expires, so importing the same file again makes no second one.
    """
    expiry = min(host.first_expiry for host in change.hosts)
    first = next(host for host in change.hosts if host.first_expiry == expiry)
    mark = min(first.certificates, key=lambda each: (each.not_after, each.path)).sha256_fingerprint[:16]
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:-//bundlegen//bundlegen {__version__}//EN",
        "CALSCALE:GREGORIAN",
    ]
    more = f"Change {change.change}; the first to expire is on {first.name}: {expiry.astimezone(UTC):%Y-%m-%d}. "
    more += "New ones, without restarting anything: bundlegen renew SPEC"
    for days in (*REMINDERS, 0):
        when = expiry - timedelta(days=days)
        title = (
            f"etcd cluster {change.cluster}: certificates expire in {days} days, renew them"
            if days
            else f"etcd cluster {change.cluster}: the first certificate expires"
        )
        lines += [
            "BEGIN:VEVENT",
            f"UID:{mark}-{days}@{change.cluster}.bundlegen",
            f"DTSTAMP:{_moment(change.issued_at)}",
            f"DTSTART;VALUE=DATE:{when.astimezone(UTC):%Y%m%d}",
            f"DTEND;VALUE=DATE:{when.astimezone(UTC) + timedelta(days=1):%Y%m%d}",
            f"SUMMARY:{_text(title)}",
            f"DESCRIPTION:{_text(more)}",
            "TRANSP:TRANSPARENT",
            "END:VEVENT",
        ]
    return "".join(f"{_folded(line)}\r\n" for line in [*lines, "END:VCALENDAR"])


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _text(text: str) -> str:
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")


def _folded(line: str) -> str:
    """At most 75 octets a line (RFC 5545, 3.1); our lines are ASCII."""
    pieces = [line[:_FOLD]] + [line[start : start + _FOLD - 1] for start in range(_FOLD, len(line), _FOLD - 1)]
    return "\r\n ".join(pieces)
