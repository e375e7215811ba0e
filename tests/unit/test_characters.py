"""Characters that nobody sees: named with line and column, wherever they stand; the messages are in broken.txt."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundlegen.errors import SpecError
from bundlegen.spec.characters import unseen
from bundlegen.spec.load import load

BASE = "name: a\nkubernetesVersion: v1.31.4\nhosts:\n  - {name: h0, address: 10.0.0.1}\n"
SPACES = "\u00a0\u1680\u2000\u2003\u2007\u2009\u202f\u205f\u3000"
INVISIBLE = "\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2066\u2069\ufe0f\ufeff\U000e0020"
DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2022\u00b7\ufe63\uff0d"
QUOTES = "\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a\u2032\u2033\u00b4"
LINE_ENDS = "\u0085\u2028\u2029"


@pytest.mark.parametrize("character", [*SPACES, *INVISIBLE, *DASHES, *QUOTES, *LINE_ENDS], ids=ascii)
def test_each_is_known_by_place_and_code(character: str) -> None:
    (found,) = unseen(f"a: b\nc:{character}d\n")
    assert (found.line, found.column) == (2, 3)
    assert found.name.endswith(f" (U+{ord(character):04X})")
    assert found.remedy


@pytest.mark.parametrize(
    "text", ["plain - 'text' \"x\"", "Gr\u00f6\u00dfe", "\u96c6\u7fa4", "\u00e9\u0301 \u20ac \U0001f600"]
)
def test_letters_of_the_world_are_none_of_them(text: str) -> None:
    assert list(unseen(text)) == []


@pytest.mark.parametrize("character", [*SPACES, *INVISIBLE, *DASHES, *QUOTES], ids=ascii)
@pytest.mark.parametrize(
    ("old", "line"),
    [("name: a", 1), ("hosts:", 3), ("  - {", 4), ("address: 10", 4)],
)
def test_wherever_one_stands_it_is_named_in_its_line(tmp_path: Path, character: str, old: str, line: int) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(BASE.replace(old, old[:-1] + character + old[-1]), "utf-8")
    with pytest.raises(SpecError) as refused:
        load(path)
    shown = [each for each in refused.value.lines() if ": hosts: is missing " not in each or character not in DASHES]
    assert len(shown) == 1, shown
    assert shown[0].startswith(f"{path}:{line}: ")
    assert f"(U+{ord(character):04X}) in column " in shown[0]


@pytest.mark.parametrize(
    "more",
    [
        "# Notiz \u2013 mit \u201eAnf\u00fchrung\u201c und\u00a0Leerzeichen\u200b\n",
        "ports: {client: 2379}  # \u2013 as ever\n",
        "images: ['\u96c6\u7fa4\u2013 alt/etcd.tar']\n",
        "pki: {ca: {certificate: \u96c6\u7fa4\u2013/ca.crt, key: \u96c6\u7fa4\u2013/ca.key}}\n",
    ],
)
def test_comments_and_names_of_files_may_hold_them(tmp_path: Path, more: str) -> None:
    for name in (
        "\u96c6\u7fa4\u2013 alt/etcd.tar",
        "\u96c6\u7fa4\u2013/ca.crt",
        "\u96c6\u7fa4\u2013/ca.key",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    path = tmp_path / "cluster.yaml"
    path.write_text(BASE + more, "utf-8")
    assert load(path).cluster.name == "a"


def test_a_page_full_of_them_is_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(BASE + "".join(f"\u00a0\u00a0field{i}: x\n" for i in range(500)), "utf-8")
    with pytest.raises(SpecError) as refused:
        load(path)
    assert len(refused.value.lines()) <= 21


def test_those_after_the_error_are_not_blamed(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(BASE.replace("hosts:", "hosts: ]") + "# x\npki: \u201cx\u201d\n", "utf-8")
    with pytest.raises(SpecError, match="1 problem") as refused:
        load(path)
    assert "is not YAML" in refused.value.lines()[0]
