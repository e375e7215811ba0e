"""What reaches a terminal: nothing that was read elsewhere steers it, or looks like a line of ours."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundlegen import cli
from bundlegen.errors import BundlegenError, VerificationError
from bundlegen.system.console import Console, say
from bundlegen.system.text import one_line, printable, table

EVIL = "x\x1b[2K\r\x1b[1Aout/prod: good\nbundlegen: error: none\x07\x9b31m\u202egood\u2028\x00\x7f\udc80"


def steering(text: str) -> list[str]:
    return [
        each
        for each in text
        if each != "\n" and unicodedata.category(each) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    ]


@given(st.text())
def test_what_is_printable_steers_nothing(text: str) -> None:
    assert steering(printable(text)) == []
    assert printable(text).count("\n") == text.count("\n")
    assert steering(one_line(text)) == []
    assert "\n" not in one_line(text)
    assert len(one_line(text)) == len(printable(text)) == len(text)


@pytest.mark.parametrize("text", ["plain", "ä€𝄞 “quoted”", "", "中文", "a b  c", "👍"])
def test_what_people_write_stays(text: str) -> None:
    assert printable(text) == one_line(text) == text


def test_a_cell_of_a_table_is_one_line() -> None:
    lines = table(("A", "B"), [(EVIL, "b"), ("c", "d\ne")]).split("\n")
    assert len(lines) == 3
    assert steering("".join(lines)) == []
    assert lines[2].endswith("d?e")


@pytest.mark.parametrize("how", ["remark", "warn", "say", "error", "result", "outcome"])
def test_no_way_to_the_terminal_is_open(
    how: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console()
    match how:
        case "say":
            say(EVIL)
        case "error":

            def fail(_words: object) -> int:
                raise VerificationError(EVIL, hint=EVIL)

            monkeypatch.setattr(cli, "_run", fail)
            assert cli.main(["verify", "x"]) == 6
        case _:
            getattr(console, how)(EVIL)
    said = capsys.readouterr()
    assert steering(said.out + said.err) == []
    if how not in ("result", "outcome"):
        begins = [line for line in said.err.splitlines() if line.startswith("bundlegen: ")]
        assert len(begins) == (0 if how == "say" else 1)
        assert "\n    bundlegen: error: none" in said.err


def test_a_label_keeps_its_colour(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    Console().warn("a\x1b[0mb")
    assert capsys.readouterr().err == "bundlegen: \033[33mwarning\033[0m: a?[0mb\n"


def test_a_bug_is_told_with_its_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_words: object) -> int:
        raise RuntimeError(EVIL)

    monkeypatch.setattr(cli, "_run", fail)
    assert cli.main([]) == BundlegenError.exit_code
    said = capsys.readouterr().err
    assert said.startswith("Traceback (most recent call last):\n")
    assert steering(said) == []
