"""The change folder: made beside its place under another name, and moved there when it is complete, so that it is
complete or not there at all."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from bundlegen import layout
from bundlegen.errors import ConflictError, UsageError
from bundlegen.pki import pairs
from bundlegen.system.files import UNFINISHED, file_sum, writing

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2


class Staging:
    """A private folder that becomes ``final``. Used by one run at a time: the PKI store's lock sees to that."""

    def __init__(self, final: Path, folder: Path) -> None:
        self.final = final
        self.folder = folder
        self.sums: dict[str, str] = {}

    def write(self, name: str, blocks: Iterable[bytes], mode: int = layout.MODE_PLAIN) -> tuple[int, str]:
        """Write the file ``name`` with exactly ``mode`` and return its size and SHA-256. Raises OutputError."""
        path, digest, size = self.folder / name, sha256(), 0
        with writing(self.final / name):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Exclusive and private from the first moment, whatever the umask.
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, layout.MODE_SECRET)
            with os.fdopen(handle, "wb") as stream:
                for block in blocks:
                    stream.write(block)
                    digest.update(block)
                    size += len(block)
                stream.flush()
                # FAT has no modes and refuses some: a stick is as private as its mount.
                with suppress(PermissionError):
                    os.fchmod(handle, mode)
                os.fsync(handle)
        self.sums[name] = digest.hexdigest()
        return size, digest.hexdigest()

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A private folder on the same disk for what does not belong to the change itself; removed afterwards."""
        with writing(self.final.parent):
            folder = Path(tempfile.mkdtemp(prefix=f"{UNFINISHED}{self.final.name}-", dir=self.final.parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def commit(self, *, replace: bool) -> bool:
        """Move the folder to its place. False: there is one already with the same content, which is left as it is.

        Raises ConflictError as :meth:`check`.
        """
        if not self.check(replace=replace):
            return False
        self.move()
        return True

    def check(self, *, replace: bool) -> bool:
        """Whether there is something to move: the folder is not there yet, or there with another content.

        Raises ConflictError if one is there that differs and ``replace`` is not set; the message says what differs.
        """
        with writing(self.final):
            if not os.path.lexists(self.final):
                return True
            differing = differences(self.final, self.sums)
        if differing and not replace:
            raise ConflictError(
                f"{self.final} exists and would come out different: {'; '.join(differing)}",
                hint="move it away to keep it, or give --replace",
            )
        return bool(differing)

    def move(self) -> None:
        """Put the folder in its place, and what was there out of it, in one step."""
        with writing(self.final):
            _sync(self.folder)
            if os.path.lexists(self.final):
                _exchange(self.folder, self.final)
            else:
                self.folder.rename(self.final)
            _sync(self.final.parent)

    def commit_files(self, *, replace: bool) -> bool:
        """As :meth:`commit`, for a folder in which people work too: files of others there are left alone.

        What is replaced is replaced file by file, each in one step.
        """
        if not os.path.lexists(self.final):
            return self.commit(replace=False)
        with writing(self.final):
            if self.final.is_symlink() or not self.final.is_dir():
                raise ConflictError(f"{self.final} exists and is not a folder", hint="move it away")
            found = {name: file_sum(self.final / name) for name in self.sums}
            new = [name for name, digest in self.sums.items() if found[name] != digest]
            differing = sorted(name for name in new if os.path.lexists(self.final / name))
            if differing and not replace:
                said = "; ".join(_some([f"{name} differs" for name in differing]))
                raise ConflictError(
                    f"{self.final} exists and would come out different: {said}",
                    hint="keep your changes elsewhere, or give --replace",
                )
            for name in new:
                if (place := _in_the_way(self.final, name)) is not None:
                    kind = "folder" if place.is_dir() else "file"
                    raise ConflictError(f"{place} is a {kind}, and where {name} is to be written", hint="move it away")
            for name in new:
                (self.final / name).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / name).replace(self.final / name)
            _sync(self.final)
        return bool(new)


@contextmanager
def staging(final: Path) -> Iterator[Staging]:
    """A folder in the making that becomes ``final`` by :meth:`Staging.commit`, and is removed otherwise.

    What killed runs left is removed first. Raises OutputError if nothing can be written there.
    """
    with writing(final.parent):
        final.parent.mkdir(parents=True, exist_ok=True)
        sweep(final)
        folder = Path(tempfile.mkdtemp(prefix=f"{UNFINISHED}{final.name}-", dir=final.parent))
    try:
        yield Staging(final, folder)
    finally:
        with suppress(OSError):
            shutil.rmtree(folder)
        # The cluster's own folder goes too where nothing was ever in it; one that is not empty stays.
        with suppress(OSError):
            final.parent.rmdir()


def check_apart(final: Path, pki: Path) -> None:
    """Raises UsageError if a change would be among the keys of a store, or the stores among what is carried away."""
    # not through a link in its own place, which is refused when the change is put there
    real, stores = final.parent.resolve() / final.name, pki.resolve()
    around = stores if real.is_relative_to(stores) else pairs.store_around(real)
    if around is not None:
        raise UsageError(
            f"{final} would be in {around}, where keys are kept", hint="choose a folder outside of it with --output"
        )
    if stores.is_relative_to(real.parent):
        raise UsageError(
            f"{pki} is in {final.parent}, which holds what is carried away",
            hint="keep the PKI store outside of it: choose with --pki and --output",
        )


def _in_the_way(folder: Path, name: str) -> Path | None:
    """What keeps the file ``name`` from being written below ``folder``: a folder of its name, or a file in its path."""
    path = folder / name
    if path.is_dir() and not path.is_symlink():
        return path
    above = [folder.joinpath(*parent.parts) for parent in Path(name).parents if parent.parts]
    return next((place for place in above if os.path.lexists(place) and not place.is_dir()), None)


def sweep(final: Path) -> None:
    """Remove the unfinished folders that killed runs left beside ``final``."""
    for left in final.parent.glob(f"{UNFINISHED}{final.name}-*"):
        shutil.rmtree(left, ignore_errors=True)


def remove(folder: Path) -> None:
    """Take the folder away in one step. Raises OutputError if that is not possible."""
    with writing(folder):
        aside = Path(tempfile.mkdtemp(prefix=f"{UNFINISHED}{folder.name}-", dir=folder.parent))
        folder.rename(aside / folder.name)
        _sync(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()


def holds(folder: Path, sums: Mapping[str, str]) -> bool:
    """Whether ``folder`` has files with these SHA-256, whatever else is in it."""
    return not folder.is_symlink() and all(file_sum(folder / name) == digest for name, digest in sums.items())


def differences(folder: Path, sums: Mapping[str, str]) -> list[str]:
    """In what ``folder`` is not the files whose SHA-256 are in ``sums``: sentences, at most four."""
    if folder.is_symlink() or not folder.is_dir():
        return ["it is not a folder"]
    there = set(_names(folder, {name.partition("/")[0] for name in sums if "/" in name}))
    found = [f"{name} is missing" for name in sorted(sums.keys() - there)]
    found += [f"{name} is not of this change" for name in sorted(there - sums.keys())]
    found += [f"{name} differs" for name in sorted(sums.keys() & there) if file_sum(folder / name) != sums[name]]
    # The bundles first: what differs for a host matters more than that the record of it differs too.
    found.sort(key=lambda sentence: layout.BUNDLE_SUFFIX not in sentence)
    return _some(found)


def _names(folder: Path, inner: Collection[str]) -> Iterator[str]:
    """What is in ``folder``, and in the folders there that are called one of ``inner``."""
    for path in folder.iterdir():
        if path.name in inner and path.is_dir() and not path.is_symlink():
            yield from (f"{path.name}/{each.name}" for each in path.iterdir())
        else:
            yield path.name


def _some(sentences: list[str]) -> list[str]:
    return sentences if len(sentences) <= 4 else [*sentences[:3], f"and {len(sentences) - 3} more"]


def _exchange(new: Path, old: Path) -> None:
    """Put ``new`` where ``old`` is in one step; ``new`` then names what was replaced."""
    libc = ctypes.CDLL(None, use_errno=True)
    exchange = getattr(libc, "renameat2", None)
    if exchange is not None and not exchange(
        _AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(old), _RENAME_EXCHANGE
    ):
        return
    # A file system without the exchange (FAT, some network ones): the old folder steps aside for a moment.
    aside = new.with_name(f"{new.name}.replaced")
    old.rename(aside)
    new.rename(old)
    aside.rename(new)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
