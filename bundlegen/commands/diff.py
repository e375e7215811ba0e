"""``bundlegen diff``: what changes from one bundle or change to another."""

from __future__ import annotations

from bundlegen.commands.arguments import Arguments
from bundlegen.errors import EXIT_OK
from bundlegen.system.console import Console
from bundlegen.trust import compare

EXIT_DIFFERENT = 1
"""As diff(1): a bug in bundlegen has this code as well, and a traceback with it."""


def run(arguments: Arguments, console: Console) -> int:
    """Show what changes from one bundle or change to another: 0 nothing, 1 something, as diff(1) has it."""
    found = compare.compare(arguments.old, arguments.new)
    if arguments.json:
        console.data(compare.data(found))
    else:
        console.result(compare.text(found))
    return EXIT_DIFFERENT if found.changed else EXIT_OK
