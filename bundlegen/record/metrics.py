"""The answer of ``reconcile`` as node-exporter's textfile collector reads it. Pure."""

from __future__ import annotations

from bundlegen.record.receipts import Reconciled
from bundlegen.record.schema import Change

_FAULTS = ("unreadable", "altered", "foreign", "replayed")


def render(change: Change, found: Reconciled) -> str:
    """The text file: times and not days, so that it stays true as it grows old."""
    common = {"cluster": change.cluster, "change": change.change}
    lines = [
        *_head("bundlegen_host_installed", "Whether the newest receipt says that the host runs this change."),
        *(
            _line("bundlegen_host_installed", {**common, "host": each.host}, int(each.state == "installed"))
            for each in found.hosts
        ),
        *_head("bundlegen_certificate_not_after_seconds", "When the first certificate of the host expires."),
        *(
            _line(
                "bundlegen_certificate_not_after_seconds",
                {**common, "host": host.name},
                int(host.first_expiry.timestamp()),
            )
            for host in change.hosts
        ),
        *_head("bundlegen_receipts_refused", "Receipts that do not count, by what is wrong with them."),
        *(
            _line(
                "bundlegen_receipts_refused",
                {**common, "fault": fault},
                sum(each.fault == fault for each in found.refused),
            )
            for fault in _FAULTS
        ),
        *_head("bundlegen_change_complete", "Whether every host runs this change and no receipt was refused."),
        _line("bundlegen_change_complete", common, int(found.complete)),
    ]
    return "\n".join(lines) + "\n"


def _head(name: str, words: str) -> list[str]:
    return [f"# HELP {name} {words}", f"# TYPE {name} gauge"]


def _line(name: str, labels: dict[str, str], value: int) -> str:
    inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{inside}}} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
