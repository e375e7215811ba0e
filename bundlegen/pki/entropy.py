"""The only reader of randomness: keys, serial numbers, tokens."""

from __future__ import annotations

import secrets
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from bundlegen.pki import sealing
from bundlegen.pki.issue import CURVES, RSA_BITS, PrivateKey

_SERIAL_BITS: Final = 63
_TOKEN_BYTES: Final = 8


class Entropy(Protocol):
    """What the store asks for; this module is the one used, tests bring repeatable ones."""

    def new_key(self, algorithm: str) -> PrivateKey: ...

    def new_serial(self) -> int: ...

    def new_token(self) -> str: ...


def new_key(algorithm: str) -> PrivateKey:
    """A new private key; ``algorithm`` is one of kubeadm's names (``RSA-2048`` … ``ECDSA-P384``)."""
    if algorithm in RSA_BITS:
        return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS[algorithm])
    return ec.generate_private_key(CURVES[algorithm]())


def new_serial() -> int:
    """A serial number: at least 1, 63 bits, as kubeadm draws them (RFC 5280 forbids the 0 its CA had up to 1.27)."""
    return secrets.randbelow((1 << _SERIAL_BITS) - 1) + 1


def new_unlock_number() -> int:
    """The 130 bits of an unlock code."""
    return secrets.randbits(sealing.BITS)


def new_token() -> str:
    """Sixteen hexadecimal digits that make an initial cluster token unique."""
    return secrets.token_hex(_TOKEN_BYTES)
