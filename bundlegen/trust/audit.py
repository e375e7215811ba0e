"""``bundlegen audit``: the matrix of private keys by bundle, with the verdict."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bundlegen import layout
from bundlegen.errors import VerificationError
from bundlegen.system.text import one_line, table
from bundlegen.trust import keys
from bundlegen.trust.bundle import Bundle, read

_COLUMNS: Final = 8


@dataclass(frozen=True)
class Audit:
    """The bundles below a folder, the keys in them, and what is wrong: sentences."""

    bundles: Mapping[str, Bundle]
    keys: Mapping[str, keys.Key]
    faults: tuple[str, ...]


def audit(folder: Path) -> Audit:
    """Every bundle below ``folder``. Raises VerificationError if one cannot be read, or there is none."""
    found = {}
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.endswith(layout.BUNDLE_SUFFIX) and not (Path(place) / name).is_symlink():
                found[(Path(place) / name).relative_to(folder).as_posix()] = read(Path(place) / name)
    if not found:
        raise VerificationError(f"there is no bundle below {folder}", hint="name the folder of a change, or out")
    matrix = keys.matrix(list(found.values()))
    return Audit(found, matrix, tuple(keys.shared(matrix)))


def data(audit: Audit) -> dict[str, Any]:
    """For machines."""
    return {
        "good": not audit.faults,
        "bundles": list(audit.bundles),
        "keys": [
            {"fingerprint": key.fingerprint, "path": key.path, "bundles": _names(audit, key)}
            for key in audit.keys.values()
        ],
        "faults": list(audit.faults),
    }


def text(audit: Audit) -> str:
    """For people: a column for each bundle while they fit, else their names."""
    wide = len(audit.bundles) <= _COLUMNS
    head = ("KEY", "PATH", *audit.bundles) if wide else ("KEY", "PATH", "BUNDLES")
    rows = []
    for key in audit.keys.values():
        names = _names(audit, key)
        marks = tuple("x" if name in names else "-" for name in audit.bundles) if wide else (" ".join(names),)
        rows.append((key.fingerprint[:32], key.path, *marks))
    lines = [table(head, rows), ""]
    lines += [one_line(fault) for fault in audit.faults] or [
        f"{len(audit.keys)} private keys in {len(audit.bundles)} bundles; none is on more than one host"
    ]
    return "\n".join(lines)


def _names(audit: Audit, key: keys.Key) -> list[str]:
    return [name for name, bundle in audit.bundles.items() if any(bundle is each for each in key.bundles)]
