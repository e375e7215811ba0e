"""The small files of a change, read: regular ones only, and never more than such a file may hold."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from bundlegen.errors import VerificationError
from bundlegen.system.files import opened

_SMALL_MAX: Final = 64 << 20


def small_file(path: Path) -> bytes:
    """The bytes of a small file of a change. Raises VerificationError if it is missing, no file, or large."""
    try:
        if path.is_symlink():
            raise VerificationError(f"{path.name} is a symbolic link")
        with opened(path) as stream:
            # Python makes room for all that is asked for before it reads.
            content = stream.read(min(os.fstat(stream.fileno()).st_size, _SMALL_MAX) + 1)
    except FileNotFoundError as error:
        raise VerificationError(f"{path.name} is missing") from error
    except OSError as error:
        raise VerificationError(f"{path.name} cannot be read: {error.strerror or error}") from error
    if len(content) > _SMALL_MAX:
        raise VerificationError(f"{path.name} is far too large")
    return content
