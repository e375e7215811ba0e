"""``bundlegen inspect``: what is in a bundle."""

from __future__ import annotations

from bundlegen.commands.arguments import Arguments
from bundlegen.errors import EXIT_OK
from bundlegen.system import clock
from bundlegen.system.console import Console
from bundlegen.trust import bundle, show


def run(arguments: Arguments, console: Console) -> int:
    """Show what is in a bundle. Raises VerificationError for one that is damaged or none at all."""
    found = bundle.read(arguments.bundle)
    now = clock.now()
    if arguments.json:
        console.data(show.data(found, now))
    else:
        console.result(show.text(found, now))
    return EXIT_OK
