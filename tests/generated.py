"""Parts of docs/ that are made from tables of the program. ``make docs`` rewrites them; a test compares.

A part stands between ``<!-- NAME: … -->`` and ``<!-- end of NAME -->``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bundlegen.bundle import conf, effects_table

DOCS: Final = Path(__file__).parents[1] / "docs"
PARTS: Final[dict[tuple[str, str], Callable[[], str]]] = {
    ("bundle-format.md", "conf"): conf.markdown,
    ("installer.md", "effects"): effects_table.markdown,
}


def rewritten(text: str, name: str, content: str) -> str:
    """``text`` with the part ``name`` replaced by ``content``. Raises ValueError where it has no such part."""
    pattern = re.compile(rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"there is not one part {name}")
    return pattern.sub(lambda found: f"{found[1]}{content}{found[2]}", text)


def main() -> None:
    """Rewrite every part in place."""
    for (file, name), content in PARTS.items():
        path = DOCS / file
        path.write_text(rewritten(path.read_text(encoding="utf-8"), name, content()), encoding="utf-8")


if __name__ == "__main__":
    main()
