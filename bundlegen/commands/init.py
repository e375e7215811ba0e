"""``bundlegen init``: a commented cluster.yaml to start from."""

from __future__ import annotations

import shlex

from bundlegen.commands.arguments import Arguments
from bundlegen.errors import EXIT_OK, OutputError
from bundlegen.spec.starter import specification
from bundlegen.system.console import Console
from bundlegen.system.resources import template_text


def run(arguments: Arguments, console: Console) -> int:
    """Write a commented cluster.yaml. Raises UsageError, and OutputError where --output cannot be made."""
    output = arguments.output if arguments.output_given else None
    text = specification(arguments.pairs, template_text)
    if output is None:
        console.result(text.rstrip("\n"))
        return EXIT_OK
    try:
        with output.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise OutputError(f"{output} exists and is left as it is", hint="choose another name with --output") from error
    except OSError as error:
        raise OutputError(
            f"cannot write {output}: {error.strerror}", hint="choose another place with --output"
        ) from error
    console.remark(f"wrote {output}; next: bundlegen build {shlex.quote(str(output))}")
    return EXIT_OK
