"""One thing that is not as it should be: where, and one sentence. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """``where`` is the bundle's or file's name. ``fatal``: verification fails; otherwise only worth knowing."""

    where: str
    sentence: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.where}: {self.sentence}"
