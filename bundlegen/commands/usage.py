"""What is wrong with a command line, said in the words of the command: what is missing, unknown or misspelt. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bundlegen.commands.options import OPERANDS, OPTIONS
from bundlegen.commands.pages import PAGES, Page, operands, operands_needed, taken
from bundlegen.errors import UsageError
from bundlegen.spec.finding import closest

_MAY_BE_EMPTY = ("--name",)
"""What the command itself judges in full."""


def split(words: Sequence[str]) -> tuple[list[str], list[tuple[str, str | None]]]:
    """Plain words, and options with what they are given: after ``=``, or in the next word where they take a value.

    Raises UsageError for an option that no command has, that lacks its value, or that takes none.
    """
    plain: list[str] = []
    options: list[tuple[str, str | None]] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word == "-":
            plain.append(word)
            continue
        name, equals, value = word.partition("=")
        if name not in OPTIONS:
            raise _unknown_option(name)
        if not OPTIONS[name].value:
            if equals:
                raise UsageError(f"{name} takes no value, and is given {value!r}", hint=f"write {name} alone")
            options.append((name, None))
            continue
        given = value if equals else next(rest, None)
        if given is None:
            raise UsageError(f"{name} needs {OPTIONS[name].value} after it", hint=_meaning(name))
        if not given and name not in _MAY_BE_EMPTY:
            raise UsageError(f"{name} is given an empty {OPTIONS[name].value}", hint=_meaning(name))
        options.append((name, given))
    return plain, options


def command_of(plain: Sequence[str]) -> str:
    """The command that the plain words begin with. Raises UsageError where there is none."""
    if not plain:
        raise UsageError("no command is given", hint="bundlegen --help lists them")
    if plain[0] in PAGES:
        return plain[0]
    near = closest(plain[0], PAGES)
    hint = f"did you mean {near}?" if near else "bundlegen --help lists them"
    raise UsageError(f"unknown command {plain[0]!r}", hint=hint)


def check(page: Page, plain: Sequence[str], options: Sequence[tuple[str, str | None]]) -> None:
    """Raises UsageError where the command does not take these options, or these operands."""
    known = {*taken(page), *(old for old, _ in page.older)}
    for name, _ in options:
        if name not in known:
            others = [other.command for other in PAGES.values() if name in taken(other)]
            raise UsageError(f"{page.command} has no {name}", hint=f"taken by {', '.join(others)}")
    names = [name for name, _ in options]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{name} is given {names.count(name)} times", hint="once is enough")
    given = {*names}
    if len(given & {*page.pair}) == 1:
        [here], [missing] = given & {*page.pair}, {*page.pair} - given
        raise UsageError(f"{here} needs {missing} {OPTIONS[missing].value} beside it", hint=_meaning(missing))
    _check_operands(page, plain)


def _check_operands(page: Page, plain: Sequence[str]) -> None:
    wanted = operands(page)
    optional = page.operands.startswith("[")
    repeats = "..." in page.operands
    needed = operands_needed(page)
    if len(plain) < len(needed):
        missing = needed[len(plain) :]
        said = " and ".join(f"{name} ({OPERANDS[name]})" for name in missing)
        raise UsageError(f"{page.command} needs {said}", hint=f"bundlegen {page.command} --help")
    if not repeats and len(plain) > len(wanted):
        surplus = " ".join(map(repr, plain[len(wanted) :]))
        raise UsageError(
            f"{page.command} takes {' '.join(wanted)} and not also {surplus}", hint=f"bundlegen {page.command} --help"
        )
    if optional and not repeats and plain and plain[0] not in wanted:
        raise UsageError(f"{page.command} takes the word {wanted[0]} or none, not {plain[0]!r}")


def _meaning(name: str) -> str:
    return OPTIONS[name].text.partition(" [default: ")[0].removesuffix(" (default: pki)")


def _unknown_option(name: str) -> UsageError:
    begun = [option for option in OPTIONS if option.startswith(name)] if len(name) > 2 else []
    if begun:
        return UsageError(f"unknown option {name}", hint=f"options are written out: {' or '.join(begun)}")
    near = closest(name, OPTIONS)
    return UsageError(
        f"unknown option {name}", hint=f"did you mean {near}?" if near else "bundlegen COMMAND --help lists the options"
    )
