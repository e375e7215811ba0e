"""``bundlegen diff``: what changes on a host, in words, from one bundle to another. Pure; shows no secret.

Keys appear only as "new key"; the initial cluster token, which guards data rather than keeps a secret, by its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bundlegen import layout
from bundlegen.bundle import conf
from bundlegen.errors import VerificationError
from bundlegen.pki import catalog
from bundlegen.system.text import stamp
from bundlegen.trust import certs
from bundlegen.trust.bundle import Bundle
from bundlegen.trust.flat import flat

_FLAGS: Final = "ClusterConfiguration.etcd.local.extraArgs."
_COMMAND: Final = "Pod.spec.containers.0.command."
_KINDS: Final = ("InitConfiguration", "ClusterConfiguration", "KubeletConfiguration", "Pod")
_NOTHING: Final = "(none)"


@dataclass(frozen=True, order=True)
class Difference:
    """One thing that is different: what, and its value before and after; empty where there was or will be none."""

    what: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.what}: {self.old or _NOTHING} -> {self.new or _NOTHING}"


@dataclass(frozen=True)
class ComparedHost:
    """Everything that changes on one host, and what has to be restarted for it."""

    host: str
    changes: tuple[Difference, ...]
    restarts: tuple[str, ...]


def between(old: Bundle, new: Bundle) -> ComparedHost:
    """What changes where ``new`` is installed after ``old``. Raises VerificationError for what cannot be read."""
    changes = (
        *_facts(old.conf, new.conf),
        *_members(old.conf, new.conf),
        *_certificates(old, new),
        *_texts(old, new),
        *_files(old, new),
        *_shared_images(old, new),
    )
    return ComparedHost(new.owner, changes, _restarts(old, new))


def _facts(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Difference]:
    for key, what in conf.TOLD.items():
        if old.get(key, "") != new.get(key, ""):
            yield Difference(what, old.get(key, ""), new.get(key, ""))


def _members(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Difference]:
    before, after = (dict(_pair(each) for each in conf["MEMBERS"].split()) for conf in (old, new))
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield Difference(f"member {name}", before.get(name, ""), after.get(name, ""))
    if before == after and old["MEMBERS"] != new["MEMBERS"]:
        yield Difference("order of members", " ".join(before), " ".join(after))


def _pair(text: str) -> tuple[str, str]:
    name, _, address = text.partition("=")
    return name, address


def _certificates(old: Bundle, new: Bundle) -> Iterator[Difference]:
    for spec in catalog.CATALOG:
        path = layout.pki_path(f"{spec.base_name}.crt")
        before, after = _certificate(old, path), _certificate(new, path)
        if before == after:
            continue
        name = f"certificate {spec.name}"
        if before is None or after is None:
            yield Difference(name, "there" if before else "", "there" if after else "")
            continue
        pairs = {
            "subject": (before.info.subject, after.info.subject),
            "names": (" ".join(before.info.sans), " ".join(after.info.sans)),
            "usages": (" ".join(before.info.usages), " ".join(after.info.usages)),
            "key algorithm": (before.info.algorithm, after.info.algorithm),
            "issuer": (before.info.issuer, after.info.issuer),
            "valid from": (stamp(before.info.not_before), stamp(after.info.not_before)),
            "expiry": (stamp(before.info.not_after), stamp(after.info.not_after)),
        }
        yield Difference(name, f"serial {before.info.serial}", f"serial {after.info.serial}")
        for what, (was, is_) in pairs.items():
            if was != is_:
                yield Difference(f"{name}, {what}", was, is_)
        if before.key_fingerprint != after.key_fingerprint:
            yield Difference(f"{name}, key", before.key_fingerprint[:16], after.key_fingerprint[:16])


def _certificate(bundle: Bundle, path: str) -> certs.Certificate | None:
    if path not in bundle.destinations:
        return None
    try:
        return certs.certificate(bundle.content(path) or b"")
    except ValueError as error:
        raise VerificationError(f"{bundle.path}: {path} is {error}") from error


def _texts(old: Bundle, new: Bundle) -> Iterator[Difference]:
    """kubeadm's configuration, kubelet's, the static Pod: value by value; the drop-in: line by line."""
    documents = (
        ("kubeadm", layout.KUBEADM_CONFIG, layout.KUBEADM_CONFIG),
        ("kubelet", old.conf.get("KUBELET_CONFIG", ""), new.conf.get("KUBELET_CONFIG", "")),
        ("static Pod", layout.STATIC_POD_MANIFEST, layout.STATIC_POD_MANIFEST),
    )
    for what, before, after in documents:
        was, is_ = _values(old, before), _values(new, after)
        if what == "static Pod" and not (was and is_):
            # It comes or goes as a whole, and is not what made etcd's flags before.
            continue
        for name in sorted(was.keys() | is_.keys()):
            told = name.startswith(_FLAGS) and all(
                layout.STATIC_POD_MANIFEST in each.destinations for each in (old, new)
            )
            if was.get(name) != is_.get(name) and not told:
                yield Difference(_named(what, name), was.get(name, ""), is_.get(name, ""))
    was_lines, is_lines = (_lines(bundle, layout.KUBELET_DROPIN) for bundle in (old, new))
    for line in was_lines:
        if line not in is_lines:
            yield Difference("kubelet drop-in", line, "")
    for line in is_lines:
        if line not in was_lines:
            yield Difference("kubelet drop-in", "", line)


def _named(what: str, name: str) -> str:
    if name.startswith(_FLAGS):
        return f"etcd flag --{name.removeprefix(_FLAGS)}"
    if name.startswith(_COMMAND):
        return f"etcd flag {name.removeprefix(_COMMAND)}"
    kind, _, rest = name.partition(".")
    return f"{what} {rest if kind in _KINDS and rest else name}"


def _values(bundle: Bundle, destination: str) -> dict[str, str]:
    content = bundle.content(destination)
    if content is None:
        return {}
    try:
        values = flat(content)
    except ValueError as error:
        raise VerificationError(f"{bundle.path}: {destination} is {error}") from error
    return dict(_command(name, value) for name, value in values.items())


def _command(name: str, value: str) -> tuple[str, str]:
    """etcd's flags in the static Pod by their names instead of their places."""
    if name.startswith(_COMMAND) and value.startswith("--"):
        flag, _, text = value.partition("=")
        return f"{_COMMAND}{flag}", text
    return name, value


def _lines(bundle: Bundle, destination: str) -> list[str]:
    text = (bundle.content(destination) or b"").decode("utf-8", "replace")
    return [line for line in text.split("\n") if line and not line.startswith("#")]


def _files(old: Bundle, new: Bundle) -> Iterator[Difference]:
    """Files that come, go, or change their mode or owner; images, the installer and the health command as well."""
    before, after = ({line.destination: line for line in bundle.manifest} for bundle in (old, new))
    moved = {bundle.conf.get("KUBELET_CONFIG") for bundle in (old, new)} if _moved(old, new) else set()
    for name in sorted((before.keys() | after.keys()) - moved):
        was, is_ = before.get(name), after.get(name)
        if name.startswith(f"{layout.SEALED}/") or name == layout.IMAGE_PIECES:
            continue
        if was is None or is_ is None:
            yield Difference(f"file {name}", "there" if was else "", "there" if is_ else "")
        elif (was.mode, was.owner) != (is_.mode, is_.owner):
            yield Difference(f"file {name}", f"{was.mode:04o} {was.owner}", f"{is_.mode:04o} {is_.owner}")
        elif was.sha256 != is_.sha256 and (name in _WHOLE or name.startswith(f"{layout.IMAGES}/")):
            yield Difference(f"file {name}", was.sha256[:16], is_.sha256[:16])


def _shared_images(old: Bundle, new: Bundle) -> Iterator[Difference]:
    """Of images beside the bundle only their compressed bytes are known."""
    before, after = (
        {image.archive: image.sha256 for image in bundle.images if bundle.conf["IMAGES_FILE"]} for bundle in (old, new)
    )
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield Difference(f"image {name}, compressed", before.get(name, "")[:16], after.get(name, "")[:16])


_WHOLE: Final = (
    layout.INSTALLER,
    layout.HEALTH_COMMAND,
    layout.HEALTH_SERVICE,
    layout.HEALTH_TIMER,
    layout.FIRSTBOOT_SERVICE,
    layout.FIRSTBOOT_CONF,
)


def _moved(old: Bundle, new: Bundle) -> bool:
    return old.conf.get("KUBELET_CONFIG") != new.conf.get("KUBELET_CONFIG")


def _restarts(old: Bundle, new: Bundle) -> tuple[str, ...]:
    """As the installer decides: the kubelet for its own files, etcd for its static Pod and its CA.

    Other certificates are read anew with every connection.
    """
    if new.is_base:
        return ()
    restarts = []
    if _moved(old, new) or any(
        old.content(name) != new.content(name) for name in (new.conf.get("KUBELET_CONFIG", ""), layout.KUBELET_DROPIN)
    ):
        restarts.append("kubelet")
    rendered = new.conf.get("MANIFEST_MODE") == "rendered"
    pod = layout.STATIC_POD_MANIFEST if rendered else layout.KUBEADM_CONFIG
    ca = layout.pki_path(f"{catalog.CA_SPEC.base_name}.crt")
    # kubernetesVersion is in kubeadm's configuration, and decides about the image and the probes.
    if _flagged(old, pod) != _flagged(new, pod) or old.content(ca) != new.content(ca):
        restarts.append("etcd")
    return tuple(restarts)


def _flagged(bundle: Bundle, destination: str) -> dict[str, str]:
    """What etcd's Pod follows from: of kubeadm's configuration not the parts that are about certificates."""
    return {
        name: value
        for name, value in _values(bundle, destination).items()
        if "CertSANs." not in name and "alidityPeriod" not in name and not name.endswith(("Algorithm", ".criSocket"))
    }
