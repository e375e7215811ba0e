"""A snapshot of etcd that a cluster is to begin with: is it whole, and which one is it?"""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import Final

from bundlegen.errors import UsageError

_SUM: Final = 32
_PAGE: Final = 512
_BLOCK: Final = 1 << 20
BY_SUM: Final = "sha256:"
_DIGEST: Final = re.compile("[0-9a-f]{64}")


def named(text: str) -> str:
    """The SHA-256, in hexadecimal digits, of the snapshot that ``text`` names: a file here, or `sha256:` and its sum.

    The latter is for one that lies on the hosts. Raises UsageError for anything else, as :func:`digest` does.
    """
    if not text.startswith(BY_SUM):
        return digest(Path(text))
    found = text.removeprefix(BY_SUM).lower()
    if not _DIGEST.fullmatch(found):
        raise UsageError(
            f"--snapshot {text}: a SHA-256 has 64 hexadecimal digits",
            hint="copy what bundlegen-snapshot said on the host, or what `sha256sum` says of the file",
        )
    return found


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
