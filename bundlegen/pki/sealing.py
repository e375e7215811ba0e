"""Unlock codes, and keys encrypted under them so that ``openssl enc`` of 1.1.1 and 3 opens them on a host. Pure.

A code is 130 random bits in 26 characters of Crockford's base32 (no I, L, O or U) and a check character, in groups of
three: readable aloud, and a slip of the pen is found before anything is tried. The encryption is that of
``openssl enc -aes-256-cbc -pbkdf2 -iter 10000 -md sha256`` with the 26 characters as the password. It has no
authentication of its own and needs none: MANIFEST holds the SHA-256 of what is encrypted and of what it opens to.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BITS: Final = 130
_LENGTH: Final = BITS // 5
_GROUP: Final = 3
_ITERATIONS: Final = 10000
"""openssl's default; 130 random bits need no stretching, and installing must not wait."""
_MISREAD: Final = str.maketrans("OIL", "011", " -\t\r\n")


def code(number: int) -> str:
    """The unlock code for ``number`` (130 bits), as people see it: ``7ZK-Q2M-…``, nine groups of three."""
    text = "".join(ALPHABET[number >> shift & 31] for shift in range(BITS - 5, -1, -5))
    text += ALPHABET[_check(text)]
    return "-".join(text[start : start + _GROUP] for start in range(0, len(text), _GROUP))


def password(text: str) -> str:
    """The 26 characters that open, from a code however it was typed. Raises ValueError for what is no code."""
    plain = text.upper().translate(_MISREAD)
    if len(plain) != _LENGTH + 1 or set(plain) - set(ALPHABET):
        raise ValueError("an unlock code is 27 letters and digits")
    if ALPHABET[_check(plain[:-1])] != plain[-1]:
        raise ValueError("a character of the unlock code is wrong or in the wrong place")
    return plain[:-1]


def seal(content: bytes, unlock_code: str, name: str) -> bytes:
    """``content`` encrypted. The same inputs give the same bytes; ``name`` tells files with the same content apart.

    The salt follows from the code, the name and the content, so that no two contents ever share key and vector.
    """
    secret = password(unlock_code).encode()
    salt = hmac.digest(secret, b"bundlegen seal\0" + name.encode() + b"\0" + content, "sha256")[:8]
    derived = hashlib.pbkdf2_hmac("sha256", secret, salt, _ITERATIONS, 48)
    padder = PKCS7(128).padder()
    padded = padder.update(content) + padder.finalize()
    encryptor = Cipher(algorithms.AES256(derived[:32]), modes.CBC(derived[32:])).encryptor()
    return b"Salted__" + salt + encryptor.update(padded) + encryptor.finalize()


def _check(text: str) -> int:
    """The sum that makes any one wrong character, and any two neighbours in the wrong order, show.

    A polynomial over GF(32) (x^5 + x^2 + 1), the last character being its check.
    """
    total = 0
    for each in text:
        total = _double(total) ^ ALPHABET.index(each)
    return _double(total)


def _double(value: int) -> int:
    return (value << 1) ^ (37 if value & 16 else 0)
