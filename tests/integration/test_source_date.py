"""An environment variable is not the clock: SOURCE_DATE_EPOCH far off it is refused, and nothing expired is issued."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.building import contents, main, specification, write

DAY = 86400


def at(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(seconds))


@pytest.mark.parametrize(
    "seconds",
    [315532800, int(time.time()) - 2 * DAY, int(time.time()) + 2 * DAY, int(time.time()) + 400 * DAY],
    ids=["1980", "two days ago", "in two days", "in 400 days"],
)
@pytest.mark.parametrize("verb", ["build", "plan"])
def test_a_date_that_is_far_off_is_refused_and_harms_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], seconds: int, verb: str
) -> None:
    write(tmp_path, specification())
    monkeypatch.chdir(tmp_path)
    at(monkeypatch, seconds)
    before = contents(tmp_path)
    assert main([verb, "cluster.yaml"]) == 2
    assert "certificates would be dated more than a day off (unset it, or give --source-date" in capsys.readouterr().err
    assert contents(tmp_path) == before
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert main(["build", "cluster.yaml"]) == 0
    assert main(["verify", "out/prod/create"]) == 0


def test_it_counts_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, specification())
    monkeypatch.chdir(tmp_path)
    week_ago = int(time.time()) - 7 * DAY
    at(monkeypatch, week_ago)
    assert main(["plan", "cluster.yaml", "--source-date"]) == 0
    assert main(["build", "cluster.yaml", "--source-date"]) == 0
    ended = time.strftime("%Y-%m-%d", time.gmtime(week_ago + 8760 * 3600))
    assert ended in capsys.readouterr().out
    assert main(["verify", "out/prod/create"]) == 0


@pytest.mark.parametrize(
    ("seconds", "fields"),
    [
        (315532800, {}),
        (int(time.time()) - 3 * DAY, {"pki": {"certificateValidityPeriod": "48h"}}),
        (int(time.time()) - DAY // 2, {"pki": {"certificateValidityPeriod": "2h"}}),
    ],
    ids=["1980", "three days ago, for two", "half a day ago, for two hours"],
)
@pytest.mark.parametrize("verb", ["build", "plan"])
def test_nothing_is_issued_that_has_expired(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    seconds: int,
    fields: dict[str, Any],
    verb: str,
) -> None:
    write(tmp_path, specification(**fields))
    monkeypatch.chdir(tmp_path)
    at(monkeypatch, seconds)
    assert main([verb, "cluster.yaml", "--source-date"]) == 2
    assert "would have expired already: dated " in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.key"))
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert main(["build", "cluster.yaml"]) == 0


def test_what_reads_does_not_believe_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, specification())
    monkeypatch.chdir(tmp_path)
    assert main(["build", "cluster.yaml"]) == 0
    at(monkeypatch, 315532800)
    assert main(["verify", "out/prod/create"]) == 0
    assert main(["verify", "out/prod/create", "--at", "1980-01-01"]) == 6
    capsys.readouterr()
