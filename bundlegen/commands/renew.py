"""``bundlegen renew``: new keys and certificates under the same CA, as the next change."""

from __future__ import annotations

from bundlegen.change.asked import Asked, NothingDueError
from bundlegen.commands import build
from bundlegen.commands.arguments import Arguments
from bundlegen.errors import EXIT_OK
from bundlegen.system.console import Console

OPERATION = "renew"


def run(arguments: Arguments, console: Console) -> int:
    """Make the change, and say what comes next. Raises what :func:`bundlegen.change.build.build` raises."""
    asked = Asked(OPERATION, arguments.hosts, arguments.within)
    try:
        return build.make(arguments, asked, console)
    except NothingDueError as reason:
        if arguments.json:
            console.data({"operation": OPERATION, "written": False, "nothingDue": str(reason)})
        else:
            console.outcome(f"Nothing to renew: {reason}.")
        return EXIT_OK
