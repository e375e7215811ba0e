"""A host's file tree as a value, to be compared: "nothing changed" means every byte, mode, owner and time."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One file, folder or link: what `stat` and `sha256sum` would say of it."""

    kind: str
    mode: str
    owner: str
    mtime_ns: int
    content: str

    def __str__(self) -> str:
        return f"{self.kind} {self.mode} {self.owner} mtime={self.mtime_ns} {self.content[:16]}"


Tree = dict[str, Entry]


def take(root: Path, *, without: Iterable[str] = (), times: bool = True) -> Tree:
    """Everything below root but the subtrees named in `without` (as absolute paths inside root)."""
    left_out = {Path(path) for path in without}
    tree: Tree = {}
    for folder, folders, files in os.walk(root):
        inside = Path("/") / Path(folder).relative_to(root)
        folders[:] = sorted(name for name in folders if inside / name not in left_out)
        for name in sorted([*folders, *files]):
            if inside / name not in left_out:
                tree[str(inside / name)] = _entry(Path(folder) / name, times)
    return tree


def difference(before: Tree, after: Tree) -> list[str]:
    """What was added, removed or changed, one line each; empty if the trees are equal."""
    lines = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old != new:
            lines.append(f"{path}: {old or 'absent'} -> {new or 'absent'}")
    return lines


def _entry(path: Path, times: bool) -> Entry:
    status = path.lstat()
    kind, content = "other", ""
    if stat.S_ISLNK(status.st_mode):
        kind, content = "link", str(path.readlink())
    elif stat.S_ISDIR(status.st_mode):
        kind = "folder"
    elif stat.S_ISREG(status.st_mode):
        kind, content = "file", hashlib.sha256(path.read_bytes()).hexdigest()
    elif stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
        kind = "removed"  # overlayfs's mark for a file of the root file system that is no longer there
    owner = f"{status.st_uid}:{status.st_gid}"
    return Entry(kind, f"{stat.S_IMODE(status.st_mode):04o}", owner, status.st_mtime_ns if times else 0, content)
