"""House rules that no linter knows: what lies where, how long a module may be, what may not be left in a file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.lint.tree import ROOT, project_files, text_of

TOP_LEVEL = {
    ".ci",
    ".editorconfig",
    ".gitattributes",
    ".gitignore",
    ".shellcheckrc",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "bundlegen",
    "docs",
    "examples",
    "out",
    "pyproject.toml",
    "ruff.toml",
    "setup.cfg",
    "templates",
    "tests",
}
LONGEST_MODULE = 300
LONGEST_TEST = 400

# The one-letter sets keep this file from holding what it forbids.
FORBIDDEN = {
    "an unfinished mark": re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X])\b"),
    "an unfinished function": re.compile(r"raise NotImplemented[E]rror"),
    "a path of somebody's machine": re.compile(r"/wor[k]/|\.\./share[d]|/home/(?!user\b)[a-z]"),
    "a merge conflict": re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE),
}


def _files(*suffixes: str) -> list[Path]:
    return [file for file in project_files() if not suffixes or file.suffix in suffixes]


def test_the_top_level_is_as_agreed() -> None:
    assert {file.parts[0] for file in project_files()} == TOP_LEVEL


def test_out_is_empty_in_git() -> None:
    assert [file.as_posix() for file in project_files() if file.parts[0] == "out"] == ["out/.gitignore"]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_nothing_is_left_behind(what: str) -> None:
    found = [
        f"{file}:{text_of(file)[: match.start()].count(chr(10)) + 1}: {match.group()}"
        for file in _files()
        for match in FORBIDDEN[what].finditer(text_of(file))
    ]
    assert found == []


def test_modules_are_short() -> None:
    files = _files(".py", ".sh", ".j2")
    assert len(files) > 20
    lengths = {file.as_posix(): text_of(file).count("\n") for file in files}
    limits = {name: LONGEST_TEST if name.startswith("tests/") else LONGEST_MODULE for name in lengths}
    assert {name: lines for name, lines in lengths.items() if lines > limits[name]} == {}


def test_text_ends_in_one_newline_and_has_no_trailing_blanks() -> None:
    files = _files(".py", ".sh", ".bash", ".j2", ".md", ".toml", ".cfg", ".yaml", ".txt", "")
    assert len(files) > 20
    wrong = [
        file.as_posix()
        for file in files
        if (text := text_of(file))
        and (not text.endswith("\n") or text.endswith("\n\n") or re.search(r"[ \t]$", text, re.MULTILINE))
    ]
    assert wrong == []


def test_links_between_documents_lead_somewhere() -> None:
    links = [
        (file, target)
        for file in _files(".md")
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text_of(file))
        if not target.startswith(("https://", "http://"))
    ]
    assert links
    assert [(str(file), target) for file, target in links if not (ROOT / file.parent / target).exists()] == []


def test_where_to_look_names_what_is_there() -> None:
    text = text_of(Path("docs/development.md"))
    text = text[text.index("## Where to look") : text.index("## House rules")]
    cells = [row.split("|")[2] for row in text.splitlines() if row.startswith("| ")]
    named = [name for cell in cells for name in re.findall(r"`([^`]*[./][^`]*)`", cell)]
    assert len(named) > 40
    places = (ROOT, ROOT / "bundlegen", ROOT / "templates")
    patterns = [re.sub("<[a-z]+>", "*", name) for name in named]
    assert [pattern for pattern in patterns if not any(any(place.glob(pattern)) for place in places)] == []
