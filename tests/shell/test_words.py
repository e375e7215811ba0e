"""Why etcd ended is said in its own words: one line of its log, as etcd 3.4 to 3.6 write it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

WORDS = Path(__file__).parents[2] / "templates/install/health/words.sh"
HELP = ["Usage:", "", "  etcd [OPTIONS]", "    Start an etcd server.", "  etcd gateway"]
PREFIX = "2026-11-26T02:38:48.862342123Z stderr F "
INFO = '{"level":"info","ts":"2026-11-26T02:38:49.5Z","caller":"embed/etcd.go:117","msg":"configuring peer listeners"}'
PUBLISH = (
    '{"level":"warn","ts":"x","msg":"stopped publish","local-member-id":"8e9e","error":"etcdserver: server stopped"}'
)
DEPRECATED = "[WARNING] Deprecated '--logger=capnslog' flag is set; use '--logger=zap' flag instead"

COMPACTION = '2026-11-26 02:38:51.141727 C | etcdmain: error parsing CompactionRetention: time: invalid duration "abc"'
PAGES = "panic: freepages: failed to get all reachable pages"


def json_line(level: str, message: str, error: str = "") -> str:
    words = {"level": level, "ts": "2026-11-26T02:38:49.65Z", "caller": "etcdmain/etcd.go:204", "msg": message}
    return json.dumps({**words, **({"error": error, "stacktrace": "a\nb"} if error else {})}, separators=(",", ":"))


CASES = {
    "unknown flag": (["flag provided but not defined: -foo", *HELP], "flag provided but not defined: -foo"),
    "wrong value": (
        ['invalid value "abc" for flag -x: parse error', *HELP],
        'invalid value "abc" for flag -x: parse error',
    ),
    "refused by 3.5": (
        [INFO, json_line("warn", "failed to verify flags", 'open sink "/n/x.log": no such file')],
        'failed to verify flags: open sink "/n/x.log": no such file',
    ),
    "the worst": (
        [PUBLISH, json_line("warn", "failed to start etcd", "bind"), json_line("fatal", "discovery failed", "bind")],
        "discovery failed: bind",
    ),
    "panic of raft": ([INFO, json_line("panic", "tocommit(9) is out of range")], "tocommit(9) is out of range"),
    "panic of Go": ([INFO, PAGES, "", "goroutine 1 [running]:"], PAGES),
    "refused by 3.4": (
        [DEPRECATED, "2026-11-26 02:38:51.1 I | etcdmain: maximum number of CPUs", COMPACTION],
        COMPACTION,
    ),
    "nothing known": (["exec: no such file", ""], "exec: no such file"),
    "what a terminal obeys": (["\x1b[2J\x1b]0;owned\x07 panic"], "?[2J?]0;owned? panic"),
}


def said(logs: Path) -> str:
    words = 'set -Eeuo pipefail; LC_ALL=C; POD_LOGS=$1; source "$2"; etcd_error'
    done = subprocess.run(["/bin/bash", "-c", words, "_", str(logs), str(WORDS)], capture_output=True, check=False)
    return done.stdout.decode()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("prefix", [PREFIX, ""])
def test_the_line_that_says_it(tmp_path: Path, case: str, prefix: str) -> None:
    lines, expected = CASES[case]
    log = tmp_path / "kube-system_etcd-infra0_abc/etcd/1.log"
    log.parent.mkdir(parents=True)
    log.write_text("".join(f"{prefix}{line}\n" for line in lines))
    assert said(tmp_path) == expected


def test_a_line_without_end_and_without_measure(tmp_path: Path) -> None:
    log = tmp_path / "kube-system_etcd-infra0_abc/etcd/0.log"
    log.parent.mkdir(parents=True)
    log.write_text(f"{PREFIX}panic: {'x' * 100_000}")
    assert len(said(tmp_path)) == 400


def test_the_newest_log_counts(tmp_path: Path) -> None:
    for number, text in enumerate(("panic: old", "panic: new", "")):
        log = tmp_path / f"kube-system_etcd-infra0_{number}/etcd/0.log"
        log.parent.mkdir(parents=True)
        log.write_text(text)
    assert said(tmp_path) == "panic: new"


def test_no_log(tmp_path: Path) -> None:
    assert said(tmp_path) == ""
