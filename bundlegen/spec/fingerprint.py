"""The fingerprint of a certificate, as openssl and others write it."""

from __future__ import annotations

import re
from typing import Final

from bundlegen.addresses import RejectedError, show

PATTERN: Final = "^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$"
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SHA1: Final = re.compile(r"[0-9a-f]{40}", re.ASCII)
_COMMAND: Final = "openssl x509 -in ca.crt -noout -fingerprint -sha256"


def canonical(text: str) -> str:
    """``text`` as 64 hexadecimal digits; openssl writes capitals, and a colon between each two.

    Raises RejectedError for anything but a SHA-256 fingerprint.
    """
    bare = text.replace(":", "").lower()
    if _SHA256.fullmatch(bare):
        return bare
    if _SHA1.fullmatch(bare):
        raise RejectedError(f"{show(text)} is a SHA-1 fingerprint", f"SHA-256 is wanted: {_COMMAND}")
    raise RejectedError(f"{show(text)} is not a SHA-256 fingerprint", f"64 digits 0-9 a-f: {_COMMAND}")
