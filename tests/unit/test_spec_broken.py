"""Broken specifications, each with exactly the messages it gets: tests/fixtures/specs/broken.txt."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from bundlegen.errors import SpecError
from bundlegen.spec.load import load

BROKEN = Path(__file__).parents[1] / "fixtures" / "specs" / "broken.txt"
BASE = "name: a\nkubernetesVersion: v1.31.4\nhosts: [{name: h0, address: 10.0.0.1}]\n"


class Case(NamedTuple):
    title: str
    text: str
    problems: list[str]


def cases() -> list[Case]:
    """The cases of the file: ``=== title``, the text (``@base``: three valid lines), ``--- problems``, the lines."""
    found = []
    for block in re.split(r"^=== ", BROKEN.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        head, _, problems = block.partition("--- problems\n")
        title, _, text = head.partition("\n")
        found.append(Case(title, text.replace("@base\n", BASE), problems.strip("\n").split("\n")))
    return found


CASES = cases()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that some of the specifications name."""
    made = tmp_path_factory.mktemp("specs")
    (made / "other").mkdir()
    for name in ("own.pem", "image.tar", "other/image.tar", "bad name.tar"):
        (made / name).write_text("x")
    (made / "empty.pem").write_text("")
    return made


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_broken_specification(case: Case, folder: Path) -> None:
    path = folder / "cluster.yaml"
    path.write_text(case.text, "utf-8")
    before = sorted(folder.rglob("*"))
    with pytest.raises(SpecError) as caught:
        load(path)
    shown = [line.replace(f"{path}:", "", 1).replace(str(folder), "@folder") for line in caught.value.lines()]
    assert shown == case.problems
    assert sorted(folder.rglob("*")) == before


def test_there_are_many_and_each_has_its_title() -> None:
    titles = [case.title for case in CASES]
    assert len(titles) == len(set(titles)) >= 250


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_each_message_says_where_and_what_to_do(case: Case) -> None:
    for problem in case.problems:
        assert re.fullmatch(r"\d+: (\S+: |\['.*'\]: )?[^\n]+ \(.+\)", problem), problem
        assert problem.isprintable()
