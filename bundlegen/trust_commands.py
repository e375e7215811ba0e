"""What the commands about trust print: each works through one module and shows the result for people or as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bundlegen import clock
from bundlegen.errors import EXIT_OK

if TYPE_CHECKING:
    from bundlegen.console import Console


def inspect(path: Path, console: Console, *, as_json: bool) -> int:
    """Show what is in a bundle. Raises VerificationError for one that is damaged or none at all."""
    from bundlegen.trust import bundle as reader
    from bundlegen.trust import show

    found = reader.read(path)
    now = clock.now()
    console.result(_json(show.data(found, now)) if as_json else show.text(found, now))
    return EXIT_OK


def extract(path: Path, folder: Path, console: Console) -> int:
    """Unpack a bundle. Raises VerificationError and OutputError."""
    from bundlegen.trust.extract import extract as unpack

    found = unpack(path, folder)
    console.remark(f"unpacked {len(found.manifest) - len(found.sealed)} files into {folder}; nothing was executed")
    return EXIT_OK


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=True)
