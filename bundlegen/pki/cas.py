"""Which CAs are meant. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NEW: Final = ""
"""In the place of a fingerprint: the CA that the change makes."""


@dataclass(frozen=True)
class Cas:
    """Which CAs are meant, by their fingerprints: the one in ``ca.crt`` first, the one that signs last.

    None at all: the one that the store begins with. ``number``: that of the change, whose new CA :data:`NEW` is.
    """

    fingerprints: tuple[str, ...] = ()
    number: int = 0

    @property
    def issue(self) -> int:
        """The number of the issue of a CA that is to be made: 0 for the one that the store begins with."""
        return self.number if NEW in self.fingerprints else 0


BEGINNING: Final = Cas()
