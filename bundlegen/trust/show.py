"""A bundle in words and as data. Pure. Keys appear as fingerprints of their public halves."""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from bundlegen import layout
from bundlegen.certinfo import CertInfo, describe
from bundlegen.errors import VerificationError
from bundlegen.report.record import certificate, stamp
from bundlegen.text import size, table
from bundlegen.trust.bundle import Bundle


def certificates(bundle: Bundle) -> dict[str, CertInfo]:
    """The certificates in the bundle by destination. Raises VerificationError for one that cannot be read."""
    found = {}
    for line in bundle.manifest:
        if line.destination.endswith(".crt"):
            try:
                found[line.destination] = describe(bundle.files[layout.payload_path(line.destination)])
            except ValueError as error:
                raise VerificationError(f"{bundle.path}: {line.destination} is no certificate: {error}") from error
    return found


def key_fingerprint(pem: bytes) -> str:
    """SHA-256 of the public half of a private key (DER, SubjectPublicKeyInfo). Raises ValueError for anything else."""
    try:
        key = load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)
    except TypeError as error:
        raise ValueError("an encrypted key") from error
    return hashlib.sha256(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def data(bundle: Bundle) -> dict[str, Any]:
    """Everything worth knowing, for machines; no secret in it."""
    return {
        "path": str(bundle.path),
        "size": bundle.size,
        "sha256": bundle.sha256,
        "payloadDigest": bundle.digest,
        "conf": dict(bundle.conf),
        "files": [
            {
                "path": line.destination,
                "placed": line.destination.startswith("/"),
                "mode": f"{line.mode:04o}",
                "owner": line.owner,
                "sha256": line.sha256,
                **({"keyFingerprint": fingerprint} if (fingerprint := _key(bundle, line.destination)) else {}),
            }
            for line in bundle.manifest
        ],
        "certificates": [{"path": path, **certificate(info)} for path, info in certificates(bundle).items()],
    }


def text(bundle: Bundle) -> str:
    """Everything worth knowing, for people; no secret in it."""
    conf = bundle.conf
    found = certificates(bundle)
    lines = [
        f"{bundle.path}: {size(bundle.size)}, SHA-256 {bundle.sha256}",
        f"for {conf['HOST']} ({conf['ADDRESS']}) of cluster {conf['CLUSTER']}, change {conf['CHANGE']}",
        f"Kubernetes {conf['KUBERNETES_VERSION']}, made by bundlegen {conf['BUNDLEGEN_VERSION']}",
        f"payload digest {bundle.digest}",
        "",
        table(
            ("MODE", "OWNER", "SHA-256", "PATH"),
            [(f"{line.mode:04o}", line.owner, line.sha256[:12], line.destination) for line in bundle.manifest],
        ),
        "",
        table(
            ("CERTIFICATE", "SUBJECT", "EXPIRES", "KEY", "NAMES"),
            [
                (path, info.subject, stamp(info.not_after)[:10], info.algorithm, " ".join(info.sans) or "-")
                for path, info in found.items()
            ],
        ),
        "",
        table(
            ("PRIVATE KEY", "FINGERPRINT OF ITS PUBLIC HALF"),
            [(line.destination, key[:32]) for line in bundle.manifest if (key := _key(bundle, line.destination))],
        ),
    ]
    return "\n".join(lines)


def _key(bundle: Bundle, destination: str) -> str:
    if not destination.endswith(".key"):
        return ""
    try:
        return key_fingerprint(bundle.files[layout.payload_path(destination)])
    except ValueError:
        return "not a private key that can be read"
