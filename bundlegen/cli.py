"""The command line: which command, and the error boundary. What each command takes is in ``commands/pages.py``."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from bundlegen import __version__
from bundlegen.commands import usage
from bundlegen.commands.arguments import Arguments, typed
from bundlegen.commands.pages import PAGES, overview, page_text
from bundlegen.errors import EXIT_BUG, EXIT_OK, BundlegenError, UsageError
from bundlegen.system.console import Console, say
from bundlegen.system.memory import seldom_searched
from bundlegen.system.signals import Signals, Stopped

COMMANDS: Final = tuple(PAGES)
"""Each is a module in ``commands/`` that has ``run(arguments, console) -> int``, loaded when it is asked for."""

_PROG: Final = "bundlegen"

# pydantic looks through every installed package for plugins of its own, which costs a fifth of all importing, and would
# let a stranger's code see the specification.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: the process's) and return the exit code. The only place that exits."""
    words = list(sys.argv[1:] if argv is None else argv)
    verbose = "--verbose" in words
    try:
        with Signals():
            return _run(words)
    except BundlegenError as error:
        if verbose:
            say(traceback.format_exc())
        for line in error.lines():
            say(line, f"{_PROG}: error: ")
        return error.exit_code
    except Stopped as stopped:
        say(f"{_PROG}: interrupted; nothing half-made was left")
        return stopped.code
    except Exception:  # noqa: BLE001 - the boundary: whatever else happens is a bug, and is reported as one
        say(traceback.format_exc())
        say(
            f"{_PROG}: this is a bug in bundlegen {__version__}: please report it with the lines above "
            "(they hold no key) and the command you ran"
        )
        return EXIT_BUG


def parse(words: Sequence[str]) -> Arguments | str:
    """The arguments in ``words``, or the text that is asked for. Raises UsageError."""
    if list(words) in (["--version"], ["-V"]):
        return f"{_PROG} {__version__}"
    if {"--help", "-h"} & {*words} or words[:1] == ["help"]:
        named = [word for word in words if not word.startswith("-") and word != "help"]
        return page_text(usage.command_of(named)) if named else overview(__version__)
    plain, options = usage.split(words)
    page = PAGES[usage.command_of(plain)]
    usage.check(page, plain[1:], options)
    current = dict(page.older)
    read = [f"{current.get(name, name)}={value}" if value is not None else name for name, value in options]
    from docopt import DocoptExit, docopt

    try:
        found: Mapping[str, Any] = docopt(page_text(page.command), argv=[*plain, *read], default_help=False)
    except (DocoptExit, SystemExit) as error:
        hint = f"{_PROG} {page.command} --help"
        raise UsageError(f"{page.command} does not take these arguments", hint=hint) from error
    return typed(found, page.command)


def _run(words: Sequence[str]) -> int:
    found = parse(words)
    if isinstance(found, str):
        Console().result(found)
        return EXIT_OK
    command = import_module(f"bundlegen.commands.{found.command.replace('-', '_')}")
    with seldom_searched():
        code: int = command.run(found, Console(quiet=found.quiet))
    return code
