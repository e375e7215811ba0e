"""Is one bundle what it should be? Every check says what is wrong in one sentence of its own. Reads no disk."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from bundlegen import layout
from bundlegen.bundle import conf
from bundlegen.pki.compare import signed_by
from bundlegen.pki.issue import CURVES, RSA_BITS
from bundlegen.system.text import stamp
from bundlegen.trust import certs, expect, known
from bundlegen.trust.bundle import Bundle
from bundlegen.trust.expect import CA_CERTIFICATE, CA_KEY, Identity, Wanted

_ALGORITHMS = (*RSA_BITS, *CURVES)


def faults(bundle: Bundle, at: datetime) -> Iterator[str]:
    """Sentences: what is wrong with the bundle by itself, at the moment ``at``."""
    if fault := known.stub_fault(bundle):
        yield fault
    yield from _installer(bundle)
    if wrong := list(conf.faults(bundle.conf)):
        yield from wrong
        return
    try:
        who = None if bundle.is_base else expect.identity(bundle)
    except ValueError as error:
        yield str(error)
        return
    state = layout.BASE_DIR if who is None else layout.state_dir(bundle.conf["CLUSTER"])
    for key, value in {**conf.FIXED, "STATE_DIR": state}.items():
        if bundle.conf.get(key) != value:
            yield f"{layout.CONF} has another {key} than {value}"
    yield from _files(bundle)
    if who is not None:
        yield from _pki(bundle, who, at)
    yield from _strays(bundle)


def _installer(bundle: Bundle) -> Iterator[str]:
    digest = known.digest(bundle, layout.INSTALLER)
    version = known.installer_version(digest)
    says = bundle.conf["BUNDLEGEN_VERSION"]
    if not version:
        yield f"{layout.INSTALLER} is not the one of any bundlegen known here (the bundle says {says})"
    elif version != says:
        yield f"{layout.INSTALLER} is that of bundlegen {version}, and the bundle says it was made by {says}"
    image = known.digest(bundle, layout.IMAGE_SCRIPT)
    if not image and digest == known.own_installer() and not expect.is_member(bundle):
        yield f"{layout.IMAGE_SCRIPT} is missing"
    elif image and image != known.own_image_script():
        yield f"{layout.IMAGE_SCRIPT} is not the one of this bundlegen"


def _files(bundle: Bundle) -> Iterator[str]:
    """Exactly the files, modes and owners that the catalogue gives this host."""
    wanted = expect.files(bundle)
    for missing in sorted(wanted.keys() - bundle.destinations):
        yield f"{missing or 'kubelet configuration'} is missing"
    sealed = {layout.sealed_path(name) for name in bundle.sealed}
    allowed = wanted | dict.fromkeys(sealed, layout.MODE_SECRET) | {layout.IMAGE_SCRIPT: layout.MODE_PLAIN}
    if not bundle.is_base:
        allowed[CA_KEY] = layout.MODE_KEY
    whose = "for images" if bundle.is_base else "of this host"
    for line in bundle.manifest:
        name = line.destination
        mode = layout.MODE_PLAIN if name.startswith(f"{layout.IMAGES}/") else allowed.get(name)
        if mode is None:
            kind = "a private key" if _looks_secret(bundle, name) else "a file"
            yield f"holds {kind} that a bundle {whose} does not have: {name}"
        elif line.mode != mode:
            if line.mode & 0o077 and mode & 0o077 == 0 and name.endswith(".key"):
                yield f"{name} would be readable by others on the host: mode {line.mode:04o}, not {mode:04o}"
            else:
                yield f"{name} has mode {line.mode:04o}, not {mode:04o}"
        if line.owner != layout.OWNER:
            yield f"{name} would belong to {line.owner}, not {layout.OWNER}"
        unsealed = name.startswith("/") and name.endswith(".key") and name not in bundle.sealed
        if unsealed and bundle.conf["SEALED"] == "yes":
            yield f"{name} is not sealed, though the bundle says that its keys are"


def _looks_secret(bundle: Bundle, name: str) -> bool:
    return name.endswith(".key") or b"PRIVATE KEY" in (bundle.content(name) or b"")


def _strays(bundle: Bundle) -> Iterator[str]:
    """No private key outside the files for private keys."""
    for name, content in sorted(bundle.files.items()):
        if b"PRIVATE KEY-----" in content and (bundle.is_base or not name.endswith(".key")):
            yield f"{name} holds a private key, which does not belong there"


def _pki(bundle: Bundle, who: Identity, at: datetime) -> Iterator[str]:
    found: dict[str, certs.Certificate] = {}
    for path in sorted(name for name in expect.files(bundle) if name.endswith(".crt") and name in bundle.destinations):
        try:
            found[path] = certs.certificate(bundle.content(path) or b"")
        except ValueError as error:
            yield f"{path} is {error}"
            continue
        if not found[path].alone:
            yield f"{path} holds more than one certificate, or something else"
    ca = found.get(CA_CERTIFICATE)
    if ca is not None:
        yield from _ca(ca)
        yield from _dates(CA_CERTIFICATE, ca, at)
        if CA_KEY in bundle.destinations:
            yield from _key(bundle, CA_KEY, ca)
    for wanted in expect.leaves(who):
        leaf = found.get(wanted.path)
        if leaf is not None:
            yield from _leaf(wanted, leaf, ca)
            yield from _dates(wanted.path, leaf, at)
            yield from _key(bundle, wanted.key_path, leaf)
    if found:
        yield from _window(bundle, found.values())


def _ca(ca: certs.Certificate) -> Iterator[str]:
    if not ca.info.is_ca:
        yield f"{CA_CERTIFICATE} is not a certificate of an authority"


def _leaf(wanted: Wanted, leaf: certs.Certificate, ca: certs.Certificate | None) -> Iterator[str]:
    path, info = wanted.path, leaf.info
    if ca is not None and not signed_by(leaf.x509, ca.x509):
        yield f"{path} is not signed by the CA in this bundle"
    if info.is_ca:
        yield f"{path} is a certificate of an authority"
    if info.subject != wanted.subject:
        yield f"{path} is for {info.subject}, not {wanted.subject}"
    if info.usages != wanted.spec.usages:
        yield f"{path} is for {_listed(info.usages)}, not {_listed(wanted.spec.usages)}"
    if set(info.sans) != set(wanted.sans) or len(info.sans) != len(wanted.sans):
        yield f"{path} is for the names {_listed(info.sans)}; this host's are {_listed(wanted.sans)}"
    if info.algorithm not in _ALGORITHMS:
        yield f"{path} has a kind of key that bundlegen does not make: {info.algorithm}"


def _listed(items: tuple[str, ...]) -> str:
    return ", ".join(items) or "none"


def _dates(path: str, certificate: certs.Certificate, at: datetime) -> Iterator[str]:
    info = certificate.info
    if at > info.not_after:
        yield f"{path} expired on {stamp(info.not_after)}, before {stamp(at)}"
    elif at < info.not_before:
        yield f"{path} is not valid before {stamp(info.not_before)}, after {stamp(at)}"


def _key(bundle: Bundle, path: str, certificate: certs.Certificate) -> Iterator[str]:
    content = bundle.content(path)
    if path in bundle.sealed or content is None:
        return
    try:
        fingerprint = certs.key_fingerprint(content)
    except ValueError as error:
        yield f"{path} is {error}"
        return
    if fingerprint != certificate.key_fingerprint:
        yield f"{path} is not the key of the certificate beside it"


def _window(bundle: Bundle, found: Collection[certs.Certificate]) -> Iterator[str]:
    start = max(each.info.not_before for each in found)
    end = min(each.info.not_after for each in found)
    if (bundle.conf.get("NOT_BEFORE"), bundle.conf.get("NOT_AFTER")) != (
        str(int(start.timestamp())),
        str(int(end.timestamp())),
    ):
        yield f"{layout.CONF} names another period of validity than its certificates have"
