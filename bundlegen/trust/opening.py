"""Files of others, opened: nothing but regular files, and never more of one than it may be long."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from bundlegen.errors import VerificationError

_SMALL_MAX: Final = 64 << 20


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A regular file for reading. Raises OSError for one that cannot be read, and for a pipe, device or folder."""
    # O_NONBLOCK: a pipe in the place of a file must not be waited for.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(0, "not a file")
        yield stream


def small_file(path: Path) -> bytes:
    """The bytes of a small file of a change. Raises VerificationError where it is missing, no file, or large."""
    try:
        if path.is_symlink():
            raise VerificationError(f"{path.name} is a symbolic link")
        with opened(path) as stream:
            content = stream.read(_SMALL_MAX + 1)
    except FileNotFoundError as error:
        raise VerificationError(f"{path.name} is missing") from error
    except OSError as error:
        raise VerificationError(f"{path.name} cannot be read: {error.strerror or error}") from error
    if len(content) > _SMALL_MAX:
        raise VerificationError(f"{path.name} is far too large")
    return content
