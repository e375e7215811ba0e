"""Private files and folders: nobody else's to read, made exclusively, finished and durable before they appear."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from bundlegen.errors import BundlegenError, OutputError, StoreError

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
_LARGEST: Final = 64 << 20  # far above anything the store writes; keeps a foreign file from filling the memory
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


@contextmanager
def failing_as(action: str, path: Path) -> Iterator[None]:
    """Turns an OSError into the error a user is shown: OutputError if there is no space, else StoreError."""
    try:
        yield
    except OSError as error:
        raise _shown(error, action, path) from error


@contextmanager
def private_umask() -> Iterator[None]:
    """Whatever the caller's umask, what is made inside has exactly the mode asked for, from its first moment."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def locked(lock: Path) -> Iterator[None]:
    """Holds the lock file.

    Raises StoreError naming the holder where another process does. Freed by the kernel on any exit.
    """
    with failing_as("lock", lock):
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "just started"
            raise StoreError(
                f"{lock.parent} is in use by another bundlegen (process {holder})",
                hint="wait until it has ended, then run again",
            ) from error
        except OSError as error:
            raise _shown(error, "lock", lock) from error
        # The number only serves the message above: a full disk must not get in the way of reading the store.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Makes a private folder unless it is there. The caller has set the umask."""
    with failing_as("make", path), suppress(FileExistsError):
        path.mkdir(mode=FOLDER_MODE)


def check_folder(path: Path) -> None:
    """Raises StoreError unless this is a folder of ours alone: not a symlink, our own, no access for anybody else."""
    with failing_as("look at", path):
        status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise StoreError(f"{path} is a symbolic link", hint="keys are kept in a real folder only; name the real one")
    if not stat.S_ISDIR(status.st_mode):
        raise StoreError(f"{path} is not a folder", hint="move it away or name another folder")
    _check_private(path, status, "go-rwx")


def check_shared_folder(path: Path) -> None:
    """Raises StoreError if others could replace what is in the folder that stores are kept in."""
    with failing_as("look at", path):
        status = path.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise StoreError(f"{path} is not a folder", hint="move it away or name another folder")
    if status.st_uid not in (os.geteuid(), 0):
        raise StoreError(f"{path} belongs to another user (uid {status.st_uid})", hint="use a folder of your own")
    if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
        raise StoreError(f"others may write to {path}, where keys are kept", hint=f"chmod go-w {path}")


def read_private(path: Path, *, folder: int | None = None) -> bytes:
    """The content of a file of ours alone; ``folder`` is a descriptor its name is relative to.

    Raises FileNotFoundError if it is not there; StoreError if it is not a private file of ours.
    """
    name = path if folder is None else path.name
    try:
        # Without O_NONBLOCK a pipe in the place of a file would be waited for for ever.
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise StoreError(f"{path} is a symbolic link", hint="put the real file back in its place") from error
        raise _shown(error, "read", path) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise StoreError(f"{path} is not a file", hint="restore it from a backup")
        _check_private(path, status, "go-rwx")
        check_one_name(path, status)
        if status.st_size > _LARGEST:
            raise StoreError(f"{path} is far too large to be bundlegen's", hint="restore it from a backup")
        with failing_as("read", path):
            return _read_all(descriptor, status.st_size)
    finally:
        os.close(descriptor)


class Intake:
    """Files and folders on their way into a private folder: each appears there finished and durable, or not at all.

    They are written below ``<root>/.new``, made durable together (one ``syncfs`` instead of an fsync per file: for 300
    hosts this is the difference between milliseconds and seconds), and renamed into place in the order they were added.
    What a killed run leaves in ``.new`` is swept away by the next one.
    """

    FOLDER: Final = ".new"

    def __init__(self, root: Path) -> None:
        self._root = root
        self._staging = root / self.FOLDER
        self._pending: list[tuple[str, Path]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(BundlegenError):
            sweep(self._root)

    def add_folder(self, place: Path, files: Mapping[str, bytes]) -> None:
        """A folder with these files, to appear at ``place``."""
        with failing_as("write", place):
            staged = self._stage()
            os.mkdir(staged, FOLDER_MODE)  # noqa: PTH102 - thousands of these: pathlib takes twice as long
            for name, content in files.items():
                _write_new(f"{staged}/{name}", content)
        self._pending.append((staged, place))

    def add_file(self, place: Path, content: bytes) -> None:
        """A file with this content, to appear at ``place``."""
        with failing_as("write", place):
            staged = self._stage()
            _write_new(staged, content)
        self._pending.append((staged, place))

    def _stage(self) -> str:
        if not self._pending:
            self._staging.mkdir(mode=FOLDER_MODE)
        return f"{self._staging}/{len(self._pending)}"

    def settle(self) -> None:
        """Makes everything added durable, then lets it appear. Raises StoreError if something is there already."""
        with failing_as("write", self._root):
            sync(self._root)
        for staged, place in self._pending:
            # rename() replaces a file and an empty folder; only a folder with content refuses by itself.
            if os.path.lexists(place):
                raise StoreError(
                    f"{place} is there already", hint="nothing in a store is ever overwritten; move it away"
                )
            with failing_as("put in place", place):
                os.rename(staged, place)  # noqa: PTH104 - see add_folder
        with failing_as("write", self._root):
            sync(self._root)


def sweep(root: Path) -> None:
    """Removes what a killed run left half-made below ``root``. Only to be called under the lock."""
    with failing_as("remove", root / Intake.FOLDER), suppress(FileNotFoundError):
        shutil.rmtree(root / Intake.FOLDER)


def sync(folder: Path) -> None:
    """Makes everything written to the folder's file system durable; raises OSError as fsync does."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if libc.syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    finally:
        os.close(descriptor)


def _write_new(path: str, content: bytes) -> None:
    descriptor = os.open(path, _NEW, FILE_MODE)
    try:
        write_all(descriptor, content)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, content: bytes) -> None:
    """Writes all of it: a disk that fills up may take a part first, and only then says so."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _read_all(descriptor: int, size: int) -> bytes:
    content = os.read(descriptor, size + 1)
    while len(content) < size:
        more = os.read(descriptor, size - len(content))
        if not more:
            break
        content += more
    return content


def _check_private(path: Path, status: os.stat_result, remedy: str) -> None:
    if status.st_uid != os.geteuid():
        raise StoreError(
            f"{path} belongs to another user (uid {status.st_uid})", hint="run bundlegen as the user it belongs to"
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise open_to_others(path, stat.S_IMODE(status.st_mode), remedy)


def check_one_name(path: Path, status: os.stat_result) -> None:
    """Raises StoreError if the file, a key or what rests on one, has another name (a hard link) as well."""
    if status.st_nlink > 1:
        raise StoreError(
            f"{path} is there under another name as well (a hard link)",
            hint="find the other and remove it: find / -xdev -samefile " + str(path),
        )


def open_to_others(path: Path, mode: int, remedy: str) -> StoreError:
    """The error for a key that others may have read; ``remedy`` is the mode for chmod."""
    return StoreError(
        f"{path} is open to others (mode {mode:04o})", hint=f"find out who read it, then: chmod {remedy} {path}"
    )


def _shown(error: OSError, action: str, path: Path) -> StoreError | OutputError:
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    if error.errno in _FULL:
        return OutputError(
            f"cannot {action} {path}: {reason}", hint="free some space and run again; nothing was damaged"
        )
    hints = {
        errno.EROFS: "the store must be on something writable: name another folder with --pki",
        errno.EACCES: "run bundlegen as the user the store belongs to, or name another folder with --pki",
    }
    return StoreError(f"cannot {action} {path}: {reason}", hint=hints.get(error.errno or 0, ""))
