"""Is one bundle what it should be? Every check says what is wrong in one sentence of its own. Reads no disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from bundlegen import __version__, layout
from bundlegen.bundle import conf
from bundlegen.bundle.entry import Entry
from bundlegen.pki import catalog
from bundlegen.pki.compare import differences, is_cross
from bundlegen.pki.issue import algorithm_of
from bundlegen.system.text import stamp
from bundlegen.trust import certs, known
from bundlegen.trust.bundle import Bundle, ManifestLine, told
from bundlegen.trust.remade import CA_CERTIFICATE, CA_KEY, Remade, remake

_SHOWN: Final = 5
_SEALED_START: Final = b"Salted__"
_SEALED_BLOCK: Final = 16
_SEALED_MAX: Final = 16 << 10


@dataclass(frozen=True)
class Examined:
    """A bundle as bundlegen would make it, if it can be told, and in what it is not that: sentences."""

    made: Remade | None
    faults: tuple[str, ...]


def examine(bundle: Bundle) -> Examined:
    """The bundle made again, and compared: whether bundlegen makes it so, whatever day it is."""
    wrong = list(_known_parts(bundle))
    if unprovable := _unprovable(bundle):
        return Examined(None, (*wrong, *unprovable))
    try:
        made = remake(bundle)
    except ValueError as error:
        return Examined(None, (*wrong, str(error)))
    for found in (_files(bundle, made), _images(bundle), _pki(bundle, made), _strays(bundle)):
        wrong += found
    return Examined(made, tuple(wrong))


def _known_parts(bundle: Bundle) -> Iterator[str]:
    """What is known by its sum alone."""
    if fault := known.stub_fault(bundle):
        yield fault
    yield from _installer(bundle)


def _unprovable(bundle: Bundle) -> list[str]:
    """Why the bundle cannot be made again."""
    says = bundle.conf["BUNDLEGEN_VERSION"]
    if wrong := list(conf.faults(bundle.conf)):
        return wrong
    if says == __version__:
        return []
    return [f"was made by bundlegen {says}, which alone can prove its files: use that one, this is {__version__}"]


def _installer(bundle: Bundle) -> Iterator[str]:
    digest = known.digest(bundle, layout.INSTALLER)
    version = known.installer_version(digest)
    says = bundle.conf["BUNDLEGEN_VERSION"]
    if not version:
        yield f"{layout.INSTALLER} is not the one of any bundlegen known here (the bundle says {says})"
    elif version != says:
        yield f"{layout.INSTALLER} is that of bundlegen {version}, and the bundle says it was made by {says}"


def _files(bundle: Bundle, made: Remade) -> Iterator[str]:
    """Just the files that this host has, with their modes, owners and bytes."""
    wanted = {entry.destination: entry for entry in made.plan.entries}
    for missing in sorted(wanted.keys() - bundle.destinations):
        yield f"{missing} is missing"
    whose = "for images" if bundle.is_base else "of this host"
    for line in bundle.manifest:
        entry = wanted.get(line.destination)
        if entry is None:
            kind = "a private key" if _looks_secret(bundle, line.destination) else "a file"
            yield f"holds {kind} that a bundle {whose} does not have: {line.destination}"
        else:
            yield from _file(bundle, line, entry)


def _file(bundle: Bundle, line: ManifestLine, entry: Entry) -> Iterator[str]:
    name = line.destination
    if line.mode != entry.mode:
        if line.mode & 0o077 and entry.mode & 0o077 == 0 and name.endswith(".key"):
            yield f"{name} would be readable by others on the host: mode {line.mode:04o}, not {entry.mode:04o}"
        else:
            yield f"{name} has mode {line.mode:04o}, not {entry.mode:04o}"
    if line.owner != layout.OWNER:
        yield f"{name} would belong to {line.owner}, not {layout.OWNER}"
    if entry.private and (bundle.conf["SEALED"] == "yes") != (name in bundle.sealed):
        yield f"{name} is not sealed, though the bundle says that its keys are"
    if line.sha256 != entry.sha256 and name != layout.INSTALLER:
        yield from _conf(bundle, entry) if name == layout.CONF else [_other(name)]


def _other(name: str) -> str:
    if name == layout.IMAGE_SCRIPT:
        return f"{name} is not the one of this bundlegen"
    if name == layout.IMAGE_LIST:
        return f"{name} does not say what is in the image archives"
    return f"{name} is not what bundlegen {__version__} makes of the {layout.SPECIFICATION} in this bundle"


def _conf(bundle: Bundle, entry: Entry) -> Iterator[str]:
    """Which keys of bundle.conf are not as they follow, or that it is not written as it is."""
    again = told(entry.content or b"")
    differing = [key for key, value in again.items() if bundle.conf[key] != value]
    for key in differing[:_SHOWN]:
        yield f"{layout.CONF} has {key}={bundle.conf[key][:80]!r}, and {again[key][:80]!r} follows from what it holds"
    if len(differing) > _SHOWN:
        yield f"{layout.CONF} differs in {len(differing) - _SHOWN} more keys"
    if not differing:
        yield f"{layout.CONF} is not written as bundlegen {__version__} writes it"


def _looks_secret(bundle: Bundle, name: str) -> bool:
    return name.endswith(".key") or b"PRIVATE KEY" in (bundle.content(name) or b"")


def _strays(bundle: Bundle) -> Iterator[str]:
    """No private key outside the files for private keys."""
    for name, content in sorted(bundle.files.items()):
        if b"PRIVATE KEY-----" in content and (bundle.is_base or not name.endswith(".key")):
            yield f"{name} holds a private key, which does not belong there"


def _images(bundle: Bundle) -> Iterator[str]:
    yield from (f"{layout.IMAGES}/{name} {why}" for name, why in sorted(bundle.looked.items()) if isinstance(why, str))


def _pki(bundle: Bundle, made: Remade) -> Iterator[str]:
    found: dict[str, certs.Certificate] = {}
    for path in sorted(entry.destination for entry in made.plan.entries if entry.destination.endswith(".crt")):
        if path not in bundle.destinations:
            continue
        try:
            found[path] = certs.certificate(bundle.content(path) or b"")
        except ValueError as error:
            yield f"{path} is {error}"
            continue
        if not found[path].pure:
            yield f"{path} holds something else than certificates"
    ca = found.get(CA_CERTIFICATE)
    yield from (f"{path} {wrong}" for path, each in found.items() for wrong in _following(each, ca, bundle))
    if ca is not None:
        turning = any(each.chain and not is_cross(each.chain[0], ca.x509) for each in found.values())
        yield from (f"{CA_CERTIFICATE} {wrong}" for wrong in _ca(ca, made, turning=turning))
        if CA_KEY in bundle.destinations:
            yield from _key(bundle, CA_KEY, ca)
    for request in made.requests:
        path = layout.pki_path(f"{request.base_name}.crt")
        if path in found:
            if ca is not None:
                issuer = found[path].chain[0] if found[path].chain else ca.x509
                yield from (f"{path} {wrong}" for wrong in differences(request, found[path].x509, issuer))
            yield from _key(bundle, layout.pki_path(f"{request.base_name}.key"), found[path])


def _following(each: certs.Certificate, ca: certs.Certificate | None, bundle: Bundle) -> Iterator[str]:
    """What follows a certificate in its file: nothing, or the cross certificate of the CA that signed it."""
    if each is ca:
        if each.chain:
            yield "holds more than one certificate"
    elif ca is not None and each.chain and not each.followed_by(ca.x509):
        yield "is followed by a certificate that does not lead to this bundle's CA"
    elif bundle.conf["CA_ROUND"] == "1" and not each.chain:
        yield "is not followed by the cross certificate, without which members that trust the old CA would refuse it"


def _ca(ca: certs.Certificate, made: Remade, *, turning: bool) -> Iterator[str]:
    """What is wrong with the CA; of one that was brought along, no more is known than that it is one.

    ``turning``: hosts are on their way to another CA, and the specification tells of that one.
    """
    pin = made.cluster.pki.ca_fingerprint
    if pin is not None and ca.info.fingerprint != pin:
        yield f"is not the CA that {layout.SPECIFICATION} demands"
    if not ca.info.is_ca:
        yield "is not a certificate of an authority"
    elif made.cluster.pki.ca_files is None and not turning:
        # The store's CA stays where pki.encryptionAlgorithm changes.
        algorithm = algorithm_of(ca.x509.public_key()) or "none"
        yield from differences(replace(catalog.ca_request(made.cluster), algorithm=algorithm), ca.x509, None)


def _key(bundle: Bundle, path: str, certificate: certs.Certificate) -> Iterator[str]:
    if path in bundle.sealed:
        box = bundle.files[layout.sealed_path(path)]
        whole = len(box) % _SEALED_BLOCK == 0 and 2 * _SEALED_BLOCK <= len(box) <= _SEALED_MAX
        if not box.startswith(_SEALED_START) or not whole:
            yield f"{layout.sealed_path(path)} is not a sealed key"
        return
    content = bundle.content(path)
    if content is None:
        return
    try:
        fingerprint = certs.key_fingerprint(content)
    except ValueError as error:
        yield f"{path} is {error}"
        return
    if fingerprint != certificate.key_fingerprint:
        yield f"{path} is not the key of the certificate beside it"


def dates(bundle: Bundle, at: datetime) -> Iterator[str]:
    """Sentences: the certificates that can be read and are not valid at that moment."""
    for line in bundle.manifest:
        if not (line.destination.startswith("/") and line.destination.endswith(".crt")):
            continue
        try:
            info = certs.certificate(bundle.content(line.destination) or b"").info
        except ValueError:
            continue
        if at > info.not_after:
            yield f"{line.destination} expired on {stamp(info.not_after)}, before {stamp(at)}"
        elif at < info.not_before:
            yield f"{line.destination} is not valid before {stamp(info.not_before)}, after {stamp(at)}"
