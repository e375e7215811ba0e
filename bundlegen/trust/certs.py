"""Certificates and keys out of a bundle: whatever is wrong with them is the bundle's fault, never a traceback."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from bundlegen.pki.certinfo import CertInfo, describe

_LONGEST: Final = 64 * 1024


@dataclass(frozen=True)
class Certificate:
    """A certificate, in words, and the fingerprint of its public key."""

    x509: x509.Certificate
    info: CertInfo
    key_fingerprint: str
    alone: bool
    """Whether the file holds this certificate and nothing else."""


@lru_cache(maxsize=4096)
def certificate(pem: bytes) -> Certificate:
    """The certificate in ``pem``. Raises ValueError if there is none that can be read."""
    _limit(pem)
    with warnings.catch_warnings():
        # What the library only warns of (a negative serial number) is nothing bundlegen issues.
        warnings.simplefilter("error")
        try:
            found = x509.load_pem_x509_certificate(pem)
            info = describe(pem)
            public = found.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            alone = found.public_bytes(Encoding.PEM) == pem
        # The parsers raise more kinds of errors than they document.
        except Exception as error:
            raise ValueError("not a certificate that can be read") from error
    return Certificate(found, info, hashlib.sha256(public).hexdigest(), alone)


@lru_cache(maxsize=4096)
def key_fingerprint(pem: bytes) -> str:
    """SHA-256 of the public half of a private key (DER, SubjectPublicKeyInfo). Raises ValueError for anything else."""
    _limit(pem)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            key = load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)
            public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        except Exception as error:
            raise ValueError("not a private key that can be read") from error
    return hashlib.sha256(public).hexdigest()


def _limit(pem: bytes) -> None:
    if len(pem) > _LONGEST:
        raise ValueError("too large to be read")
