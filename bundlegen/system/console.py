"""What people see: results on standard output, progress and messages on standard error, colours only where wanted."""

from __future__ import annotations

import json
import os
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from bundlegen.errors import OutputError
from bundlegen.system.text import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_FURTHER = "\n    "


def say(text: str, label: str = "") -> None:
    """A message on standard error, after its label. If nobody reads it any more, that changes nothing.

    The text may hold what was read from elsewhere: it cannot steer the terminal, and no further line of it begins
    where a message does.
    """
    try:
        print(label + printable(text).replace("\n", _FURTHER), file=sys.stderr, flush=True)
    except OSError:
        sys.stderr = None  # Python would complain once more at exit


class Console:
    """The two streams. ``quiet`` leaves out all but errors and what was asked for.

    A verdict is an exit code: if the reader of either stream has gone (``| head``), what is still to be said is left
    out, and the command goes on to its end.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet

    def result(self, text: str) -> None:
        """What was asked for, but for what could steer a terminal.

        Raises OutputError if standard output takes no more, as on a full disk.
        """
        try:
            print(printable(text), flush=True)
        except BrokenPipeError:
            sys.stdout = None  # print then does nothing, and Python does not complain at exit
        except OSError as error:
            sys.stdout = None  # Python would complain once more at exit
            raise OutputError(
                f"cannot write the result to standard output: {error.strerror}", hint="free some space and try again"
            ) from error

    def outcome(self, text: str) -> None:
        """What was done, where it went well. Raises as result."""
        if not self.quiet:
            self.result(text)

    def data(self, value: Any) -> None:
        """A result as JSON, in ASCII: no terminal is steered by it, and no encoding is in its way. Raises as result."""
        self.result(json.dumps(value, indent=2))

    def remark(self, text: str) -> None:
        """Something worth knowing."""
        if not self.quiet:
            say(text, "bundlegen: ")

    def warn(self, text: str) -> None:
        """Something to look at."""
        if not self.quiet:
            label = "\033[33mwarning\033[0m" if _colour() else "warning"
            say(text, f"bundlegen: {label}: ")

    def steps(self) -> Steps:
        """The progress of a long job: a bar per step on a terminal, nothing where output is piped."""
        return Steps(shown=not self.quiet and _on_a_terminal())


class Steps:
    """Shows how far each step is; to be used as a context manager, and called with (what, done, total)."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._bars: dict[str, TaskID] = {}
        self._progress: Progress | None = None

    def __enter__(self) -> Self:
        if self._shown:
            from rich.console import Console as RichConsole
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            options: dict[str, Any] = {} if _colour() else {"no_color": True}
            self._progress = Progress(
                TextColumn("{task.description:<20}"),
                BarColumn(),
                MofNCompleteColumn(),
                console=RichConsole(stderr=True, **options),
                transient=True,
            )
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """No more bars: somebody else is about to use the terminal."""
        if self._progress is not None:
            self._progress.stop()
        self._progress = None

    def __call__(self, what: str, done: int, total: int) -> None:
        if self._progress is None:
            return
        if what not in self._bars:
            self._bars[what] = self._progress.add_task(what, total=total)
        self._progress.update(self._bars[what], completed=done, total=total)


def _on_a_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _colour() -> bool:
    """Colours by https://no-color.org, and only on a terminal."""
    return _on_a_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
