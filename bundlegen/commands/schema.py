"""``bundlegen schema``: the JSON Schemas, for editors and for readers of the record."""

from __future__ import annotations

from bundlegen.commands.arguments import Arguments
from bundlegen.errors import EXIT_OK
from bundlegen.system.console import Console


def run(arguments: Arguments, console: Console) -> int:
    """Print the JSON Schema of the specification, or that of change.json."""
    if arguments.of_change:
        from bundlegen.record.schema import json_schema
    else:
        from bundlegen.spec.schema import json_schema
    console.data(json_schema())
    return EXIT_OK
