"""``bundlegen inspect``: what is in a bundle."""

from __future__ import annotations

from bundlegen.commands.arguments import Arguments
from bundlegen.errors import EXIT_OK, VerificationError
from bundlegen.system import clock
from bundlegen.system.console import Console
from bundlegen.trust import bundle, check_bundle, show


def run(arguments: Arguments, console: Console) -> int:
    """Show what is in a bundle, and in what bundlegen did not make it so: then the exit code is verify's.

    Raises VerificationError for one that is damaged or none at all.
    """
    found = bundle.read(arguments.bundle, looking=True)
    now, faults = clock.now(), check_bundle.examine(found).faults
    if arguments.json:
        console.data(show.data(found, now, faults))
    else:
        console.result(show.text(found, now, faults))
    return VerificationError.exit_code if faults else EXIT_OK
