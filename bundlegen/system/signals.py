"""Signals that end a run, as an exception, so that what is half-made is removed on the way out."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Final, NoReturn

from bundlegen.errors import EXIT_INTERRUPTED


class Stopped(BaseException):
    """A signal asked the run to end; everything on the way out tidies up."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code


class Signals:
    """A context. Within it, the signals that end a run arrive as Stopped, so that what is half-made is removed."""

    _NUMBERS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __enter__(self) -> None:
        self._before = {}
        try:
            for number in self._NUMBERS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._stop)
        except ValueError:
            # Not the main thread, as in some tests: there are no signals to care for.
            self._before = {}

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @staticmethod
    def _stop(number: int, _frame: FrameType | None) -> NoReturn:
        for other in Signals._NUMBERS:
            signal.signal(other, signal.SIG_IGN)
        raise Stopped(EXIT_INTERRUPTED if number == signal.SIGINT else 128 + number)
