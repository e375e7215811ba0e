"""``bundlegen init``: a commented cluster.yaml to start from."""

from __future__ import annotations

import shlex
from pathlib import Path

from bundlegen.commands.arguments import Arguments
from bundlegen.errors import EXIT_OK, ConflictError, OutputError
from bundlegen.spec.starter import CLUSTER_NAME, specification
from bundlegen.system.console import Console
from bundlegen.system.resources import template_text


def run(arguments: Arguments, console: Console) -> int:
    """Write a commented cluster.yaml. Raises UsageError, ConflictError and OutputError."""
    text = specification(arguments.pairs, template_text, arguments.name)
    if arguments.file is None:
        console.result(text.rstrip("\n"))
    else:
        _write(arguments.file, text)
        console.remark(f"wrote {arguments.file}; next: bundlegen build {shlex.quote(str(arguments.file))}")
    if arguments.name is None:
        console.remark(f"the cluster is called {CLUSTER_NAME}; a second cluster needs another name: --name NAME")
    return EXIT_OK


def _write(file: Path, text: str) -> None:
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise ConflictError(f"{file} exists and is left as it is", hint="choose another name with --file") from error
    except OSError as error:
        raise OutputError(f"cannot write {file}: {error.strerror}", hint="choose another place with --file") from error
