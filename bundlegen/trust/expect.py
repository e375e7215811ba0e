"""What a bundle of this host has to hold, from what it says of itself: bundle.conf and kubeadmcfg.yaml. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bundlegen import layout
from bundlegen.addresses import parse_ip
from bundlegen.pki import catalog
from bundlegen.trust.bundle import Bundle
from bundlegen.trust.flat import flat

_SANS: Final = "ClusterConfiguration.etcd.local.serverCertSANs."


@dataclass(frozen=True)
class Identity:
    """Who the bundle is for, as it says itself. ``sans``: beyond name, address and loopback."""

    host: str
    address: str
    minor: int
    sans: tuple[str, ...]


def identity(bundle: Bundle) -> Identity:
    """Who a bundle is for whose bundle.conf has only values that can be.

    Raises ValueError, in words, where what the bundle says of itself cannot be.
    """
    conf = bundle.conf
    if parse_ip(conf["ADDRESS"]) is None or f"{conf['HOST']}={conf['ADDRESS']}" not in conf["MEMBERS"].split(" "):
        raise ValueError(f"{layout.CONF} names an address that is not this host's")
    try:
        values = flat(bundle.content(layout.KUBEADM_CONFIG) or b"")
    except ValueError as error:
        raise ValueError(f"{layout.KUBEADM_CONFIG} is {error}") from error
    sans = tuple(value for name, value in values.items() if name.startswith(_SANS))
    return Identity(conf["HOST"], conf["ADDRESS"], _minor(conf), tuple(san for san in sans if san != conf["ADDRESS"]))


def _minor(conf: Mapping[str, str]) -> int:
    return int(conf["KUBERNETES_VERSION"].split(".")[1])


@dataclass(frozen=True)
class Wanted:
    """One certificate as it has to be: ``cn`` None for any."""

    spec: catalog.CertSpec
    subject: str
    sans: tuple[str, ...]

    @property
    def path(self) -> str:
        return layout.pki_path(f"{self.spec.base_name}.crt")

    @property
    def key_path(self) -> str:
        return layout.pki_path(f"{self.spec.base_name}.key")


def leaves(who: Identity) -> Iterator[Wanted]:
    """The certificates of the host, the CA's apart, by the catalogue."""
    names, addresses = catalog.host_sans(who.host, who.address, who.sans)
    sans = (*(f"DNS:{name}" for name in names), *(f"IP:{address}" for address in addresses))
    organized = who.minor <= catalog.LAST_MINOR_WITH_MASTERS
    for spec in catalog.LEAF_SPECS:
        subject = f"CN={spec.common_name or who.host}"
        if spec.organized and organized:
            subject = f"O={catalog.MASTERS}, {subject}"
        yield Wanted(spec, subject, sans if spec.host_sans else ())


def files(bundle: Bundle) -> dict[str, int]:
    """The destinations that a bundle of this host has, with their modes; the CA's key and images are beside them."""
    conf = bundle.conf
    wanted = {
        layout.INSTALLER: layout.MODE_PROGRAM,
        layout.CONF: layout.MODE_SECRET,
        layout.FIRSTBOOT_SERVICE: layout.MODE_PLAIN,
        layout.FIRSTBOOT_CONF: layout.MODE_PLAIN,
        layout.KUBELET_DROPIN: layout.MODE_PLAIN,
        layout.HEALTH_COMMAND: layout.MODE_PROGRAM,
        layout.HEALTH_SERVICE: layout.MODE_PLAIN,
        layout.HEALTH_TIMER: layout.MODE_PLAIN,
        conf.get("KUBELET_CONFIG", ""): layout.MODE_PLAIN,
    }
    if bundle.is_base:
        return wanted
    wanted[layout.KUBEADM_CONFIG] = layout.MODE_SECRET
    if conf.get("MANIFEST_MODE") == "rendered":
        wanted[layout.STATIC_POD_MANIFEST] = layout.MODE_SECRET
    for spec in catalog.CATALOG:
        wanted[layout.pki_path(f"{spec.base_name}.crt")] = layout.MODE_CERTIFICATE
        if not spec.is_ca:
            wanted[layout.pki_path(f"{spec.base_name}.key")] = layout.MODE_KEY
    return wanted


def is_member(bundle: Bundle) -> bool:
    """Whether the bundle's host is a member before the change: no image is made with such a bundle."""
    before = bundle.conf.get("MEMBERS_BEFORE", "").split()
    return not bundle.is_base and bundle.conf["HOST"] in {member.partition("=")[0] for member in before}


CA_KEY: Final = layout.pki_path(f"{catalog.CA_SPEC.base_name}.key")
CA_CERTIFICATE: Final = layout.pki_path(f"{catalog.CA_SPEC.base_name}.crt")
