"""A snapshot of etcd that a cluster is to begin with: is it whole, and which one is it?"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Final

from bundlegen.errors import UsageError

_SUM: Final = 32
_PAGE: Final = 512
_BLOCK: Final = 1 << 20


def digest(path: Path) -> str:
    """The SHA-256 of the file at ``path``, in hexadecimal digits.

    A snapshot is etcd's database, in pages, and the SHA-256 of that (etcd, etcdutl/snapshot/v3_snapshot.go). Raises
    UsageError for a file that is none, or not whole, or cannot be read.
    """
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(0)
            inner, left = sha256(), max(0, size - _SUM)
            while left and (block := stream.read(min(_BLOCK, left))):
                inner.update(block)
                left -= len(block)
            outer, told = inner.copy(), stream.read(_SUM + 1)
    except OSError as error:
        raise UsageError(f"--snapshot {path}: {error.strerror}", hint="name a file that can be read") from error
    if size <= _SUM or size % _PAGE != _SUM or left or told != inner.digest():
        raise UsageError(
            f"--snapshot {path}: it is not a whole snapshot, whose last 32 bytes are the SHA-256 of what is before",
            hint="take one with `sh HOST.run -- snapshot` or `etcdctl snapshot save`; a copy of etcd's files is none",
        )
    outer.update(told)
    return outer.hexdigest()
