"""Signatures of a change: OpenSSH's, so that a host needs no new tool to check one (``ssh-keygen -Y``).

The private key may be a file, one that an agent holds (name its ``.pub`` file), or one in a FIDO token: passphrase and
touch are asked for on the terminal by ssh-keygen itself, and bundlegen sees neither.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Final

from bundlegen.errors import ToolError, UsageError
from bundlegen.system import process

NAMESPACE: Final = "bundlegen"
_PROGRAM: Final = "ssh-keygen"
_HINT: Final = "as root: apt-get install openssh-client"
_ENVIRONMENT: Final = ("SSH_AUTH_SOCK", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "SSH_SK_PROVIDER", "DISPLAY")
_UNSIGNED: Final = "what ssh-keygen said is above; --sign-key names an SSH private key, or the .pub of an agent's"


def sign(content: bytes, key: Path) -> bytes:
    """The armoured signature of ``content`` by ``key``. Raises UsageError for no key, ToolError if signing fails."""
    if not key.is_file():
        raise UsageError(f"--sign-key {key}: no such file", hint="name a private key, or the .pub of an agent's")
    env = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    program = process.find(_PROGRAM, hint=_HINT)
    argv = (program, "-q", "-Y", "sign", "-f", os.fspath(key), "-n", NAMESPACE)
    return process.run(argv, env=env, stdin=content, hint=_UNSIGNED, talks=True).stdout


def kept(content: bytes, signature: Path, key: Path) -> bytes:
    """The signature that is there, if it is a good one of ``content`` by ``key``; nothing otherwise."""
    public = key if key.suffix == ".pub" else key.with_name(f"{key.name}.pub")
    try:
        blob = base64.b64decode(public.read_bytes().split()[1])
        there = signature.read_bytes()
        body = base64.b64decode(b"".join(there.splitlines()[1:-1]))
    except (OSError, ValueError, IndexError):
        return b""
    # "SSHSIG", a version, then the public key as a string (openssh PROTOCOL.sshsig).
    if body[:10] != b"SSHSIG\0\0\0\1" or body[14 : 14 + len(blob)] != blob:
        return b""
    return b"" if fault(content, signature, None, "") else there


def fault(content: bytes, signature: Path, allowed: Path | None, signer: str) -> str:
    """Why the signature of ``content`` is not a good one of ``signer``; empty if it is.

    ``allowed`` None: whether it is a good signature of anybody. Raises ToolError without ssh-keygen.
    """
    program = process.find(_PROGRAM, hint=_HINT)
    sig = os.fspath(signature)
    if allowed is None:
        argv = [program, "-Y", "check-novalidate", "-n", NAMESPACE, "-s", sig]
    else:
        argv = [program, "-Y", "verify", "-f", os.fspath(allowed), "-I", signer, "-n", NAMESPACE, "-s", sig]
    try:
        process.run(argv, stdin=content)
    except ToolError:
        if allowed is None:
            return "the signature is not a good one of this SHA256SUMS"
        return f"the signature is not a good one of {signer}, by {allowed}"
    return ""


def check_demand(allowed: Path | None, signer: str) -> None:
    """Raises UsageError for half a demand, and if there is no list of signers."""
    if (allowed is None) != (not signer):
        raise UsageError(
            "--allowed-signers and --signer belong together",
            hint="give the file, and the name in it that signed",
        )
    if allowed is not None and not allowed.is_file():
        raise UsageError(
            f"--allowed-signers {allowed}: there is no such file", hint="see ALLOWED SIGNERS in ssh-keygen(1)"
        )
