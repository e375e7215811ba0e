"""Is the record of a change what follows from its bundles? It is made again from them, as ``build`` makes it, and with
it the documents that people read. What only the generator knows (what was asked for before, which receipts it has) is
taken from the record as it is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from bundlegen import layout
from bundlegen.bundle.facts import Position
from bundlegen.bundle.finished import Packed, Part, Shared
from bundlegen.bundle.member import Birth
from bundlegen.errors import UsageError, VerificationError
from bundlegen.pki.certinfo import CertInfo
from bundlegen.record import make, reading, schema
from bundlegen.record.schema import Change, Compared, Member
from bundlegen.system.files import file_sum, opened
from bundlegen.trust import certs, compare, documents, known, rotation
from bundlegen.trust.bundle import Bundle
from bundlegen.trust.finding import Finding
from bundlegen.trust.remade import Remade
from bundlegen.trust.small_file import small_file

DOCUMENTS: Final = (layout.RECORD, layout.RECORD_MARKDOWN, layout.RECORD_HTML, layout.RECORD_CALENDAR)
_VERSIONS: Final = ("bundlegen", "makeself", "python", "zlib")
_VERSION: Final = re.compile(r"[0-9A-Za-z.+~-]{1,40}", re.ASCII)
_PART: Final = r"(\.[0-9]{3})?(\.[A-Za-z0-9]{1,16})?"
_SHOWN: Final = 5
_BLOCK: Final = 1 << 20

Made = tuple[Bundle, Remade | None]
"""A bundle, and what it is if it is made again; None if that cannot be told."""


def faults(
    folder: Path,
    sums: Mapping[str, str],
    bundles: Sequence[Made],
    *,
    finished: bool,
    own: Change | None = None,
) -> Iterator[Finding]:
    """What is wrong with the record and the documents in ``folder``, and what else is listed there.

    ``sums``: what SHA256SUMS says, by name. ``finished``: it would be signed by now; otherwise the files have just been
    written. ``own``: the record that they were made of; if it is the one that follows, so are they.
    """
    yield from _strays(sums, bundles)
    if layout.RECORD not in sums:
        yield Finding(layout.RECORD, f"is not in {layout.SUMS}")
        return
    try:
        content = small_file(folder / layout.RECORD)
        given = Change.model_validate_json(content)
    except VerificationError as error:
        yield Finding(layout.RECORD, error.message.removeprefix(f"{layout.RECORD} "))
        return
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        yield Finding(layout.RECORD, f"cannot be understood: {where or 'the file'}: {first['msg']}")
        return
    if finished and given.signed and not os.path.lexists(folder / layout.SIGNATURE):
        yield Finding(layout.SIGNATURE, f"is missing, though {layout.RECORD} says that the change is signed")
    listed = [*(host.bundle for host in given.hosts), *([given.base.bundle] if given.base else [])]
    there = [bundle.path.name for bundle, _ in bundles]
    for name in sorted(set(listed) - sums.keys()):
        yield Finding(name, f"is missing, though {layout.RECORD} lists it")
    for name in sorted(set(there) - set(listed)):
        yield Finding(name, f"is not in {layout.RECORD}")
    made = [(bundle, remade) for bundle, remade in bundles if remade is not None]
    if renamed := [bundle for bundle, _ in bundles if bundle.path.name != layout.bundle_name(bundle.owner)]:
        for bundle in renamed:
            yield Finding(bundle.path.name, f"is not as {layout.RECORD} says: it is the bundle of {bundle.owner}")
        return
    if sorted(listed) != sorted(bundle.path.name for bundle, _ in made):
        return
    try:
        again = _again(folder, sums, made, given, finished=finished)
    except ValueError as error:
        yield Finding(layout.RECORD, str(error))
        return
    yield from (wrong := list(_differing(given, again)))
    yield from rotation.faults(folder, sums, [bundle for bundle, _ in made], given)
    if again != own:
        yield from documents.faults(folder, sums, again, None if wrong else content)
    if finished and (given.compared_with or given.differences) and again.compared_with is given.compared_with:
        sentence = "what it says of the change before is not proven: that one is not beside it"
        yield Finding(layout.RECORD, sentence, fatal=False)


def _strays(sums: Mapping[str, str], bundles: Sequence[Made]) -> Iterator[Finding]:
    """What is in no change: each file is a bundle, a part of one, the images of all, or one of the documents."""
    wholes = [*(bundle.path.name for bundle, _ in bundles), layout.SHARED_IMAGES]
    part = re.compile(f"(?:{'|'.join(map(re.escape, wholes))}){_PART}", re.ASCII)
    known = (*DOCUMENTS, layout.RECORD_ANNEX, *rotation.wanted([bundle for bundle, _ in bundles]))
    for name in sorted(sums):
        if name not in known and not name.endswith(layout.BUNDLE_SUFFIX) and not part.fullmatch(name):
            yield Finding(name, "is no file of a change")


def goes(conf: Mapping[str, str]) -> bool:
    """Whether the host of this bundle.conf is no member any more when its bundle has run."""
    return conf["HOST"] in conf["REMOVES"].split()


def _again(
    folder: Path, sums: Mapping[str, str], made: Sequence[tuple[Bundle, Remade]], given: Change, *, finished: bool
) -> Change:
    """The record that follows. Raises ValueError, in words that continue its name, where none does."""
    hosts = {bundle.conf["HOST"]: (bundle, remade) for bundle, remade in made if not bundle.is_base}
    ordered = [hosts[host.name] for host in given.hosts if host.name in hosts]
    if not ordered or len(ordered) != len(given.hosts):
        raise ValueError("names other hosts than its bundles do")
    first, remade = next(each for each in ordered if not goes(each[0].conf))
    members = [host.name for host in remade.cluster.hosts]
    if first.conf["OPERATION"] == layout.FIRST_CHANGE and [host.name for host in given.hosts] != members:
        raise ValueError("has other hosts than the specification, or has them in another order")
    base = next(((bundle, again) for bundle, again in made if bundle.is_base), None)
    again = make.change(
        remade.cluster,
        [
            _packed(folder, sums, *each, given=host.files, finished=finished)
            for each, host in zip(ordered, given.hosts, strict=True)
        ],
        rotation.cas(first, given),
        known.own_installer(),
        _versions(first, given),
        issued_at=max(datetime.fromtimestamp(int(bundle.conf["ISSUED_AT"]), UTC) for bundle, _ in ordered),
        setting=_setting(ordered, given),
        signed=given.signed,
        sealed=first.conf["SEALED"] == "yes",
        compared_with=_compared(folder, given) if finished else given.compared_with,
        base=None if base is None else _packed(folder, sums, *base, given=(), finished=finished),
        images=_shared(folder, sums, first, finished=finished),
    )
    return again.model_copy(update={"members_before": _members_before(first, given)})


def _setting(ordered: Sequence[tuple[Bundle, Remade]], given: Change) -> make.Setting:
    """Where the change stands, as its bundles say, and what only the generator knows of what was before."""
    conf = ordered[0][0].conf
    gone = next((remade.cluster for bundle, remade in ordered if goes(bundle.conf)), None)
    births = {each.name: Birth(each.initial_cluster, each.state) for each in given.members}
    births |= {
        bundle.conf["HOST"]: Birth(
            bundle.conf["INITIAL_CLUSTER"], "new" if bundle.conf["INITIAL_STATE"] == "new" else "existing"
        )
        for bundle, _ in ordered
    }
    begins = conf["OPERATION"] == layout.FIRST_CHANGE
    return make.Setting(
        change=conf["CHANGE"],
        number=int(conf["CHANGE_NUMBER"]),
        operation=conf["OPERATION"],
        after=None if begins else given.after,
        before=gone,
        births={} if begins else births,
        positions={
            bundle.conf["HOST"]: Position(after=bundle.conf["AFTER_CHANGE"], required=bundle.conf["REQUIRED_CHANGE"])
            for bundle, _ in ordered
        },
        ran=frozenset() if begins else frozenset(host.name for host in given.hosts if host.after_ran),
        differences=() if begins else given.differences,
        ca_round=schema.ca_round(conf["CA_ROUND"]),
        snapshot=conf["SNAPSHOT_SHA256"],
    )


def _members_before(first: Bundle, given: Change) -> tuple[Member, ...]:
    told = " ".join(f"{each.name}={each.address}" for each in given.members_before)
    if told != first.conf["MEMBERS_BEFORE"]:
        raise ValueError("names other members before the change than its bundles do")
    return given.members_before


def _versions(first: Bundle, given: Change) -> dict[str, str]:
    """What had a part in the bytes: makeself as the stub shows, the others as they are told."""
    if tuple(given.versions) != _VERSIONS or not all(_VERSION.fullmatch(each) for each in given.versions.values()):
        raise ValueError(f"has other versions than those of {', '.join(_VERSIONS)}")
    told = {name: given.versions[name] for name in _VERSIONS[1:]}
    return {**told, "makeself": known.stub_version(first) or told["makeself"]}


def _compared(folder: Path, given: Change) -> Compared | None:
    """Made again where the change before is beside this one; as it is told otherwise.

    A host that had no bundle in that change is compared with an earlier one, which is not looked for.
    """
    told = given.compared_with
    if told is None:
        return None
    wanted = told.sha256
    try:
        before = next(each for each in folder.absolute().parent.iterdir() if file_sum(each / layout.SUMS) == wanted)
        name = None if told.change is None else reading.change(before).change
        found = {host.name: host for host in compare.compare(before, folder).hosts}
    except (StopIteration, OSError, UsageError, VerificationError):
        return told
    hosts = tuple(found.get(host.name, host) for host in told.hosts)
    members = [[each.name for each in side] for side in (given.members_before, given.addresses)]
    gone, added = (tuple(name for name in members[i] if name not in members[1 - i]) for i in (0, 1))
    return compare.recorded(compare.Comparison(gone, added, hosts), change=name, sha256=wanted)


def _packed(
    folder: Path, sums: Mapping[str, str], bundle: Bundle, remade: Remade, *, given: Sequence[Any], finished: bool
) -> Packed:
    told = {file.path: file.size for file in given}
    entries = tuple(
        # How long a sealed key is, is known to within a block of the cipher.
        replace(each, size=_sealed_size(bundle, each.destination, told)) if each.destination in bundle.sealed else each
        for each in remade.plan.entries
    )
    certificates = {each.destination: _described(each.content) for each in entries if each.destination.endswith(".crt")}
    parts = _parts(folder, sums, bundle.path.name, bundle.sha256, finished=finished)
    return Packed(replace(remade.plan, entries=entries), bundle.size, bundle.sha256, certificates, parts)


def _described(pem: bytes | None) -> CertInfo:
    try:
        return certs.certificate(pem or b"").info
    except ValueError as error:
        raise ValueError(f"is about a certificate that is {error}") from error


def _sealed_size(bundle: Bundle, destination: str, told: Mapping[str, int]) -> int:
    longest = len(bundle.files[layout.sealed_path(destination)]) - 17
    return told.get(destination, 0) if longest - 15 <= told.get(destination, 0) <= longest else longest


def _shared(folder: Path, sums: Mapping[str, str], first: Bundle, *, finished: bool) -> Shared | None:
    name = first.conf["IMAGES_FILE"]
    if not name or name not in sums:
        return None
    parts = _parts(folder, sums, name, sums[name], finished=finished)
    return Shared(name, sum(image.size for image in first.images), sums[name], parts)


def _parts(folder: Path, sums: Mapping[str, str], whole: str, digest: str, *, finished: bool) -> tuple[Part, ...]:
    """The parts of a file that are listed, which are it when they are joined. Raises ValueError."""
    part = re.compile(re.escape(whole) + _PART, re.ASCII)
    names = sorted(name for name in sums if name.startswith(f"{whole}.") and part.fullmatch(name))
    found, joined = [], sha256()
    for name in names:
        try:
            with opened(folder / name) as stream:
                found.append(Part(name, os.fstat(stream.fileno()).st_size, sums[name]))
                while finished and (block := stream.read(_BLOCK)):
                    joined.update(block)
        except OSError as error:
            raise ValueError(f"speaks of {name}, which cannot be read: {error.strerror}") from error
    if names and finished and joined.hexdigest() != digest:
        raise ValueError(f"speaks of parts of {whole} that are not what it is made of")
    return tuple(found)


def _differing(given: Change, again: Change) -> Iterator[Finding]:
    """In what the record is another: of a bundle under the bundle's name, of the change under its own."""
    says, follows = given.data(), again.data()
    for told, real in zip(says.pop("hosts"), follows.pop("hosts"), strict=True):
        if wrong := [path for path, _, _ in _paths(told, real)]:
            yield Finding(real["bundle"], f"is not as {layout.RECORD} says: {_some(wrong)}")
    wrong = [f"{path} is {_text(new)}, not {_text(old)}" for path, old, new in _paths(says, follows)]
    if wrong:
        yield Finding(layout.RECORD, f"says otherwise than the bundles: {_some(wrong)}")


def _paths(old: Any, new: Any, at: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every value that differs, with its path."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            yield from _paths(old.get(key), new.get(key), f"{at}.{key}" if at else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _paths(one, other, f"{at}[{number}]")
    elif old != new:
        yield at, old, new


def _some(found: list[str]) -> str:
    more = f", and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more


def _text(value: Any) -> str:
    return repr(value)[:80] if isinstance(value, str | int | None) else "another list"
