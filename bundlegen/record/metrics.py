"""The answers of ``reconcile`` and ``status`` as node-exporter's textfile collector reads them. Pure.

The names of the two differ: the collector takes no metric from two files with the same labels.
"""

from __future__ import annotations

from collections.abc import Iterable

from bundlegen.record.receipts import Reconciled
from bundlegen.record.schema import Change
from bundlegen.record.status import ClusterStatus

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


def of_clusters(clusters: Iterable[ClusterStatus]) -> str:
    """The text file of ``status``. What is not known of a cluster has no line, but for that it is not known."""
    clusters = tuple(clusters)
    known = tuple(cluster for cluster in clusters if not cluster.problem)
    blocks = (
        (
            "bundlegen_store_readable",
            "Whether the store of the cluster could be read.",
            [({"cluster": each.name}, int(not each.problem)) for each in clusters],
        ),
        (
            "bundlegen_store_certificate_not_after_seconds",
            "When the first certificate of the host expires, of those that it is known to have, or was made last.",
            [
                ({"cluster": each.name, "host": host.name}, int(host.first_expiry.timestamp()))
                for each in known
                for host in each.hosts
            ],
        ),
        (
            "bundlegen_store_ca_not_after_seconds",
            "When the CA of the cluster expires.",
            [({"cluster": each.name}, int(each.ca_expiry.timestamp())) for each in known if each.ca_expiry],
        ),
        (
            "bundlegen_store_newest_change",
            "The number of the newest change of the cluster.",
            [({"cluster": each.name}, each.number) for each in known if each.number],
        ),
        (
            "bundlegen_store_newest_change_bundles",
            "How many hosts have a bundle of the newest change.",
            [({"cluster": each.name}, len(each.bundles)) for each in known if each.number],
        ),
        (
            "bundlegen_store_newest_change_ran",
            "How many of them have run it, by the receipts that the store has taken in.",
            [({"cluster": each.name}, len(each.ran)) for each in known if each.number],
        ),
    )
    lines: list[str] = []
    for name, words, values in blocks:
        if values:
            lines += [*_head(name, words), *(_line(name, labels, value) for labels, value in values)]
    return "\n".join(lines) + "\n"


def _head(name: str, words: str) -> list[str]:
    return [f"# HELP {name} {words}", f"# TYPE {name} gauge"]


def _line(name: str, labels: dict[str, str], value: int) -> str:
    inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{inside}}} {value}"


def _escaped(text: str) -> str:
    # A folder's name is bytes, of which some need not be text.
    return (
        text.encode("utf-8", "backslashreplace").decode().replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    )
