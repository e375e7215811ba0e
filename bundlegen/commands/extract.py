"""``bundlegen extract``: unpack a bundle without running it."""

from __future__ import annotations

from bundlegen.commands.arguments import Arguments
from bundlegen.errors import EXIT_OK
from bundlegen.system.console import Console
from bundlegen.trust.extract import extract


def run(arguments: Arguments, console: Console) -> int:
    """Unpack a bundle. Raises VerificationError and OutputError."""
    found = extract(arguments.bundle, arguments.folder)
    count = len(found.manifest) - len(found.sealed)
    console.remark(f"unpacked {count} files into {arguments.folder}; nothing was executed")
    return EXIT_OK
