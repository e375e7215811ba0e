"""``bundlegen diff``: what changes on a host, in words, from one bundle to another. Pure; shows no secret.

Keys appear only as "new key"; the initial cluster token, which guards data rather than keeps a secret, by its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from bundlegen import layout
from bundlegen.bundle import conf, effects
from bundlegen.errors import VerificationError
from bundlegen.pki import catalog
from bundlegen.record.schema import ComparedHost, Difference
from bundlegen.system.text import stamp
from bundlegen.trust import certs
from bundlegen.trust.costs import costs
from bundlegen.trust.side import COMMAND, FLAGS, Side, hidden, values

_CARRIED: Final = (conf.TOLD["IMAGES_FILE"], conf.TOLD["ARCHITECTURE"])
_KINDS: Final = ("InitConfiguration", "ClusterConfiguration", "KubeletConfiguration", "Pod")


def between(old: Side, new: Side) -> ComparedHost:
    """What changes where ``new`` is installed after ``old``. Raises VerificationError for what cannot be read."""
    changes = (
        *_facts(old.conf, new.conf),
        *_members(old.conf, new.conf),
        *_certificates(old, new),
        *_texts(old, new),
        *_files(old, new),
        *_shared_images(old, new),
    )
    files = costs(old, new)
    restarts = effects.restarts(each.effect for each in files)
    return ComparedHost(name=new.owner, changes=changes, restarts=restarts, files=files)


def _difference(what: str, old: str, new: str) -> Difference:
    return Difference(what=what, old=old, new=new)


def _facts(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Difference]:
    for key, what in conf.TOLD.items():
        if old.get(key, "") != new.get(key, ""):
            yield _difference(what, old.get(key, ""), new.get(key, ""))


def _members(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Difference]:
    before, after = (dict(_pair(each) for each in conf["MEMBERS"].split()) for conf in (old, new))
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield _difference(f"member {name}", before.get(name, ""), after.get(name, ""))
    if before == after and old["MEMBERS"] != new["MEMBERS"]:
        yield _difference("order of members", " ".join(before), " ".join(after))


def _pair(text: str) -> tuple[str, str]:
    name, _, address = text.partition("=")
    return name, address


def _certificates(old: Side, new: Side) -> Iterator[Difference]:
    for spec in catalog.CATALOG:
        path = layout.pki_path(f"{spec.base_name}.crt")
        before, after = _certificate(old, path), _certificate(new, path)
        if before == after:
            continue
        name = f"certificate {spec.name}"
        if before is None or after is None:
            yield _difference(name, "there" if before else "", "there" if after else "")
            continue
        pairs = {
            "subject": (before.info.subject, after.info.subject),
            "names": (" ".join(before.info.sans), " ".join(after.info.sans)),
            "usages": (" ".join(before.info.usages), " ".join(after.info.usages)),
            "key algorithm": (before.info.algorithm, after.info.algorithm),
            "issuer": (before.info.issuer, after.info.issuer),
            "cross certificate": (_followed(before), _followed(after)),
            "valid from": (stamp(before.info.not_before), stamp(after.info.not_before)),
            "expiry": (stamp(before.info.not_after), stamp(after.info.not_after)),
        }
        yield _difference(name, f"serial {before.info.serial}", f"serial {after.info.serial}")
        for what, (was, is_) in pairs.items():
            if was != is_:
                yield _difference(f"{name}, {what}", was, is_)
        if before.key_fingerprint != after.key_fingerprint:
            yield _difference(f"{name}, key", before.key_fingerprint, after.key_fingerprint)


def _followed(each: certs.Certificate) -> str:
    return ", ".join(f"serial {cross.serial_number:x}, by {cross.issuer.rfc4514_string()}" for cross in each.chain)


def _certificate(bundle: Side, path: str) -> certs.Certificate | None:
    if path not in bundle.destinations:
        return None
    try:
        return certs.certificate(bundle.content(path) or b"")
    except ValueError as error:
        raise VerificationError(f"{bundle.path}: {path} is {error}") from error


def _texts(old: Side, new: Side) -> Iterator[Difference]:
    """kubeadm's configuration, kubelet's, the static Pod: value by value; the drop-in: line by line.

    Those of which only the sum is known are told as a whole, like what another version of bundlegen made.
    """
    documents = (
        ("kubeadm", layout.KUBEADM_CONFIG, layout.KUBEADM_CONFIG),
        ("kubelet", old.conf.get("KUBELET_CONFIG", ""), new.conf.get("KUBELET_CONFIG", "")),
        ("static Pod", layout.STATIC_POD_MANIFEST, layout.STATIC_POD_MANIFEST),
    )
    for what, before, after in documents:
        if hidden(old, before) or hidden(new, after):
            continue
        was, is_ = values(old, before), values(new, after)
        if what == "static Pod" and not (was and is_):
            # It comes or goes as a whole, and is not what made etcd's flags before.
            continue
        for name in sorted(was.keys() | is_.keys()):
            told = name.startswith(FLAGS) and all(
                layout.STATIC_POD_MANIFEST in each.destinations for each in (old, new)
            )
            if was.get(name) != is_.get(name) and not told:
                yield _difference(_named(what, name), was.get(name, ""), is_.get(name, ""))
    if layout.KUBELET_DROPIN in _whole(old, new):
        return
    was_lines, is_lines = (_lines(bundle, layout.KUBELET_DROPIN) for bundle in (old, new))
    for line in was_lines:
        if line not in is_lines:
            yield _difference("kubelet drop-in", line, "")
    for line in is_lines:
        if line not in was_lines:
            yield _difference("kubelet drop-in", "", line)


def _named(what: str, name: str) -> str:
    if name.startswith(FLAGS):
        return f"etcd flag --{name.removeprefix(FLAGS)}"
    if name.startswith(COMMAND):
        return f"etcd flag {name.removeprefix(COMMAND)}"
    kind, _, rest = name.partition(".")
    return f"{what} {rest if kind in _KINDS and rest else name}"


def _lines(bundle: Side, destination: str) -> list[str]:
    text = (bundle.content(destination) or b"").decode("utf-8", "replace")
    return [line for line in text.split("\n") if line and not line.startswith("#")]


def _files(old: Side, new: Side) -> Iterator[Difference]:
    """Files that come, go, or change their mode or owner; images, the installer and the health command as well."""
    before, after = ({line.destination: line for line in bundle.manifest} for bundle in (old, new))
    whole = _whole(old, new)
    moved = {bundle.conf.get("KUBELET_CONFIG") for bundle in (old, new)} if _moved(old, new) else set()
    for name in sorted((before.keys() | after.keys()) - moved):
        was, is_ = before.get(name), after.get(name)
        if name.startswith(f"{layout.SEALED}/") or name == layout.IMAGE_PIECES:
            continue
        if was is None or is_ is None:
            yield _difference(f"file {name}", "there" if was else "", "there" if is_ else "")
        elif (was.mode, was.owner) != (is_.mode, is_.owner):
            yield _difference(f"file {name}", f"{was.mode:04o} {was.owner}", f"{is_.mode:04o} {is_.owner}")
        elif was.sha256 != is_.sha256 and (name in whole or name.startswith(f"{layout.IMAGES}/")):
            yield _difference(f"file {name}", was.sha256, is_.sha256)


def _shared_images(old: Side, new: Side) -> Iterator[Difference]:
    """Of images beside the bundle only their compressed bytes are known."""
    before, after = (
        {image.archive: image.sha256 for image in bundle.images if bundle.conf["IMAGES_FILE"]} for bundle in (old, new)
    )
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield _difference(f"image {name}, compressed", before.get(name, ""), after.get(name, ""))


_WHOLE: Final = (
    layout.INSTALLER,
    layout.IMAGE_SCRIPT,
    layout.FIRSTBOOT_SERVICE,
    layout.FIRSTBOOT_CONF,
    *(name for name in layout.OWN_FILES if name != layout.KUBELET_DROPIN),
)


def _whole(old: Side, new: Side) -> frozenset[str]:
    """The files of which only the sums are compared."""
    same = old.conf.get("BUNDLEGEN_VERSION") == new.conf.get("BUNDLEGEN_VERSION")
    texts = (
        layout.KUBEADM_CONFIG,
        layout.STATIC_POD_MANIFEST,
        layout.KUBELET_DROPIN,
        *(side.conf.get("KUBELET_CONFIG", "") for side in (old, new)),
    )
    unknown = (name for name in texts if hidden(old, name) or hidden(new, name))
    return frozenset((*_WHOLE, *unknown, *(() if same else layout.OWN_FILES)))


def carried(difference: Difference) -> bool:
    """Whether it is about what a bundle only carries: images, scripts, what a first boot needs."""
    what = difference.what
    return what in _CARRIED or (what.startswith(("image ", "file ")) and not what.startswith("file /"))


def _moved(old: Side, new: Side) -> bool:
    return old.conf.get("KUBELET_CONFIG") != new.conf.get("KUBELET_CONFIG")
