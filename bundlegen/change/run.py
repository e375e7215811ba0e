"""One build under the store's lock: what every step of it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from bundlegen.change.decided import Decision
from bundlegen.change.prepared import Prepared
from bundlegen.change.shape import Options
from bundlegen.pki.history import History
from bundlegen.pki.store import Store
from bundlegen.spec.load import Loaded

Step: TypeAlias = Callable[[str, int, int], None]
"""Told what is being made (in words), how much of it is done, and how much there is."""


@dataclass(frozen=True)
class Run:
    """What is to be made, from what, and who is told of the progress."""

    loaded: Loaded
    options: Options
    store: Store
    history: History
    prepared: Prepared
    step: Step

    @property
    def decision(self) -> Decision:
        return self.prepared.decision

    @property
    def folder(self) -> Path:
        return self.options.output / self.decision.cluster.name / self.decision.name
