"""The frozen list of what one bundle will hold: decided here, written elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from bundlegen import layout
from bundlegen.bundle.entry import NO_IMAGES, Entry, ImageFile, ImageSet, entry, sha256
from bundlegen.bundle.facts import FIRST, Content, Position, Window
from bundlegen.pki import catalog, sealing

if TYPE_CHECKING:
    from bundlegen.bundle.render import Renderer
    from bundlegen.pki.issue import Pair
    from bundlegen.spec.model import Cluster, Host
    from bundlegen.system.jinja import TemplateSource


@dataclass(frozen=True)
class BundlePlan:
    """Everything in the bundle of ``host``, sorted by destination, MANIFEST not included. ``kind``: KIND in its
    bundle.conf; the one for images has ``layout.BASE`` for a host."""

    host: str
    entries: tuple[Entry, ...]
    kind: str = layout.KIND_HOST

    @property
    def manifest(self) -> bytes:
        """The content of MANIFEST."""
        return "".join(f"{entry.manifest_line}\n" for entry in self.entries).encode()

    @property
    def configured(self) -> dict[str, str]:
        """The SHA-256 of each file that is placed, by destination, but for those of the PKI, which the store keeps."""
        inside = f"{layout.PKI_DIR}/"
        return {
            each.destination: each.sha256
            for each in self.entries
            if each.placed and not each.destination.startswith(inside)
        }

    @property
    def digest(self) -> str:
        """The payload digest: SHA-256 of MANIFEST, which covers every other byte."""
        return sha256(self.manifest)

    @property
    def written(self) -> BundlePlan:
        """The same once the bundle is written, when nobody needs the bytes of its files any more."""
        return replace(self, entries=tuple(replace(each, content=None) for each in self.entries))


def plan_host(
    cluster: Cluster,
    host: Host,
    *,
    renderer: Renderer,
    installer: bytes,
    image_script: bytes,
    leaves: Mapping[str, Pair],
    ca: Pair,
    window: Window,
    position: Position = FIRST,
    images: ImageSet = NO_IMAGES,
    unlock_code: str = "",
) -> BundlePlan:
    """The bundle of one host.

    ``leaves``: the host's certificates by catalogue name; ``installer``, ``image_script``: the bytes of install.sh
    and image.sh; ``position``: where it stands in the history; ``images``: what it brings of them;
    ``unlock_code``: what the keys are sealed under, empty if they are not.
    """
    content = Content(position, window, images.architecture, images.file, sealed=bool(unlock_code))
    entries = [
        *rendered(cluster, host, renderer, installer, image_script, content),
        *sealed(pki_entries(cluster, host, leaves, ca), unlock_code),
        *image_entries(images),
    ]
    return BundlePlan(host.name, in_order(entries))


def plan_base(
    cluster: Cluster,
    *,
    renderer: Renderer,
    installer: bytes,
    image_script: bytes,
    position: Position = FIRST,
    images: ImageSet = NO_IMAGES,
) -> BundlePlan:
    """The bundle that an image for every host is made with: what all of them share, and nothing that tells one apart.

    The arguments are those of :func:`plan_host`; ``renderer`` needs no token, since no text here holds it.
    """
    content = Content(position, None, images.architecture, images.file)
    entries = [*rendered_base(cluster, renderer, installer, image_script, content), *image_entries(images)]
    return BundlePlan(layout.BASE, in_order(entries), layout.KIND_BASE)


def in_order(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """As MANIFEST has them."""
    return tuple(sorted(entries, key=lambda each: each.destination))


def rendered(
    cluster: Cluster, host: Host, renderer: Renderer, installer: bytes, image_script: bytes, content: Content
) -> list[Entry]:
    """What of a host's bundle follows from the specification and ``content``: all but keys, certificates and images.

    ``verify`` makes these again and compares, so nothing else may have a part in them.
    """
    is_member = host.name in {name for name, _ in content.position.members_before}
    return [
        *scripts(installer, b"" if is_member else image_script),
        _conf(renderer.bundle_conf(host, content), "what is specific to this host"),
        _specification(renderer.specification(host)),
        *configuration(cluster, host, renderer),
    ]


def rendered_base(
    cluster: Cluster, renderer: Renderer, installer: bytes, image_script: bytes, content: Content
) -> list[Entry]:
    """The same of the bundle for images."""
    return [
        *scripts(installer, image_script),
        _conf(renderer.base_conf(content), "what all hosts share"),
        _specification(renderer.base_specification()),
        *shared_configuration(cluster, renderer, layout.BASE_DIR),
    ]


def _conf(text: str, what: str) -> Entry:
    return entry(layout.CONF, text.encode(), layout.MODE_SECRET, what)


def _specification(content: bytes) -> Entry:
    return entry(layout.SPECIFICATION, content, layout.MODE_SECRET, "specification that the files are made from")


def scripts(installer: bytes, image_script: bytes) -> list[Entry]:
    """What runs on a host. ``image_script``: empty if no image is made with the bundle, since its host is a member."""
    result = [entry(layout.INSTALLER, installer, layout.MODE_PROGRAM, "installer, the same in every bundle")]
    if image_script:
        what = "what the installer needs for images, the same in every bundle that has it"
        result.append(entry(layout.IMAGE_SCRIPT, image_script, layout.MODE_PLAIN, what))
    return result


def image_entries(images: ImageSet) -> list[Entry]:
    """The image archives as they are carried, what is in them, and where they are."""
    if not images.files:
        return []
    return [
        *(image_entry(image) for image in images.files if not images.file),
        entry(layout.IMAGE_LIST, images.index, layout.MODE_PLAIN, "which image is in which archive"),
        entry(layout.IMAGE_PIECES, images.pieces, layout.MODE_PLAIN, "where the compressed archives are"),
    ]


def image_entry(image: ImageFile) -> Entry:
    """The entry of an image archive, whose bytes stay where they are."""
    name = f"{layout.IMAGES}/{image.name}"
    return Entry(name, layout.MODE_PLAIN, image.sha256, image.size, "container image", source=image.path)


def configuration(cluster: Cluster, host: Host, renderer: Renderer) -> list[Entry]:
    """The configuration files of one host."""
    return [
        *host_configuration(cluster, host, renderer),
        *shared_configuration(cluster, renderer, layout.state_dir(cluster.name)),
    ]


def host_configuration(cluster: Cluster, host: Host, renderer: Renderer) -> list[Entry]:
    """The files that are about one host."""
    files = [
        entry(
            layout.KUBEADM_CONFIG, renderer.kubeadm_config(host).encode(), layout.MODE_SECRET, "kubeadm's configuration"
        )
    ]
    if cluster.manifest == "rendered":
        pod = renderer.static_pod(host).encode()
        files.append(entry(layout.STATIC_POD_MANIFEST, pod, layout.MODE_SECRET, "static Pod manifest of etcd"))
    return files


@dataclass(frozen=True)
class _Shared:
    """What the files are made from that are the same on every host: no more than what the bundle for images tells."""

    specification: bytes
    state_dir: str
    templates: TemplateSource
    cluster: Cluster = field(compare=False)
    renderer: Renderer = field(compare=False)


def shared_configuration(cluster: Cluster, renderer: Renderer, state_dir: str) -> list[Entry]:
    """The files that are the same on every host, and those of the first boot, for the copy in ``state_dir``."""
    return list(_shared(_Shared(renderer.base_specification(), state_dir, renderer.source, cluster, renderer)))


@lru_cache(maxsize=4)
def _shared(of: _Shared) -> tuple[Entry, ...]:
    """Made once for all hosts, and held once."""
    cluster, renderer = of.cluster, of.renderer
    return (
        entry(
            cluster.kubelet.config_file,
            renderer.kubelet_config().encode(),
            layout.MODE_PLAIN,
            "kubelet's configuration",
        ),
        entry(
            layout.KUBELET_DROPIN, renderer.kubelet_dropin().encode(), layout.MODE_PLAIN, "drop-in for kubelet.service"
        ),
        entry(layout.HEALTH_COMMAND, renderer.health_command().encode(), layout.MODE_PROGRAM, "health check command"),
        entry(
            layout.GUARD_COMMAND,
            renderer.guard().encode(),
            layout.MODE_PROGRAM,
            "keeps etcd from starting without its data",
        ),
        entry(layout.HEALTH_SERVICE, renderer.health_service().encode(), layout.MODE_PLAIN, "health check service"),
        entry(layout.HEALTH_TIMER, renderer.health_timer().encode(), layout.MODE_PLAIN, "health check timer, off"),
        *_backup(cluster, renderer),
        *_trust(cluster, renderer),
        entry(
            layout.FIRSTBOOT_SERVICE,
            renderer.firstboot_service(of.state_dir).encode(),
            layout.MODE_PLAIN,
            "unit of an image's first boot",
        ),
        entry(layout.FIRSTBOOT_CONF, renderer.firstboot_conf().encode(), layout.MODE_PLAIN, "settings of that unit"),
    )


def _backup(cluster: Cluster, renderer: Renderer) -> Iterator[Entry]:
    """What takes snapshots, if the specification wants them."""
    if cluster.backup is not None:
        yield entry(
            layout.SNAPSHOT_COMMAND, renderer.snapshot_command().encode(), layout.MODE_PROGRAM, "snapshot command"
        )
        yield entry(
            layout.SNAPSHOT_SERVICE, renderer.snapshot_service().encode(), layout.MODE_PLAIN, "snapshot service"
        )
        yield entry(layout.SNAPSHOT_TIMER, renderer.snapshot_timer().encode(), layout.MODE_PLAIN, "snapshot timer")


def _trust(cluster: Cluster, renderer: Renderer) -> Iterator[Entry]:
    """What runs bundles only if they are signed, if the specification wants that."""
    if cluster.trust is not None:
        lines = "".join(f"{line}\n" for line in cluster.trust.signers).encode()
        yield entry(layout.ALLOWED_SIGNERS, lines, layout.MODE_PLAIN, "whose signatures this machine demands")
        yield entry(
            layout.APPLY_COMMAND,
            renderer.apply_command(cluster.trust.signer).encode(),
            layout.MODE_PROGRAM,
            "runs bundles that are signed",
        )


def pki_entries(cluster: Cluster, host: Host, leaves: Mapping[str, Pair], ca: Pair) -> list[Entry]:
    """Exactly the PKI files that ``host`` needs."""
    entries = []
    for file in catalog.host_files(cluster, host):
        pair = ca if file.certificate == catalog.ETCD_CA else leaves[file.certificate]
        content = pair.key_pem if file.private else pair.certificate_pem
        mode = layout.MODE_KEY if file.private else layout.MODE_CERTIFICATE
        entries.append(entry(layout.pki_path(file.path), content, mode, catalog.what(file), private=file.private))
    return entries


def sealed(entries: Sequence[Entry], unlock_code: str) -> list[Entry]:
    """The entries with each private one's bytes encrypted and carried beside it; unchanged without a code."""
    if not unlock_code:
        return list(entries)
    result = []
    for each in entries:
        if each.private and each.content is not None:
            result.append(replace(each, content=None))
            box = sealing.seal(each.content, unlock_code, each.destination)
            what = f"{each.what}, encrypted"
            result.append(entry(layout.sealed_path(each.destination), box, layout.MODE_SECRET, what))
        else:
            result.append(each)
    return result
