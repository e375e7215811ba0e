"""Unpacks a bundle into a new private folder, without executing anything of it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import IO, Final

from bundlegen import layout
from bundlegen.errors import ConflictError
from bundlegen.system.files import writing
from bundlegen.trust.bundle import Bundle, read

_CHOICE: Final = "as DIR"
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def extract(path: Path, folder: Path) -> Bundle:
    """Unpack the bundle at ``path`` into ``folder``, which must not be there yet, and return what was read.

    Files get 0600 and folders 0700, whatever MANIFEST says. The folder appears complete or not at all. Raises
    VerificationError for a bundle that cannot be trusted to unpack, ConflictError if the
    folder is there already, OutputError if nothing can be written.
    """
    if os.path.lexists(folder):
        raise ConflictError(f"{folder} exists and is left as it is", hint="name a folder that is not there yet")
    with writing(folder, _CHOICE):
        work = Path(tempfile.mkdtemp(prefix=".unfinished-extract-", dir=folder.absolute().parent))
    try:
        # Nothing that was read decides where this is written: names are checked by the reader, the folder is new.
        bundle = read(path, save=lambda name: _create(work, folder, name))
        for name, content in sorted({**bundle.files, layout.MANIFEST: bundle.manifest_text}.items()):
            with _create(work, folder, name) as stream, writing(folder / name, _CHOICE):
                stream.write(content)
        with writing(folder, _CHOICE):
            work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return bundle


def _create(work: Path, folder: Path, name: str) -> IO[bytes]:
    target = work / name
    with writing(folder / name, _CHOICE):
        missing = [parent for parent in target.relative_to(work).parents if not (work / parent).exists()]
        for parent in reversed(missing):
            (work / parent).mkdir(mode=layout.MODE_PRIVATE_DIR)
        return os.fdopen(os.open(target, _NEW, layout.MODE_SECRET), "wb")
