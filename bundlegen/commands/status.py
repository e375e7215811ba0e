"""``bundlegen status``: every cluster of the store, and what is due first."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from bundlegen.change import status
from bundlegen.commands.arguments import Arguments
from bundlegen.errors import EXIT_OK, StoreError, VerificationError
from bundlegen.record import metrics, reading
from bundlegen.record.status import ClusterStatus, HostStatus, days_left, in_order
from bundlegen.system import clock
from bundlegen.system.console import Console
from bundlegen.system.text import fitting, one_line, stamp

WITHIN: Final = timedelta(days=30)
_CLUSTERS: Final = ("CLUSTER", "NEWEST", "HOSTS", "RAN", "LEAF", "CA", "DAYS")
_HOSTS: Final = ("HOST", "BUNDLE", "RAN", "ON", "LEAF", "DAYS")
_UNKNOWN: Final = "-"


def run(arguments: Arguments, console: Console) -> int:
    """Say how the clusters are; 0 if nothing is due, otherwise as a verification.

    Raises StoreError after that, where anything of a store cannot be read; at once, where there is no store at all.
    Raises UsageError and OutputError.
    """
    now = clock.now()
    until = now + (arguments.within if arguments.within is not None else WITHIN)
    wanted: Sequence[str] = arguments.clusters
    if not wanted:
        wanted, others = status.names(arguments.pki)
        for name in others:
            console.remark(f"{arguments.pki / name} is no store of a cluster, and is passed over")
        if not wanted:
            hint = "name the folder that the stores are in with --pki"
            raise StoreError(f"there is no store of a cluster in {arguments.pki}", hint=hint)
    found = in_order(status.read_all(arguments.pki, wanted))
    if arguments.metrics is not None:
        reading.write_metrics(arguments.metrics, metrics.of_clusters(found))
    if arguments.json:
        console.data({"until": stamp(until), "clusters": [_data(each, now, until) for each in found]})
    else:
        console.result(text(found, now, until, hosts=bool(arguments.clusters), width=_width()))
    damaged = tuple(each for each in found if each.problem)
    if damaged:
        more = f" (and {len(damaged) - 1} more, see above)" if len(damaged) > 1 else ""
        raise StoreError(f"{damaged[0].name}: {damaged[0].problem}{more}")
    return VerificationError.exit_code if any(each.due(until) for each in found) else EXIT_OK


def text(clusters: Sequence[ClusterStatus], now: datetime, until: datetime, *, hosts: bool, width: int) -> str:
    """The tables, as wide as they need or, if ``width`` is not 0, no wider than that; what is to be done under them.

    ``hosts``: with a table of the hosts of each cluster.
    """
    lines = [fitting(_CLUSTERS, [_row(each, now) for each in clusters], width)]
    for each in clusters if hosts else ():
        if not each.problem:
            lines += ["", one_line(f"{each.name}:"), fitting(_HOSTS, [_host(host, now) for host in each.hosts], width)]
    advice = list(_advice(clusters, until))
    return "\n".join([*lines, "", *advice] if advice else lines)


def _advice(clusters: Iterable[ClusterStatus], until: datetime) -> Iterable[str]:
    for each in clusters:
        if each.problem:
            yield one_line(f"{each.name} cannot be shown: {each.problem}")
            continue
        if due := each.due_hosts(until):
            named = "" if len(due) == len(each.hosts) else f" {' '.join(due)}"
            yield one_line(f"{each.name}: renew with: bundlegen renew SPEC{named}")
        if each.ca_expiry is not None and each.ca_expiry <= until:
            yield one_line(f"{each.name}: its CA ends {stamp(each.ca_expiry)}, and no certificate outlives it")
        if each.hosts and not each.newest:
            yield one_line(f"{each.name}: made by bundlegen 0.1; the next build writes down what there is")


def _row(cluster: ClusterStatus, now: datetime) -> tuple[str, ...]:
    if cluster.problem:
        return (cluster.name, "damaged", *([_UNKNOWN] * 5))
    ran = f"{len(cluster.ran)} of {len(cluster.bundles)}" if cluster.newest else _UNKNOWN
    end, members = cluster.first_expiry, str(len(cluster.hosts))
    days = _days(end, now) if end else _UNKNOWN
    newest = cluster.newest or _UNKNOWN
    return (cluster.name, newest, members, ran, _day(cluster.leaf_expiry), _day(cluster.ca_expiry), days)


def _host(host: HostStatus, now: datetime) -> tuple[str, ...]:
    ran, bundle = host.ran or _UNKNOWN, host.bundle or _UNKNOWN
    return (host.name, bundle, ran, _day(host.ran_at), _day(host.first_expiry), _days(host.first_expiry, now))


def _day(moment: datetime | None) -> str:
    return stamp(moment)[:10] if moment else _UNKNOWN


def _days(end: datetime, now: datetime) -> str:
    return "expired" if end <= now else str(days_left(end, now))


def _width() -> int:
    """How wide the terminal is; 0 if it is none."""
    return shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else 0


def _data(cluster: ClusterStatus, now: datetime, until: datetime) -> dict[str, Any]:
    end = cluster.first_expiry
    return {
        "cluster": cluster.name,
        "problem": cluster.problem or None,
        "newestChange": cluster.newest or None,
        "madeAt": _moment(cluster.made_at),
        "bundles": list(cluster.bundles),
        "ran": list(cluster.ran),
        "leafExpiry": _moment(cluster.leaf_expiry),
        "caExpiry": _moment(cluster.ca_expiry),
        "daysLeft": days_left(end, now) if end else None,
        "due": cluster.due(until),
        "hosts": [
            {
                "host": host.name,
                "address": host.address or None,
                "bundle": host.bundle or None,
                "ran": host.ran or None,
                "ranAt": _moment(host.ran_at),
                "firstExpiry": _moment(host.first_expiry),
                "certificate": host.certificate,
                "daysLeft": days_left(host.first_expiry, now),
            }
            for host in cluster.hosts
        ],
    }


def _moment(moment: datetime | None) -> str | None:
    return stamp(moment) if moment else None
