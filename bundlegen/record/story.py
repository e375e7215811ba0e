"""What a record says that depends on the kind of its change: sections, each made from the record as data. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from bundlegen.record.blocks import Block
from bundlegen.record.schema import Change

Teller: TypeAlias = Callable[[Change], tuple[Block, ...]]


@dataclass(frozen=True)
class Story:
    """One operation, told to a change board: what happens, what may go wrong, how it is done, proven and undone."""

    title: Callable[[Change], str]
    summary: Teller
    risk: Teller
    before: Teller
    execution: Teller
    after: Teller
    way_back: Teller
