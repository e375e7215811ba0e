"""What docs/ has from tables of the program is what the tables say (``make docs`` rewrites it)."""

from __future__ import annotations

import pytest

from tests.generated import DOCS, PARTS, rewritten


@pytest.mark.parametrize(("file", "name"), PARTS)
def test_a_part_is_what_its_table_says(file: str, name: str) -> None:
    text = (DOCS / file).read_text(encoding="utf-8")
    assert rewritten(text, name, PARTS[file, name]()) == text, "run: make docs"


def test_a_missing_part_is_noticed() -> None:
    with pytest.raises(ValueError, match="not one part"):
        rewritten("nothing", "effects", "")
