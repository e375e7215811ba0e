"""Every error a user can meet: what happened, what to do, and the exit code.

Only :func:`bundlegen.cli.main` prints them and exits. Each code stands for one kind of problem.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

EXIT_OK = 0
EXIT_BUG = 1
EXIT_INTERRUPTED = 130


class BundlegenError(Exception):
    """A problem with an input or the surroundings: one message, an optional hint, an exit code.

    ``message`` says what and where in lower case without a full stop; ``hint`` says what to do.
    """

    exit_code: ClassVar[int] = EXIT_BUG

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def lines(self) -> tuple[str, ...]:
        """The lines to show the user, without the ``bundlegen: error:`` prefix."""
        return (f"{self.message} ({self.hint})" if self.hint else self.message,)


class UsageError(BundlegenError):
    """The command line is wrong."""

    exit_code = 2


@dataclass(frozen=True, order=True)
class Problem:
    """One problem in a specification: ``where`` is ``file:line``, ``field`` a path such as ``hosts[1].address``."""

    where: str
    field: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        parts = [part for part in (self.where, self.field) if part]
        text = ": ".join([*parts, self.message])
        return f"{text} ({self.hint})" if self.hint else text


class SpecError(BundlegenError):
    """The specification is wrong; carries every problem found, in file order."""

    exit_code = 3

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in the specification")

    def lines(self) -> tuple[str, ...]:
        return tuple(str(problem) for problem in self.problems)


class ConflictError(BundlegenError):
    """Something is there already: it would come out different, or is in the way."""

    exit_code = 4


class StoreError(ConflictError):
    """The PKI store or its history: a conflict, damage, permissions, or another run's lock."""


class ToolError(BundlegenError):
    """A program bundlegen needs is missing, failed, or was killed."""

    exit_code = 5


class VerificationError(BundlegenError):
    """A bundle or change folder is not what it should be."""

    exit_code = 6


class OutputError(BundlegenError):
    """Something could not be written: no space, or no permission."""

    exit_code = 7
