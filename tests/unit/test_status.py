"""``status``: in which order, how wide, and what is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bundlegen.commands.status import text
from bundlegen.record import metrics
from bundlegen.record.status import ClusterStatus, HostStatus, in_order
from bundlegen.system.text import fitting

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
SOON = NOW + timedelta(days=30)


def host(name: str, days: float, **fields: str) -> HostStatus:
    end = NOW + timedelta(days=days)
    return HostStatus(name, "10.0.0.6", fields.get("bundle", "create"), fields.get("ran", ""), None, end, "etcd-peer")


def cluster(name: str, *days: float, ca: float | None = 3000) -> ClusterStatus:
    hosts = tuple(host(f"{name}{number}", each) for number, each in enumerate(days))
    end = None if ca is None else NOW + timedelta(days=ca)
    return ClusterStatus(name, "create", 1, NOW, tuple(each.name for each in hosts), (), end, hosts)


DAMAGED = ClusterStatus("d", problem="pki/d/store.json is damaged (restore it from a backup)")
OLDER = ClusterStatus("o", ca_expiry=NOW + timedelta(days=9), hosts=(host("o0", 400, bundle=""),))


def shown(*clusters: ClusterStatus, hosts: bool = False, width: int = 0) -> list[str]:
    return text(clusters, NOW, SOON, hosts=hosts, width=width).splitlines()


def test_what_is_due_first_is_first_and_what_is_not_known_before_it() -> None:
    found = in_order([cluster("b", 200), cluster("a", 200), OLDER, cluster("c", 300, 20), DAMAGED])
    assert [each.name for each in found] == ["d", "o", "c", "a", "b"]


def test_one_row_a_cluster_and_what_to_do() -> None:
    assert shown(DAMAGED, OLDER, cluster("gone", -1, -2), cluster("c", 300, 20), cluster("own", 90, ca=None)) == [
        "CLUSTER  NEWEST   HOSTS  RAN     LEAF        CA          DAYS",
        "d        damaged  -      -       -           -           -",
        "o        -        1      -       2027-12-31  2026-12-05  9",
        "gone     create   2      0 of 2  2026-11-24  2035-02-12  expired",
        "c        create   2      0 of 2  2026-12-16  2035-02-12  20",
        "own      create   1      0 of 1  2027-02-24  -           90",
        "",
        "d cannot be shown: pki/d/store.json is damaged (restore it from a backup)",
        "o: its CA ends 2026-12-05T12:00:00Z, and no certificate outlives it",
        "o: made by bundlegen 0.1; the next build writes down what there is",
        "gone: renew with: bundlegen renew SPEC",
        "c: renew with: bundlegen renew SPEC c1",
    ]


def test_one_row_a_host_with_a_name() -> None:
    ran = HostStatus("infra0", "10.0.0.6", "3-renew", "create", NOW, NOW + timedelta(days=40, hours=5), "etcd-peer")
    assert shown(
        ClusterStatus("prod", "3-renew", 3, NOW, ("infra0",), (), None, (ran, host("infra1", 400))), hosts=True
    )[3:] == [
        "prod:",
        "HOST    BUNDLE   RAN     ON          LEAF        DAYS",
        "infra0  3-renew  create  2026-11-26  2027-01-05  40",
        "infra1  create   -       -           2027-12-31  400",
    ]


@pytest.mark.parametrize("width", [80, 64])
def test_a_table_is_no_wider_than_the_terminal(width: int) -> None:
    long = cluster("n" * 253, 400)
    assert max(map(len, shown(long, cluster("short", 400), hosts=False, width=width))) <= width
    assert max(map(len, shown(long))) > 253
    row = fitting(("NAME", "DAY"), [("x" * 70, "2026-11-26")], width).splitlines()[1]
    assert row == f"{'x' * (width - 15)}...  2026-11-26"


def test_a_name_cannot_steer_the_terminal() -> None:
    found = "\n".join(shown(ClusterStatus("a\x1b[2J\nb", problem="is \x1b[31mbad\u202e"), hosts=True))
    assert not {"\x1b", "\u202e"} & {*found}
    assert len(found.splitlines()) == 4


def test_metrics_say_moments_and_what_cannot_be_read() -> None:
    found = metrics.of_clusters([DAMAGED, OLDER, cluster("c", 20, ca=None), ClusterStatus('q"\\\n\udc80', problem="x")])
    values = dict(line.rsplit(" ", 1) for line in found.splitlines() if not line.startswith("#"))
    assert values['bundlegen_store_readable{cluster="d"}'] == "0"
    assert values['bundlegen_store_readable{cluster="q\\"\\\\\\n\\\\udc80"}'] == "0"
    expiry = str(int((NOW + timedelta(days=20)).timestamp()))
    assert values['bundlegen_store_certificate_not_after_seconds{cluster="c",host="c0"}'] == expiry
    assert values['bundlegen_store_ca_not_after_seconds{cluster="o"}'] == str(
        int((NOW + timedelta(days=9)).timestamp())
    )
    assert 'bundlegen_store_ca_not_after_seconds{cluster="c"}' not in values
    assert values['bundlegen_store_newest_change_ran{cluster="c"}'] == "0"
    assert 'bundlegen_store_newest_change{cluster="o"}' not in values
    names = {line.split("{")[0] for line in found.splitlines() if not line.startswith("#")}
    for word in ("HELP", "TYPE"):
        assert {line.split()[2] for line in found.splitlines() if line.startswith(f"# {word}")} == names
