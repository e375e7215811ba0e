"""Is a change folder what it should be? Whole files first, then each bundle, then all of them together."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from bundlegen import layout
from bundlegen.errors import VerificationError
from bundlegen.record.schema import Change
from bundlegen.spec import canonical
from bundlegen.spec.model import Host
from bundlegen.system.files import file_sum
from bundlegen.trust import check_bundle, check_record, keys, shared_images
from bundlegen.trust.bundle import Bundle, read
from bundlegen.trust.check_bundle import Examined
from bundlegen.trust.finding import Finding
from bundlegen.trust.remade import CA_CERTIFICATE, Remade
from bundlegen.trust.small_file import small_file

_SUM_LINE: Final = re.compile(r"([0-9a-f]{64})  ((?:control-plane/)?[A-Za-z0-9_+@][A-Za-z0-9._+@-]*)", re.ASCII)
_FILES_MAX: Final = 100_000
UNSUMMED: Final = (layout.SUMS, layout.SIGNATURE)


@dataclass(frozen=True)
class Sums:
    """SHA256SUMS: its bytes, and the sum of each file by name."""

    content: bytes
    files: Mapping[str, str]


def faults(
    folder: Path,
    at: datetime,
    *,
    sums: Sums | None = None,
    written: Mapping[str, str] | None = None,
    made: Change | None = None,
) -> Iterator[Finding]:
    """What is wrong with the change folder at the moment ``at``, its signature apart.

    ``sums``: its SHA256SUMS from a caller that has read it: what was signed is what is used. ``written``: sums by file
    name from a caller that has just written the files; they are not hashed again. ``made``: the record that this caller
    has made the documents of. Raises VerificationError if there is no SHA256SUMS.
    """
    sums = sums or read_sums(folder / layout.SUMS)
    yield from _covered(folder, sums)
    bundles: list[Bundle] = []
    remade: list[Remade | None] = []
    hosts: dict[Host, Host] = {}
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
            examined = check_bundle.examine(bundle)
            bundles.append(bundle.beside(bundles[0]) if bundles else bundle)
            # What follows from a bundle that is none says nothing more.
            made_again = None if examined.faults else examined.made
            remade.append(made_again and made_again.sharing(hosts))
            yield from bundle_faults(bundle, examined, at)
    if not any(name.endswith(layout.BUNDLE_SUFFIX) for name in sums.files):
        yield Finding(str(folder), "holds no bundle")
    again = list(zip(bundles, remade, strict=True))
    yield from _together(bundles)
    yield from _of_one_specification(again)
    yield from _images(folder, sums, bundles, whole=written is None)
    yield from check_record.faults(folder, sums.files, again, finished=written is None, own=made)


def bundle_faults(bundle: Bundle, examined: Examined, at: datetime) -> Iterator[Finding]:
    """What is wrong with a bundle by itself."""
    for sentence in (*examined.faults, *check_bundle.dates(bundle, at)):
        yield Finding(bundle.path.name, sentence)
    if bundle.path.name != layout.bundle_name(bundle.owner):
        whose = "for images" if bundle.is_base else f"of {bundle.owner}"
        yield Finding(bundle.path.name, f"is the bundle {whose} under another name", fatal=False)
    if bundle.mode & 0o077 and bundle.conf["SEALED"] != "yes" and not bundle.is_base:
        mode = f"{bundle.mode:04o}"
        yield Finding(bundle.path.name, f"holds private keys and can be read by others here (mode {mode})", fatal=False)


def read_sums(path: Path) -> Sums:
    """SHA256SUMS at ``path``. Raises VerificationError if it is missing or anything but sums and plain names."""
    content = small_file(path)
    files: dict[str, str] = {}
    for line in content.decode("utf-8", "replace").removesuffix("\n").split("\n"):
        match = _SUM_LINE.fullmatch(line)
        if match is None or match[2] in files or match[2] in UNSUMMED:
            raise VerificationError(f"{path.name} holds a line that is not a SHA-256 and a file's name")
        files[match[2]] = match[1]
    return Sums(content, files)


def _covered(folder: Path, sums: Sums) -> Iterator[Finding]:
    with os.scandir(folder) as found:
        for count, each in enumerate(found):
            if count > _FILES_MAX:
                yield Finding(str(folder), "holds more files than any change")
                return
            if each.name == layout.CONTROL_PLANE and each.is_dir(follow_symlinks=False):
                yield from (Finding(name, f"is not in {layout.SUMS}") for name in _inside(folder) - sums.files.keys())
            elif each.name not in sums.files and each.name not in UNSUMMED:
                yield Finding(each.name, f"is not in {layout.SUMS}")
            elif each.is_symlink():
                yield Finding(each.name, "is a symbolic link")


def _inside(folder: Path) -> set[str]:
    return {f"{layout.CONTROL_PLANE}/{path.name}" for path in (folder / layout.CONTROL_PLANE).iterdir()}


def _together(found: list[Bundle]) -> Iterator[Finding]:
    """Of one cluster and change, one bundle a host, no key in two of them."""
    for left, right in pairwise(found):
        for name in ("CLUSTER", "CHANGE", "KUBERNETES_VERSION"):
            if left.conf.get(name) != right.conf.get(name):
                yield Finding(right.path.name, f"has another {name} than {left.path.name}")
    bundles = [bundle for bundle in found if not bundle.is_base]
    for left, right in pairwise(bundles):
        if _members_after(left) != _members_after(right):
            yield Finding(right.path.name, f"has another MEMBERS than {left.path.name}")
        for name in ("INITIAL_CLUSTER_TOKEN", "SEALED"):
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


def _without_going(found: dict[str, Any], expected: Mapping[str, Any]) -> dict[str, Any]:
    """The specification of before without the hosts that leave, and with what follows from that."""
    stay = {each["name"] for each in expected["hosts"]}
    pki = {**found["pki"], "caKeyHost": expected["pki"]["caKeyHost"]}
    return {**found, "pki": pki, "hosts": [each for each in found["hosts"] if each["name"] in stay]}


def _members_after(bundle: Bundle) -> list[str]:
    """The members when the change is done; the bundle of one that leaves knows them as of before."""
    gone = bundle.conf["REMOVES"].split()
    return [each for each in bundle.conf["MEMBERS"].split() if each.partition("=")[0] not in gone]


def _of_one_specification(made: Sequence[check_record.Made]) -> Iterator[Finding]:
    """All bundles are made from the same, what belongs to one host apart."""
    known = [(bundle, each.cluster) for bundle, each in made if each is not None]
    hosts = [(bundle, cluster) for bundle, cluster in known if not bundle.is_base]
    if not hosts:
        return
    first, cluster = next((each for each in hosts if not check_record.goes(each[0].conf)), hosts[0])
    expected = canonical.for_host(canonical.tree(cluster), "")
    for bundle, other in hosts:
        found = canonical.for_host(canonical.tree(other), "")
        if check_record.goes(bundle.conf):
            found = _without_going(found, expected)
        if found != expected:
            yield Finding(bundle.path.name, f"is made from another specification than {first.path.name}")
    for base, other in known:
        if base.is_base and _demanding(canonical.for_base(canonical.tree(other)), expected) != (
            canonical.for_base(expected)
        ):
            yield Finding(base.path.name, f"is made from another specification than {first.path.name}")


def _demanding(found: dict[str, Any], expected: Mapping[str, Any]) -> dict[str, Any]:
    """The specification of images, without the signature that they demand and hosts do not (``--require-signer``)."""
    return found if "trust" in expected else {field: value for field, value in found.items() if field != "trust"}


def _images(folder: Path, sums: Sums, bundles: list[Bundle], *, whole: bool) -> Iterator[Finding]:
    """The file with the images of all bundles is there if they need it, and is theirs."""
    name, needed = layout.SHARED_IMAGES, shared_images.needed(bundles)
    if needed and name not in sums.files:
        yield Finding(name, f"is not in {layout.SUMS}, and {needed[0].path.name} has no images of its own")
    elif needed and os.path.lexists(folder / name):
        yield from shared_images.faults(folder / name, needed, whole=whole)
    elif name in sums.files and not needed:
        yield Finding(name, "is needed by no bundle")
