"""Certificates and keys out of a bundle: whatever is wrong with them is the bundle's fault, never a traceback."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from bundlegen.pki.certinfo import CertInfo, describe
from bundlegen.pki.compare import is_cross, signed_by

X509: TypeAlias = x509.Certificate
_LONGEST: Final = 64 * 1024


@dataclass(frozen=True)
class Certificate:
    """A certificate, in words, and the fingerprint of its public key. ``chain``: those that follow it in its file."""

    x509: X509
    info: CertInfo
    key_fingerprint: str
    chain: tuple[X509, ...]
    pure: bool
    """Whether the file holds certificates and nothing else."""

    def followed_by(self, ca: X509) -> bool:
        """Whether the cross certificate of the CA that signed it follows, which ``ca`` has signed or is."""
        return len(self.chain) == 1 and (signed_by(self.chain[0], ca) or is_cross(self.chain[0], ca))


@lru_cache(maxsize=4096)
def certificate(pem: bytes) -> Certificate:
    """The certificate in ``pem``. Raises ValueError if there is none that can be read."""
    _limit(pem)
    with warnings.catch_warnings():
        # What the library only warns of (a negative serial number) is nothing bundlegen issues.
        warnings.simplefilter("error")
        try:
            found, *chain = x509.load_pem_x509_certificates(pem)
            info = describe(pem)
            public = found.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            pure = b"".join(each.public_bytes(Encoding.PEM) for each in (found, *chain)) == pem
        # The parsers raise more kinds of errors than they document.
        except Exception as error:
            raise ValueError("not a certificate that can be read") from error
    return Certificate(found, info, hashlib.sha256(public).hexdigest(), tuple(chain), pure)


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
