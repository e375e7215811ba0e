"""``bundlegen unlock-codes``: the codes of sealed bundles."""

from __future__ import annotations

import os
import sys

from bundlegen.commands.arguments import Arguments
from bundlegen.errors import EXIT_OK, ConflictError, UsageError
from bundlegen.layout import MODE_SECRET
from bundlegen.pki import unlock
from bundlegen.system.console import Console
from bundlegen.system.files import writing
from bundlegen.system.text import table


def run(arguments: Arguments, console: Console) -> int:
    """Show the unlock codes of a cluster's hosts: on a terminal, or in the new private file --file.

    Raises UsageError if they would go anywhere else, StoreError, ConflictError and OutputError.
    """
    output = arguments.file
    if output is None and not sys.stdout.isatty():
        raise UsageError(
            "unlock codes are shown on a terminal only, and this is not one", hint="give --file FILE for a private file"
        )
    if arguments.cluster in ("", ".", "..") or "/" in arguments.cluster:
        raise UsageError(f"{arguments.cluster!r} is not a cluster's name", hint="it is the name: of its cluster.yaml")
    codes = unlock.read(arguments.pki / arguments.cluster)
    lines = table(("HOST", "UNLOCK CODE"), list(codes.items()))
    if output is None:
        console.result(lines)
        return EXIT_OK
    if os.path.lexists(output):
        raise ConflictError(f"{output} exists and is left as it is", hint="choose another name with --file")
    with writing(output, "with --file"):
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, MODE_SECRET)
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            os.fchmod(handle, MODE_SECRET)
            stream.write(f"{lines}\n")
    console.remark(f"wrote {output} (0600): bring each code to its host by another way than the bundle")
    return EXIT_OK
