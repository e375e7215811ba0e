"""A bundle in words and as data. Keys appear as fingerprints of their public halves; nothing secret is shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bundlegen import layout
from bundlegen.errors import VerificationError
from bundlegen.pki.certinfo import CertInfo
from bundlegen.record.schema import Certificate
from bundlegen.system.text import one_line, size, stamp, table
from bundlegen.trust import certs, known
from bundlegen.trust.bundle import Bundle

UNREADABLE = "not a private key that can be read"
SEALED = "sealed"


def certificates(bundle: Bundle) -> dict[str, CertInfo]:
    """The certificates in the bundle by destination. Raises VerificationError for one that cannot be read."""
    found = {}
    for line in bundle.manifest:
        if line.destination.endswith(".crt"):
            try:
                found[line.destination] = certs.certificate(bundle.content(line.destination) or b"").info
            except ValueError as error:
                raise VerificationError(f"{bundle.path}: {line.destination} is {error}") from error
    return found


def keys(bundle: Bundle) -> dict[str, str]:
    """The private keys by destination: their fingerprints, or why there is none."""
    return {line.destination: _key(bundle, line.destination) for line in bundle.manifest if _is_key(line.destination)}


def data(bundle: Bundle, now: datetime, faults: Sequence[str]) -> dict[str, Any]:
    """Everything worth knowing, for machines; no secret in it. ``faults``: in what bundlegen does not make it so."""
    fingerprints = keys(bundle)
    installer = known.digest(bundle, layout.INSTALLER)
    return {
        "path": str(bundle.path),
        "size": bundle.size,
        "sha256": bundle.sha256,
        "payloadDigest": bundle.digest,
        "stubKnown": not known.stub_fault(bundle),
        "faults": list(faults),
        "installer": {"sha256": installer, "bundlegen": known.installer_version(installer) or None},
        "conf": dict(bundle.conf),
        "images": [
            {"archive": image.archive, "size": image.size, "sha256": image.sha256, "file": _image_file(bundle)}
            for image in bundle.images
        ],
        "files": [
            {
                "path": line.destination,
                "placed": line.destination.startswith("/"),
                "mode": f"{line.mode:04o}",
                "owner": line.owner,
                "sha256": line.sha256,
                **({"keyFingerprint": fingerprints[line.destination]} if line.destination in fingerprints else {}),
            }
            for line in bundle.manifest
        ],
        "certificates": [
            {"path": path, **Certificate.of(info).data(), "daysLeft": (info.not_after - now).days}
            for path, info in certificates(bundle).items()
        ],
    }


def text(bundle: Bundle, now: datetime, faults: Sequence[str]) -> str:
    """Everything worth knowing, for people; no secret in it. ``faults``: in what bundlegen does not make it so."""
    conf = bundle.conf
    lines = [
        f"{bundle.path}: {size(bundle.size)}, SHA-256 {bundle.sha256}",
        f"for {_whom(bundle)} of cluster {conf['CLUSTER']}, change {conf['CHANGE']}",
        f"Kubernetes {conf['KUBERNETES_VERSION']}, made by bundlegen {conf['BUNDLEGEN_VERSION']}",
        f"payload digest {bundle.digest}",
        *_programs(bundle),
        *_proven(faults),
        *(
            f"image {image.archive}: {size(image.size)} compressed, {_image_place(bundle)}, SHA-256 {image.sha256}"
            for image in bundle.images
        ),
        "",
        table(
            ("MODE", "OWNER", "SHA-256", "PATH"),
            [(f"{line.mode:04o}", line.owner, line.sha256, line.destination) for line in bundle.manifest],
        ),
        "",
        *_pki(bundle, now),
    ]
    return "\n".join(lines)


def _image_file(bundle: Bundle) -> str | None:
    return bundle.conf["IMAGES_FILE"] or None


def _image_place(bundle: Bundle) -> str:
    name = _image_file(bundle)
    return f"in {name} beside the bundle" if name else "on board"


def _whom(bundle: Bundle) -> str:
    return "images of all hosts" if bundle.is_base else f"{bundle.conf['HOST']} ({bundle.conf['ADDRESS']})"


def _pki(bundle: Bundle, now: datetime) -> list[str]:
    found, private = certificates(bundle), keys(bundle)
    if not found and not private:
        return ["It holds no certificate and no private key."]
    return [
        table(
            ("CERTIFICATE", "SUBJECT", "USAGES", "EXPIRES", "KEY", "NAMES"),
            [_certificate_row(path, info, now) for path, info in found.items()],
        ),
        "",
        table(("CERTIFICATE", "SHA-256 FINGERPRINT"), [(path, info.fingerprint) for path, info in found.items()]),
        "",
        table(
            ("PRIVATE KEY", "FINGERPRINT OF ITS PUBLIC HALF"),
            [(path, fingerprint) for path, fingerprint in private.items()],
        ),
    ]


def _programs(bundle: Bundle) -> list[str]:
    installer = known.digest(bundle, layout.INSTALLER)
    image = known.digest(bundle, layout.IMAGE_SCRIPT)
    own = "the one of this bundlegen" if image == known.own_image_script() else "NOT the one of this bundlegen"
    version = known.installer_version(installer)
    says = f"the one of bundlegen {version}" if version else "NOT one that this bundlegen knows"
    fault = known.stub_fault(bundle)
    return [
        f"{layout.INSTALLER} {installer or 'missing'}: {says}",
        *([f"{layout.IMAGE_SCRIPT} {image}: {own}"] if image else []),
        f"stub: {fault or 'the one that bundlegen writes'}",
    ]


def _proven(faults: Sequence[str]) -> list[str]:
    if not faults:
        return [f"files: each is what bundlegen makes of {layout.SPECIFICATION}, keys, certificates and images apart"]
    return ["NOT WHAT BUNDLEGEN MAKES:", *(one_line(f"  {sentence}") for sentence in faults)]


def _certificate_row(path: str, info: CertInfo, now: datetime) -> tuple[str, ...]:
    days = (info.not_after - now).days
    expires = f"{stamp(info.not_after)[:10]} ({f'in {days} days' if days >= 0 else 'expired'})"
    return (path, info.subject, " ".join(info.usages) or "-", expires, info.algorithm, " ".join(info.sans) or "-")


def _is_key(destination: str) -> bool:
    return destination.startswith("/") and destination.endswith(".key")


def _key(bundle: Bundle, destination: str) -> str:
    if destination in bundle.sealed:
        return SEALED
    try:
        return certs.key_fingerprint(bundle.content(destination) or b"")
    except ValueError:
        return UNREADABLE
