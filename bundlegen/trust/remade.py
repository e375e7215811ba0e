"""A bundle made again from what it says of itself: what this bundlegen would write for just that.

Everything but keys, certificates and images follows from the specification that the bundle holds (``cluster.json``)
and from a few facts of bundle.conf. What of it differs was not made by bundlegen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from bundlegen import layout
from bundlegen.bundle.entry import Entry, entry
from bundlegen.bundle.facts import Content, Position, Window
from bundlegen.bundle.install_script import image_script, install_script
from bundlegen.bundle.member import Birth, founding, peer_url
from bundlegen.bundle.plan import BundlePlan, in_order, rendered, rendered_base
from bundlegen.bundle.render import Renderer
from bundlegen.images import listing
from bundlegen.images.contents import Image
from bundlegen.operations import table
from bundlegen.pki import catalog
from bundlegen.pki.compare import issue_time
from bundlegen.spec import canonical
from bundlegen.spec.model import Cluster, Host
from bundlegen.system.resources import template_text
from bundlegen.trust import certs
from bundlegen.trust.bundle import Bundle

CA_KEY: Final = layout.pki_path(f"{catalog.CA_SPEC.base_name}.key")
CA_CERTIFICATE: Final = layout.pki_path(f"{catalog.CA_SPEC.base_name}.crt")
_MEMBER: Final = re.compile(r"[a-z0-9.-]+=https://([0-9.]+|\[[0-9a-f:]+\]):[0-9]{1,5}", re.ASCII)


@dataclass(frozen=True)
class Remade:
    """The specification that the bundle holds, its host (None: the bundle is for images), and what it would hold.

    Of keys, certificates and images, ``plan`` has the bundle's own bytes and sums; where the bundle has none of a file,
    its sum is empty.
    """

    cluster: Cluster
    host: Host | None
    plan: BundlePlan

    @property
    def requests(self) -> tuple[catalog.CertRequest, ...]:
        """Which certificates the host has, the CA's apart."""
        return () if self.host is None else catalog.host_requests(self.cluster, self.host)

    def sharing(self, hosts: dict[Host, Host]) -> Remade:
        """The same for a folder of many bundles, once it has been compared: what nobody reads any more is let go.

        The hosts that are in ``hosts`` already are taken from there, and the others put into it: each bundle names all
        of them. Of the files, certificates alone are still read.
        """
        shared = tuple(hosts.setdefault(host, host) for host in self.cluster.hosts)
        entries = tuple(
            each if each.destination.endswith(".crt") else replace(each, content=None) for each in self.plan.entries
        )
        cluster = self.cluster.model_copy(update={"hosts": shared})
        return replace(self, cluster=cluster, plan=replace(self.plan, entries=entries))


def remake(bundle: Bundle) -> Remade:
    """The bundle again. Its bundle.conf has only values that can be, by the table of keys.

    Raises ValueError, in words, where no bundle can be made from what it says.
    """
    cluster, host = specification(bundle)
    if host is None:
        content = _content(bundle, None)
        renderer = Renderer(cluster, "", template_text)
        entries = rendered_base(cluster, renderer, install_script(), image_script(), content)
        own = layout.BASE
    else:
        own = host.name
        births = {own: _birth(bundle, cluster, host)}
        renderer = Renderer(cluster, _token(bundle, cluster), template_text, births)
        content = _content(bundle, _window(bundle, cluster, host))
        entries = rendered(cluster, host, renderer, install_script(), image_script(), content)
        entries += _pki(bundle, cluster, host)
    entries += _images(bundle)
    return Remade(cluster, host, BundlePlan(own, in_order(entries), bundle.conf["KIND"]))


def specification(bundle: Bundle) -> tuple[Cluster, Host | None]:
    """The specification that the bundle holds, and its host. Raises ValueError, in words."""
    content = bundle.files.get(layout.SPECIFICATION)
    if content is None:
        raise ValueError(f"{layout.SPECIFICATION} is missing")
    try:
        return (
            (canonical.read_base(content), None)
            if bundle.is_base
            else canonical.read_host(content, bundle.conf["HOST"])
        )
    except ValueError as error:
        raise ValueError(f"{layout.SPECIFICATION} {error}") from error


def _content(bundle: Bundle, window: Window | None) -> Content:
    conf = bundle.conf
    known = _known(bundle)
    machine = listing.machine(known) if known else conf["ARCHITECTURE"]
    return Content(_position(bundle), window, machine, conf["IMAGES_FILE"], sealed=conf["SEALED"] == "yes")


def _position(bundle: Bundle) -> Position:
    """Where the bundle says that it stands, if that can be."""
    conf = bundle.conf
    number, operation = int(conf["CHANGE_NUMBER"]), conf["OPERATION"]
    members = tuple(_pair(each) for each in conf["MEMBERS_BEFORE"].split(" ") if each)
    after, required, replaced = conf["AFTER_CHANGE"], conf["REQUIRED_CHANGE"], conf["REPLACED"]
    removes = tuple(conf["REMOVES"].split())
    turn = conf["CA_ROUND"]
    found = Position(
        conf["CHANGE"], number, operation, after, required, members, replaced, removes, turn, conf["SNAPSHOT_SHA256"]
    )
    known = table.named(operation)
    if known is None:
        raise ValueError(f"{layout.CONF} names an operation that this bundlegen does not know: {operation}")
    if not bundle.is_base and (bool(replaced) != known.bears_anew or (replaced and replaced not in dict(members))):
        raise ValueError(f"{layout.CONF} names a host to be replaced that cannot be: {replaced or 'none'}")
    if not bundle.is_base and bool(found.snapshot) != known.refounds:
        raise ValueError(f"{layout.CONF} names a snapshot that cannot be: {found.snapshot or 'none'}")
    if removes and not (known.takes_out and set(removes) < dict(members).keys()):
        raise ValueError(f"{layout.CONF} names members to be taken out that cannot be: {' '.join(removes)}")
    if not bundle.is_base and bool(turn) != known.turns_ca:
        raise ValueError(f"{layout.CONF} names a round of another CA that cannot be: {turn or 'none'}")
    if found.change != layout.change_name(number, operation):
        raise ValueError(f"{layout.CONF} names a change that is not its number and its operation: {found.change}")
    first, last = (layout.change_number(name) or 0 for name in (found.required, found.after))
    if not first <= last < number:
        raise ValueError(f"{layout.CONF} names changes before this one that cannot be before it")
    if not bundle.is_base and bool(members) != (operation != layout.FIRST_CHANGE):
        raise ValueError(f"{layout.CONF} names other members before this change than there can be")
    return found


def _pair(text: str) -> tuple[str, str]:
    name, _, address = text.partition("=")
    return name, address


def _token(bundle: Bundle, cluster: Cluster) -> str:
    token = bundle.conf["INITIAL_CLUSTER_TOKEN"]
    if cluster.etcd.initial_cluster_token not in (None, token):
        raise ValueError(f"{layout.CONF} has another INITIAL_CLUSTER_TOKEN than {layout.SPECIFICATION}")
    return token


def _birth(bundle: Bundle, cluster: Cluster, host: Host) -> Birth:
    """What etcd was first started with: where the cluster begins it follows; later only the history knows."""
    if bundle.conf["OPERATION"] == layout.FIRST_CHANGE:
        return founding(cluster)
    found = Birth(bundle.conf["INITIAL_CLUSTER"], "new" if bundle.conf["INITIAL_STATE"] == "new" else "existing")
    members = found.initial_cluster.split(",")
    if not all(_MEMBER.fullmatch(each) for each in members) or f"{host.name}={peer_url(cluster, host)}" not in members:
        raise ValueError(f"{layout.CONF} has an INITIAL_CLUSTER that cannot be this host's")
    return found


def _window(bundle: Bundle, cluster: Cluster, host: Host) -> Window:
    """The dates of the certificates, from these; where one cannot be read, as bundle.conf has them."""
    requests = catalog.host_requests(cluster, host)
    try:
        ca, *leaves = [
            certs.certificate(bundle.content(layout.pki_path(f"{name}.crt")) or b"").x509
            for name in (catalog.CA_SPEC.base_name, *(request.base_name for request in requests))
        ]
        issued = max(issue_time(request, leaf) for request, leaf in zip(requests, leaves, strict=True))
    except (ValueError, OverflowError):
        return _told_window(bundle.conf)
    return Window(
        issued,
        max(each.not_valid_before_utc for each in (ca, *leaves)),
        min(each.not_valid_after_utc for each in (ca, *leaves)),
    )


def _told_window(conf: Mapping[str, str]) -> Window:
    try:
        issued, start, end = (
            datetime.fromtimestamp(int(conf[key]), UTC) for key in ("ISSUED_AT", "NOT_BEFORE", "NOT_AFTER")
        )
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{layout.CONF} names dates that no certificate has") from error
    return Window(issued, start, end)


def _pki(bundle: Bundle, cluster: Cluster, host: Host) -> Iterator[Entry]:
    """The PKI files that the host needs, with what the bundle has for them."""
    sealed = bundle.conf["SEALED"] == "yes"
    for file in catalog.host_files(cluster, host):
        path, what = layout.pki_path(file.path), catalog.what(file)
        mode = layout.MODE_KEY if file.private else layout.MODE_CERTIFICATE
        yield _own(bundle, path, mode, what, private=file.private)
        if sealed and file.private:
            yield _own(bundle, layout.sealed_path(path), layout.MODE_SECRET, f"{what}, encrypted")


def _images(bundle: Bundle) -> Iterator[Entry]:
    if not bundle.images:
        return
    for image in bundle.images:
        if not bundle.conf["IMAGES_FILE"]:
            yield _own(bundle, f"{layout.IMAGES}/{image.archive}", layout.MODE_PLAIN, "container image")
    known, what = _known(bundle), "which image is in which archive"
    if known:
        yield entry(layout.IMAGE_LIST, listing.listing(known), layout.MODE_PLAIN, what)
    else:
        yield _own(bundle, layout.IMAGE_LIST, layout.MODE_PLAIN, what)
    yield _own(bundle, layout.IMAGE_PIECES, layout.MODE_PLAIN, "where the compressed archives are")


def _known(bundle: Bundle) -> dict[str, tuple[Image, ...]]:
    """What is in the archives on board; nothing where not all of them were looked at and are sound."""
    found = {name: each for name, each in bundle.looked.items() if not isinstance(each, str)}
    return found if len(found) == len(bundle.images) else {}


def _own(bundle: Bundle, destination: str, mode: int, what: str, *, private: bool = False) -> Entry:
    digest = next((line.sha256 for line in bundle.manifest if line.destination == destination), "")
    size = bundle.sizes.get(layout.payload_path(destination), 0)
    return Entry(destination, mode, digest, size, what, private, bundle.content(destination))
