"""``bundlegen audit``: which private key is in which bundle."""

from __future__ import annotations

from bundlegen.commands.arguments import Arguments
from bundlegen.errors import EXIT_OK, VerificationError
from bundlegen.system.console import Console
from bundlegen.trust import audit


def run(arguments: Arguments, console: Console) -> int:
    """Show which private key is in which bundle. Raises VerificationError if a bundle cannot be read."""
    found = audit.audit(arguments.folder)
    if arguments.json:
        console.data(audit.data(found))
    else:
        console.result(audit.text(found))
    return VerificationError.exit_code if found.faults else EXIT_OK
