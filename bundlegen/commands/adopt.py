"""``bundlegen adopt``: take over a cluster that is there already, as the first change of its store."""

from __future__ import annotations

from bundlegen.change.asked import Asked
from bundlegen.commands import build
from bundlegen.commands.arguments import Arguments
from bundlegen.system.console import Console


def run(arguments: Arguments, console: Console) -> int:
    """Make the change, and say what comes next. Raises what :func:`bundlegen.change.build.build` raises."""
    return build.make(arguments, Asked("adopt"), console)
