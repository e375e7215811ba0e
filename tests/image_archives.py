"""Container image archives of every kind, small ones, for tests."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ETCD = "registry.k8s.io/etcd:3.5.15-0"
PAUSE = "registry.k8s.io/pause:3.10"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def layer(seed: str = "etcd", size: int = 5000) -> bytes:
    """A layer's tar with one file of that many bytes, which do not repeat."""
    block = b"".join(hashlib.sha256(f"{seed}{number}".encode()).digest() for number in range(-(-size // 32)))
    return pack({"usr/bin/program": block[:size]})


def pack(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """A tar of these files, and of symbolic links."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def config(layers: Sequence[bytes], architecture: str = "amd64", system: str = "linux") -> bytes:
    sums = [f"sha256:{digest(each)}" for each in layers]
    return json.dumps(
        {"architecture": architecture, "os": system, "rootfs": {"type": "layers", "diff_ids": sums}}
    ).encode()


def docker(name: str = ETCD, architecture: str = "amd64", content: bytes = b"", **options: Any) -> dict[str, bytes]:
    """The files of an archive as ``docker save`` and ``skopeo copy … docker-archive:`` write it."""
    body = content or layer(name)
    about = config([body], architecture, **options)
    entry = {"Config": f"{digest(about)}.json", "RepoTags": [name], "Layers": ["0/layer.tar"]}
    return {entry["Config"]: about, "0/layer.tar": body, "manifest.json": json.dumps([entry]).encode()}  # type: ignore[dict-item]


def oci(name: str = ETCD, architectures: Sequence[str] = ("amd64",), nested: bool = False) -> dict[str, bytes]:
    """The files of an OCI layout; ``nested``: the image is an index of one manifest per architecture."""
    files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}

    def blob(content: bytes, **more: Any) -> dict[str, Any]:
        files[f"blobs/sha256/{digest(content)}"] = content
        return {"digest": f"sha256:{digest(content)}", "size": len(content), **more}

    manifests = []
    for architecture in architectures:
        body = layer(f"{name}{architecture}")
        manifest = {"schemaVersion": 2, "config": blob(config([body], architecture)), "layers": [blob(body)]}
        platform = {"architecture": architecture, "os": "linux"}
        manifests.append(blob(json.dumps(manifest).encode(), platform=platform))
    if nested:
        manifests = [blob(json.dumps({"schemaVersion": 2, "manifests": manifests}).encode())]
    for each in manifests:
        each["annotations"] = {"org.opencontainers.image.ref.name": name}
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()
    return files


def write(path: Path, files: Mapping[str, bytes]) -> Path:
    """The archive at ``path``."""
    path.write_bytes(pack(files))
    return path
