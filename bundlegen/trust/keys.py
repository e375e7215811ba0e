"""Which private key is in which bundle. A sealed key is known by the certificate beside it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bundlegen.trust import certs
from bundlegen.trust.bundle import Bundle


@dataclass
class Key:
    """One private key: where in a bundle it is, and in the bundles of which hosts."""

    fingerprint: str
    path: str
    bundles: list[Bundle] = field(default_factory=list)


def matrix(bundles: Sequence[Bundle]) -> dict[str, Key]:
    """Every private key in the bundles by the fingerprint of its public half.

    A key that cannot be read is told apart by the SHA-256 of its file.
    """
    found: dict[str, Key] = {}
    for bundle in bundles:
        for line in bundle.manifest:
            if not (line.destination.startswith("/") and line.destination.endswith(".key")):
                continue
            fingerprint = _fingerprint(bundle, line.destination) or f"file:{line.sha256}"
            key = found.setdefault(fingerprint, Key(fingerprint, line.destination))
            if all(bundle is not other for other in key.bundles):
                key.bundles.append(bundle)
    return found


def shared(found: Mapping[str, Key]) -> Iterator[str]:
    """Sentences: the keys that more than one host has."""
    for key in found.values():
        hosts = {(bundle.conf["CLUSTER"], bundle.conf["HOST"]) for bundle in key.bundles}
        if len(hosts) > 1:
            names = " and ".join(sorted({bundle.path.name for bundle in key.bundles}))
            yield f"the key {key.fingerprint[:32]} ({key.path}) is in more than one bundle: {names}"


def _fingerprint(bundle: Bundle, path: str) -> str:
    try:
        if path in bundle.sealed:
            return certs.certificate(bundle.content(f"{path.removesuffix('.key')}.crt") or b"").key_fingerprint
        return certs.key_fingerprint(bundle.content(path) or b"")
    except ValueError:
        return ""
