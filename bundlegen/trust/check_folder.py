"""Is a change folder what it should be? Whole files first, then each bundle, then all of them together."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from bundlegen import layout
from bundlegen.errors import VerificationError
from bundlegen.system.files import file_sum
from bundlegen.trust import check_bundle, keys, shared_images
from bundlegen.trust.bundle import Bundle, opened, read
from bundlegen.trust.finding import Finding
from bundlegen.trust.remade import CA_CERTIFICATE, CA_KEY

_SUM_LINE: Final = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_+@][A-Za-z0-9._+@-]*)", re.ASCII)
_SMALL_MAX: Final = 64 << 20
_FILES_MAX: Final = 100_000
UNSUMMED: Final = (layout.SUMS, layout.SIGNATURE)


@dataclass(frozen=True)
class Sums:
    """SHA256SUMS: its bytes, and the sum of each file by name."""

    content: bytes
    files: Mapping[str, str]


def faults(folder: Path, at: datetime, *, written: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """What is wrong with the change folder at the moment ``at``, its signature apart.

    ``written``: sums by file name from a caller that has just written the files; they are not hashed again.
    """
    try:
        sums = read_sums(folder / layout.SUMS)
    except VerificationError as error:
        yield Finding(str(folder), error.message)
        return
    yield from _covered(folder, sums)
    bundles: list[Bundle] = []
    for name, expected in sums.files.items():
        if not os.path.lexists(folder / name):
            yield Finding(name, f"is missing, though {layout.SUMS} lists it")
        elif (written[name] if written is not None else file_sum(folder / name)) != expected:
            yield Finding(name, f"was altered: it does not have the SHA-256 in {layout.SUMS}")
        elif name.endswith(layout.BUNDLE_SUFFIX):
            try:
                finished = written is None
                bundle = read(folder / name, hashed="" if finished else expected, looking=finished)
            except VerificationError as error:
                yield Finding(name, error.message)
                continue
            bundles.append(bundle.beside(bundles[0]) if bundles else bundle)
            yield from bundle_faults(bundle, at)
    if not any(name.endswith(layout.BUNDLE_SUFFIX) for name in sums.files):
        yield Finding(str(folder), "holds no bundle")
    yield from _together(bundles)
    yield from _images(folder, sums, bundles, whole=written is None)
    yield from _recorded(folder, sums, bundles, finished=written is None)


def bundle_faults(bundle: Bundle, at: datetime) -> Iterator[Finding]:
    """What is wrong with a bundle by itself."""
    for sentence in check_bundle.faults(bundle, at):
        yield Finding(bundle.path.name, sentence)
    if bundle.path.name != layout.bundle_name(bundle.owner):
        whose = "for images" if bundle.is_base else f"of {bundle.owner}"
        yield Finding(bundle.path.name, f"is the bundle {whose} under another name", fatal=False)
    if bundle.mode & 0o077 and bundle.conf["SEALED"] != "yes" and not bundle.is_base:
        mode = f"{bundle.mode:04o}"
        yield Finding(bundle.path.name, f"holds private keys and can be read by others here (mode {mode})", fatal=False)


def read_sums(path: Path) -> Sums:
    """SHA256SUMS at ``path``. Raises VerificationError where it is missing or anything but sums and plain names."""
    content = small_file(path)
    files: dict[str, str] = {}
    for line in content.decode("utf-8", "replace").removesuffix("\n").split("\n"):
        match = _SUM_LINE.fullmatch(line)
        if match is None or match[2] in files or match[2] in UNSUMMED:
            raise VerificationError(f"{path.name} holds a line that is not a SHA-256 and a file's name")
        files[match[2]] = match[1]
    return Sums(content, files)


def small_file(path: Path) -> bytes:
    """The bytes of a small file of a change. Raises VerificationError where it is missing, no file, or large."""
    try:
        if path.is_symlink():
            raise VerificationError(f"{path.name} is a symbolic link")
        with opened(path) as stream:
            content = stream.read(_SMALL_MAX + 1)
    except FileNotFoundError as error:
        raise VerificationError(f"{path.name} is missing") from error
    except OSError as error:
        raise VerificationError(f"{path.name} cannot be read: {error.strerror or error}") from error
    if len(content) > _SMALL_MAX:
        raise VerificationError(f"{path.name} is far too large")
    return content


def _covered(folder: Path, sums: Sums) -> Iterator[Finding]:
    with os.scandir(folder) as found:
        for count, each in enumerate(found):
            if count > _FILES_MAX:
                yield Finding(str(folder), "holds more files than any change")
                return
            if each.name not in sums.files and each.name not in UNSUMMED:
                yield Finding(each.name, f"is not in {layout.SUMS}")
            elif each.is_symlink():
                yield Finding(each.name, "is a symbolic link")


def _together(found: list[Bundle]) -> Iterator[Finding]:
    """Of one cluster and change, one bundle a host, no key in two of them."""
    for left, right in pairwise(found):
        for name in ("CLUSTER", "CHANGE", "KUBERNETES_VERSION"):
            if left.conf.get(name) != right.conf.get(name):
                yield Finding(right.path.name, f"has another {name} than {left.path.name}")
    bundles = [bundle for bundle in found if not bundle.is_base]
    for left, right in pairwise(bundles):
        for name in ("MEMBERS", "INITIAL_CLUSTER_TOKEN", "SEALED"):
            if left.conf.get(name) != right.conf.get(name):
                yield Finding(right.path.name, f"has another {name} than {left.path.name}")
        if left.content(CA_CERTIFICATE) != right.content(CA_CERTIFICATE):
            yield Finding(right.path.name, f"has another CA than {left.path.name}")
    if len(found) - len(bundles) > 1:
        yield Finding(layout.BASE, "has more than one bundle in this change")
    hosts = [bundle.conf["HOST"] for bundle in bundles]
    for host in sorted({host for host in hosts if hosts.count(host) > 1}):
        yield Finding(host, "has more than one bundle in this change")
    for sentence in keys.shared(keys.matrix(bundles)):
        yield Finding("private keys", sentence)


def _images(folder: Path, sums: Sums, bundles: list[Bundle], *, whole: bool) -> Iterator[Finding]:
    """The file with the images of all bundles is there if they need it, and is theirs."""
    name, needed = layout.SHARED_IMAGES, shared_images.needed(bundles)
    if needed and name not in sums.files:
        yield Finding(name, f"is not in {layout.SUMS}, and {needed[0].path.name} has no images of its own")
    elif needed and os.path.lexists(folder / name):
        yield from shared_images.faults(folder / name, needed, whole=whole)
    elif name in sums.files and not needed:
        yield Finding(name, "is needed by no bundle")


def _recorded(folder: Path, sums: Sums, bundles: list[Bundle], *, finished: bool) -> Iterator[Finding]:
    """change.json says of every bundle what is in it. ``finished``: it would be signed by now."""
    if layout.RECORD not in sums.files:
        yield Finding(layout.RECORD, f"is not in {layout.SUMS}")
        return
    try:
        record = json.loads(small_file(folder / layout.RECORD))
        base = record.get("base")
        hosts = {host["bundle"]: host for host in [*record["hosts"], *([base] if base else [])]}
        images = record.get("images") or {"file": None}
        told = {images["file"]: images.get("sha256")} if images["file"] else {}
    except VerificationError as error:
        yield Finding(layout.RECORD, error.message)
        return
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        yield Finding(layout.RECORD, "cannot be understood")
        return
    if finished and record.get("signed") and not os.path.lexists(folder / layout.SIGNATURE):
        yield Finding(layout.SIGNATURE, f"is missing, though {layout.RECORD} says that the change is signed")
    if told != {name: sum_ for name, sum_ in sums.files.items() if name == layout.SHARED_IMAGES}:
        yield Finding(layout.SHARED_IMAGES, f"is not as {layout.RECORD} says")
    for name in sorted(hosts.keys() - sums.files.keys()):
        yield Finding(str(name), f"is missing, though {layout.RECORD} lists it")
    for bundle in bundles:
        if bundle.path.name not in hosts:
            yield Finding(bundle.path.name, f"is not in {layout.RECORD}")
            continue
        if (hosts[bundle.path.name] is base) != bundle.is_base:
            yield Finding(bundle.path.name, f"is of another kind than {layout.RECORD} says")
            continue
        wrong = sorted(_differing(record, hosts[bundle.path.name], bundle))
        if wrong:
            yield Finding(bundle.path.name, f"is not as {layout.RECORD} says: {', '.join(wrong)}")
        if bundle.is_base:
            continue
        if CA_KEY in bundle.destinations and record.get("caKeyHost") != bundle.conf["HOST"]:
            yield Finding(
                bundle.path.name, f"holds the CA's private key, which {layout.RECORD} does not give this host"
            )
        if CA_KEY not in bundle.destinations and record.get("caKeyHost") == bundle.conf["HOST"]:
            yield Finding(bundle.path.name, f"lacks the CA's private key, which {layout.RECORD} gives this host")


def _differing(record: Mapping[str, Any], host: Any, bundle: Bundle) -> Iterator[str]:
    if not isinstance(host, dict):
        yield "everything"
        return
    conf = bundle.conf
    pairs = {
        "cluster": (record.get("cluster"), conf["CLUSTER"]),
        "change": (record.get("change"), conf["CHANGE"]),
        "Kubernetes version": (record.get("kubernetesVersion"), conf["KUBERNETES_VERSION"]),
        "name": (host.get("name"), conf["HOST"]),
        "address": (host.get("address"), conf["ADDRESS"]),
        "size": (host.get("size"), bundle.size),
        "SHA-256": (host.get("sha256"), bundle.sha256),
        "payload digest": (host.get("payloadDigest"), bundle.digest),
    }
    if bundle.is_base:
        del pairs["name"], pairs["address"]
    yield from (what for what, (says, is_) in pairs.items() if says != is_)
    files = [(line.destination, f"{line.mode:04o}", line.owner, line.sha256) for line in bundle.manifest]
    names = ("path", "mode", "owner", "sha256")
    listed = host.get("files")
    if (
        not isinstance(listed, list)
        or [tuple(each.get(name) for name in names) if isinstance(each, dict) else None for each in listed] != files
    ):
        yield "files"
