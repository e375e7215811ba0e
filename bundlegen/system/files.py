"""Files: how a failure to write one is told, and what is in one."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO, Final

from bundlegen.errors import ConflictError, OutputError

UNFINISHED: Final = ".unfinished-"
"""What the names of files and folders begin with that are not whole yet."""


@contextmanager
def writing(what: Path, choice: str = "with --output") -> Iterator[None]:
    """Turns what the system refuses about ``what`` into an OutputError that says what to do; or a ConflictError, if
    something else is where a folder is wanted.

    ``choice``: how the user chooses where is written.
    """
    try:
        yield
    except OSError as error:
        hint = {
            errno.ENOSPC: f"free some space, or choose another folder {choice}",
            errno.EDQUOT: f"the quota is used up: choose another folder {choice}",
            errno.EROFS: f"choose a writable folder {choice}",
            errno.EACCES: f"choose a writable folder {choice}",
            errno.EPERM: f"choose a writable folder {choice}",
            errno.ENOTDIR: f"a file is where a folder is wanted: choose another {choice}",
            errno.EEXIST: f"a file is where a folder is wanted: choose another {choice}",
        }.get(error.errno or 0, f"choose another folder {choice}")
        # what is written is not there under its name yet
        refused = what if UNFINISHED in str(error.filename or UNFINISHED) else error.filename
        kind = ConflictError if error.errno in (errno.ENOTDIR, errno.EEXIST) else OutputError
        raise kind(f"cannot write {refused}: {error.strerror}", hint=hint) from error


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A regular file for reading. Raises OSError for one that cannot be read, and for a pipe, device or folder."""
    # O_NONBLOCK: a pipe in the place of a file must not be waited for.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(0, "not a file")
        yield stream


def file_sum(path: Path) -> str:
    """SHA-256 of a regular file, in hexadecimal; empty for anything else."""
    if path.is_symlink() or not path.is_file():
        return ""
    digest = sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
