"""What is in a container image archive, from its index files and the sums of its parts. Pure.

Sources: the OCI image layout, index and manifest specifications; docker's ``image/spec/v1.2``; containerd
``core/images/archive`` (an ``oci-layout`` file decides which of the two is read, and where names come from).
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

JSON_MAX: Final = 4 << 20
MACHINES: Final = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "arm": "armv7l",
    "386": "i686",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}
"""Go's architecture, as images name it, and what ``uname -m`` says there."""

_NESTING: Final = 4
_NAMES: Final = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_DOCKER: Final = "docker.io"
_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})")
_COMPRESSED: Final = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
_AGAIN: Final = "save it again, or copy it again from where it was saved"


class ImageError(ValueError):
    """Why an archive cannot be carried, in words that continue its name, and what to do."""

    def __init__(self, message: str, hint: str = _AGAIN) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Part:
    """One file of an archive: ``content`` where it is small enough to be an index file, ``start`` its first bytes."""

    size: int
    sha256: str
    start: bytes
    content: bytes | None = None


@dataclass(frozen=True, order=True)
class Image:
    """One image for one architecture, the one ``uname -m`` names. ``config``: the digest that is its image ID."""

    names: tuple[str, ...]
    config: str
    machine: str


def images_in(parts: Mapping[str, Part], links: Mapping[str, str]) -> tuple[Image, ...]:
    """The images of an archive with these files and links. Raises ImageError if anything of them is not sound."""
    if "oci-layout" in parts and "index.json" in parts:
        found = tuple(_oci(parts, _object(parts, "index.json"), (), _NESTING))
        found = _with_repo_tags(found, parts)
    elif "manifest.json" in parts:
        found = tuple(_docker(parts, links))
    else:
        raise ImageError("holds neither manifest.json nor an OCI layout", "name an archive saved by skopeo or docker")
    if not found:
        raise ImageError("holds no image")
    return found


def _docker(parts: Mapping[str, Part], links: Mapping[str, str]) -> Iterator[Image]:
    for each in _list(_json(parts, "manifest.json")):
        if not isinstance(each, dict):
            raise ImageError("has a manifest.json that cannot be understood")
        config_name, layers = str(each.get("Config", "")), _list(each.get("Layers"))
        config = _object(parts, config_name)
        rootfs = config.get("rootfs")
        sums = _list(rootfs.get("diff_ids")) if isinstance(rootfs, dict) else []
        if len(sums) != len(layers):
            raise ImageError(f"has {len(layers)} layers, its configuration names {len(sums)}")
        for name, wanted in zip(layers, sums, strict=True):
            layer = _part(parts, _target(str(name), links))
            if f"sha256:{layer.sha256}" != wanted and not layer.start.startswith(_COMPRESSED):
                raise ImageError(f"is damaged: the layer {shown(name)} does not have its SHA-256")
        names = tuple(sorted(full_name(str(tag)) for tag in _list(each.get("RepoTags") or [])))
        yield Image(names, f"sha256:{parts[config_name].sha256}", _machine(config))


def _oci(parts: Mapping[str, Part], index: Mapping[str, Any], names: tuple[str, ...], depth: int) -> Iterator[Image]:
    if depth == 0:
        raise ImageError("has indexes within indexes without end")
    found = 0
    missing = ""
    for descriptor in _list(index.get("manifests")):
        if not isinstance(descriptor, dict):
            raise ImageError("has an index that cannot be understood")
        if _is_attestation(descriptor):
            continue
        named = names or _names(descriptor)
        blob = _blob_name(descriptor)
        if blob not in parts:
            # A single platform of an index may have been saved: the others are named and not there.
            missing = missing or blob
            continue
        found += 1
        document = _described(parts, descriptor)
        if "manifests" in document:
            yield from _oci(parts, document, named, depth - 1)
        else:
            yield _oci_image(parts, document, named)
    if missing and not found:
        raise ImageError(f"is incomplete: {missing} is not in it")


def _oci_image(parts: Mapping[str, Part], manifest: Mapping[str, Any], names: tuple[str, ...]) -> Image:
    descriptor = manifest.get("config")
    if not isinstance(descriptor, dict):
        raise ImageError("has a manifest without a configuration")
    config = _described(parts, descriptor)
    for layer in _list(manifest.get("layers")):
        if not isinstance(layer, dict):
            raise ImageError("has a manifest that cannot be understood")
        _checked(parts, layer)
    return Image(names, str(descriptor["digest"]), _machine(config))


def _with_repo_tags(found: tuple[Image, ...], parts: Mapping[str, Part]) -> tuple[Image, ...]:
    """docker saves both kinds of index into one archive; full names are in its own alone in some versions."""
    if "manifest.json" not in parts:
        return found
    tags: dict[str, set[str]] = {}
    for each in _list(_json(parts, "manifest.json")):
        if isinstance(each, dict):
            digest = f"sha256:{str(each.get('Config', '')).rpartition('/')[2].removesuffix('.json')}"
            tags.setdefault(digest, set()).update(full_name(str(tag)) for tag in _list(each.get("RepoTags") or []))
    return tuple(
        Image(tuple(sorted({name for name in each.names if "/" in name} | tags.get(each.config, set()))) or each.names,
              each.config, each.machine)
        for each in found
    )  # fmt: skip


def full_name(name: str) -> str:
    """The name under which runtimes keep a docker image: one without a registry is Docker's.

    Source: ``ParseDockerRef`` of ``distribution/reference``, through which containerd, its CRI, skopeo and
    podman put such names.
    """
    registry, slash, rest = name.partition("/")
    if not slash or not (registry == "localhost" or "." in registry or ":" in registry):
        registry, rest = _DOCKER, name
    if registry == _DOCKER and "/" not in rest:
        rest = f"library/{rest}"
    tagged = "@" in rest or ":" in rest.rpartition("/")[2]
    return f"{registry}/{rest}" if tagged else f"{registry}/{rest}:latest"


def _names(descriptor: Mapping[str, Any]) -> tuple[str, ...]:
    notes = descriptor.get("annotations")
    if not isinstance(notes, dict):
        return ()
    return next(((str(notes[key]),) for key in _NAMES if notes.get(key)), ())


def _is_attestation(descriptor: Mapping[str, Any]) -> bool:
    notes, platform = descriptor.get("annotations"), descriptor.get("platform")
    about = isinstance(notes, dict) and notes.get("vnd.docker.reference.type") == "attestation-manifest"
    return about or (isinstance(platform, dict) and platform.get("os") == "unknown")


def _blob_name(descriptor: Mapping[str, Any]) -> str:
    match = _DIGEST.fullmatch(str(descriptor.get("digest", "")))
    if match is None:
        raise ImageError("names a part by something else than its SHA-256")
    return f"blobs/sha256/{match[1]}"


def _checked(parts: Mapping[str, Part], descriptor: Mapping[str, Any]) -> str:
    name = _blob_name(descriptor)
    part = _part(parts, name)
    if part.sha256 != name.rpartition("/")[2] or part.size != descriptor.get("size"):
        raise ImageError(f"is damaged: {name} does not have its SHA-256 or size")
    return name


def _described(parts: Mapping[str, Part], descriptor: Mapping[str, Any]) -> Mapping[str, Any]:
    return _object(parts, _checked(parts, descriptor))


def _machine(config: Mapping[str, Any]) -> str:
    system, architecture = str(config.get("os", "")), str(config.get("architecture", ""))
    if system != "linux":
        raise ImageError(f"is an image for {shown(system or 'no system')}, not for linux", "fetch the one for linux")
    if architecture not in MACHINES:
        known = ", ".join(sorted(MACHINES))
        raise ImageError(f"is an image for the architecture {shown(architecture)}", f"fetch one for {known}")
    return MACHINES[architecture]


def _target(name: str, links: Mapping[str, str]) -> str:
    """docker's older archives name a layer that is there twice by a link to the first."""
    for _ in range(_NESTING):
        if name not in links:
            break
        name = links[name]
    return posixpath.normpath(name)


def _part(parts: Mapping[str, Part], name: str) -> Part:
    if name not in parts:
        raise ImageError(f"is incomplete: {shown(name)} is not in it")
    return parts[name]


def _object(parts: Mapping[str, Part], name: str) -> Mapping[str, Any]:
    value = _json(parts, name)
    if not isinstance(value, dict):
        raise ImageError(f"is damaged: {shown(name)} is not an object")
    return value


def _json(parts: Mapping[str, Part], name: str) -> Any:
    content = _part(parts, name).content
    if content is None:
        raise ImageError(f"has an index file of more than {JSON_MAX >> 20} MiB: {shown(name)}")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ImageError(f"is damaged: {shown(name)} is not JSON") from error


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ImageError("has an index that cannot be understood")
    return value


def shown(name: object) -> str:
    return ascii(str(name)[:120])[1:-1]
