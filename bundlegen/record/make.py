"""``change.json``: one generation run as data: which bundles, what is in them, which certificates, made by what. Pure.

It holds no secret, and nothing of when or where it was made that would differ if it were made again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from bundlegen import __version__, layout
from bundlegen.bundle import member
from bundlegen.bundle.finished import Packed, Part, Shared
from bundlegen.pki.certinfo import CertInfo, certificate
from bundlegen.system.text import stamp

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster

FORMAT: Final = 1


def change(
    cluster: Cluster,
    name: str,
    bundles: Sequence[Packed],
    ca: CertInfo,
    installer_sha256: str,
    versions: Mapping[str, str],
    *,
    issued_at: datetime,
    signed: bool = False,
    sealed: bool = False,
    compared_with: Mapping[str, Any] | None = None,
    base: Packed | None = None,
    images: Shared | None = None,
) -> dict[str, Any]:
    """The record of the change ``name``; :mod:`bundlegen.record.schema` says what each field is.

    ``versions``: of everything that had a part in the bytes. ``issued_at``: when the newest certificate was issued.
    ``base``: the bundle for images. ``images``: the file that the bundles share.
    """
    return {
        "format": FORMAT,
        "cluster": cluster.name,
        "change": name,
        "kubernetesVersion": cluster.kubernetes_version,
        "manifest": cluster.manifest,
        "etcdImage": member.image(cluster),
        "caKeyHost": cluster.ca_key_host,
        "ports": {"client": cluster.ports.client, "peer": cluster.ports.peer, "metrics": cluster.ports.metrics},
        "dataDir": cluster.etcd.data_dir,
        "issuedAt": stamp(issued_at),
        "signed": signed,
        "sealed": sealed,
        "ca": certificate(ca),
        "installer": {"file": layout.INSTALLER, "sha256": installer_sha256},
        "hosts": [_host(cluster, index, packed) for index, packed in enumerate(bundles)],
        "base": None if base is None else _bundle(base),
        "images": None if images is None else _shared(images),
        "comparedWith": compared_with,
        "versions": {"bundlegen": __version__, **versions},
    }


def dump(record: Mapping[str, Any]) -> bytes:
    """The bytes of ``change.json``."""
    return (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode()


def sums(files: Mapping[str, str]) -> bytes:
    """The bytes of ``SHA256SUMS`` (as ``sha256sum -c`` reads it) from sums by file name."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(files.items())).encode()


def _parts(parts: Sequence[Part]) -> list[dict[str, Any]]:
    return [{"name": part.name, "size": part.size, "sha256": part.sha256} for part in parts]


def _shared(images: Shared) -> dict[str, Any]:
    return {"file": images.name, "size": images.size, "sha256": images.sha256, "parts": _parts(images.parts)}


def _host(cluster: Cluster, index: int, packed: Packed) -> dict[str, Any]:
    host = cluster.hosts[index]
    return {
        "name": host.name,
        "address": host.address,
        "clientURL": member.client_url(cluster, host),
        "peerURL": member.peer_url(cluster, host),
        "firstExpiry": stamp(packed.first_expiry),
        **_bundle(packed),
        "certificates": [
            {"path": destination, **certificate(info)} for destination, info in sorted(packed.certificates.items())
        ],
    }


def _bundle(packed: Packed) -> dict[str, Any]:
    return {
        "bundle": packed.name,
        "size": packed.size,
        "sha256": packed.sha256,
        "payloadDigest": packed.plan.digest,
        "parts": _parts(packed.parts),
        "files": [
            {
                "path": entry.destination,
                "placed": entry.placed,
                "mode": f"{entry.mode:04o}",
                "owner": layout.OWNER,
                "size": entry.size,
                "sha256": entry.sha256,
                "secret": entry.private,
                "what": entry.what,
            }
            for entry in packed.plan.entries
        ],
    }
