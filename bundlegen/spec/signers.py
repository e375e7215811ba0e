"""Whose signatures hosts demand: the lines of a file of allowed signers (ALLOWED SIGNERS in ssh-keygen(1)). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

from bundlegen.addresses import RejectedError, show

SIGNER_PATTERN: Final = "^[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}$"
MAX_BYTES: Final = 65536
_KINDS: Final = (
    "ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-ssh-ed25519@openssh[.]com|"
    "sk-ecdsa-sha2-nistp256@openssh[.]com"
)
_LINE: Final = re.compile(rf'([^\s"#]\S*) (?:(\S.*) )?(?:{_KINDS}) [A-Za-z0-9+/]{{40,}}={{0,2}}(?: .*)?', re.ASCII)


def signer(text: str) -> str:
    """``text`` if it may be the name of a signer. Raises RejectedError."""
    if not re.fullmatch(SIGNER_PATTERN, text, re.ASCII):
        raise RejectedError(f"{show(text)} is no name of a signer", "letters, digits and . _ @ + -, as ops@example.net")
    return text


def signer_line(text: str) -> str:
    """``text`` with single blanks, if it is a line that allows somebody. Raises RejectedError."""
    line = " ".join(word for word in text.replace("\t", " ").split(" ") if word)
    if len(line) > MAX_BYTES or not line.isascii() or not line.isprintable() or not _LINE.fullmatch(line):
        hint = "write NAME ssh-ed25519 AAAA..., as ALLOWED SIGNERS in ssh-keygen(1) has it"
        raise RejectedError(f"{show(text, 60)} allows nobody to sign", hint)
    return line


def lines_of(text: str) -> tuple[str, ...]:
    """The lines of a file that allow somebody; comments and empty lines apart. Raises RejectedError for another one."""
    return tuple(signer_line(line) for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))


def allows(lines: Iterable[str], name: str) -> bool:
    """Whether any line is about ``name``: it holds patterns, of which one that begins with ``!`` takes it out."""
    return any(_is_about(line.split(" ")[0].split(","), name) for line in lines)


def _is_about(patterns: list[str], name: str) -> bool:
    if any(each.startswith("!") and fnmatchcase(name, each[1:]) for each in patterns):
        return False
    return any(fnmatchcase(name, each) for each in patterns if not each.startswith("!"))
