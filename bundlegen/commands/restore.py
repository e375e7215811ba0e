"""``bundlegen restore``: the cluster anew from a snapshot, as the next change."""

from __future__ import annotations

from bundlegen.change import snapshot
from bundlegen.change.asked import Asked
from bundlegen.commands import build
from bundlegen.commands.arguments import Arguments
from bundlegen.errors import UsageError
from bundlegen.system.console import Console


def run(arguments: Arguments, console: Console) -> int:
    """Make the change, and say what comes next. Raises what :func:`bundlegen.change.build.build` raises."""
    if arguments.snapshot is None:
        raise UsageError(
            "restore needs --snapshot FILE",
            hint=f"its bundles take that snapshot alone; of one that is on the hosts: --snapshot {snapshot.BY_SUM}SUM",
        )
    return build.make(arguments, Asked("restore", snapshot=snapshot.named(arguments.snapshot)), console)
