"""The certificates of an external etcd cluster, as one table.

Everything that needs to know which certificates exist reads :data:`CATALOG`: what is requested, which files a host
gets, the texts and the tests. It says what kubeadm's ``cmd/kubeadm/app/phases/certs/certlist.go`` says. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bundlegen.addresses import parse_ip

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster, Host

SERVER_AUTH: Final = "serverAuth"
CLIENT_AUTH: Final = "clientAuth"

ETCD_CA: Final = "etcd-ca"
ETCD_SERVER: Final = "etcd-server"
ETCD_PEER: Final = "etcd-peer"
ETCD_HEALTHCHECK_CLIENT: Final = "etcd-healthcheck-client"
APISERVER_ETCD_CLIENT: Final = "apiserver-etcd-client"

CROSS: Final = "etcd-ca-cross"
CA_NAME: Final = "etcd-ca"
MASTERS: Final = "system:masters"
LAST_MINOR_WITH_MASTERS: Final = 28
"""kubeadm stopped putting O=system:masters into the two client certificates in 1.29 (kubernetes#119859, #120521)."""


@dataclass(frozen=True)
class CertSpec:
    """One certificate that every cluster (the CA) or every host (the others) has.

    ``base_name`` is the file's path below the PKI folder without ``.crt`` or ``.key``. A ``common_name`` of None stands
    for the host's name. ``host_sans``: certified for the host's names and addresses. ``organized``: client certificates
    that carried an organization up to Kubernetes 1.28.
    """

    name: str
    long_name: str
    base_name: str
    ca_name: str | None
    common_name: str | None
    usages: tuple[str, ...] = ()
    host_sans: bool = False
    organized: bool = False

    @property
    def is_ca(self) -> bool:
        return self.ca_name is None


CATALOG: Final[tuple[CertSpec, ...]] = (
    CertSpec(
        name=ETCD_CA,
        long_name="certificate authority of this etcd cluster",
        base_name="etcd/ca",
        ca_name=None,
        common_name=CA_NAME,
    ),
    CertSpec(
        name=ETCD_SERVER,
        long_name="certificate etcd serves its clients with",
        base_name="etcd/server",
        ca_name=ETCD_CA,
        common_name=None,
        # etcd's gRPC gateway dials etcd itself with the server certificate (etcd#9785).
        usages=(SERVER_AUTH, CLIENT_AUTH),
        host_sans=True,
    ),
    CertSpec(
        name=ETCD_PEER,
        long_name="certificate the members talk to each other with",
        base_name="etcd/peer",
        ca_name=ETCD_CA,
        common_name=None,
        usages=(SERVER_AUTH, CLIENT_AUTH),
        host_sans=True,
    ),
    CertSpec(
        name=ETCD_HEALTHCHECK_CLIENT,
        long_name="client certificate for health checks of etcd",
        base_name="etcd/healthcheck-client",
        ca_name=ETCD_CA,
        common_name="kube-etcd-healthcheck-client",
        usages=(CLIENT_AUTH,),
        organized=True,
    ),
    CertSpec(
        name=APISERVER_ETCD_CLIENT,
        long_name="client certificate the API server uses to reach etcd",
        base_name="apiserver-etcd-client",
        ca_name=ETCD_CA,
        common_name="kube-apiserver-etcd-client",
        usages=(CLIENT_AUTH,),
        organized=True,
    ),
)
CA_SPEC: Final = CATALOG[0]
LEAF_SPECS: Final = CATALOG[1:]


@dataclass(frozen=True)
class CertRequest:
    """Everything that decides a certificate except its key, serial, issuer and the moment of issue.

    ``host`` is None for the CA. ``dns_names`` and ``ip_addresses`` are in the order of the certificate. ``margin`` is
    how far the start of validity lies before the moment of issue. ``issue`` tells a certificate from an earlier one of
    the same content.
    """

    host: str | None
    name: str
    base_name: str
    common_name: str
    organization: str | None
    usages: tuple[str, ...]
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    is_ca: bool
    algorithm: str
    validity: timedelta
    margin: timedelta
    issue: int = 0

    @property
    def label(self) -> str:
        """How people are told which certificate is meant: ``infra1 etcd-server``."""
        return self.name if self.host is None else f"{self.host} {self.name}"

    @property
    def subject(self) -> str:
        """The subject as openssl prints it: organization, then common name, as Go encodes them."""
        name = f"CN={self.common_name}"
        return name if self.organization is None else f"O={self.organization}, {name}"

    @property
    def sans(self) -> tuple[str, ...]:
        """The subject alternative names as openssl prints them, in order."""
        return (*(f"DNS:{name}" for name in self.dns_names), *(f"IP:{address}" for address in self.ip_addresses))


@dataclass(frozen=True, order=True)
class PkiFile:
    """One file of a host's PKI folder: its path in there, whose it is, and whether it is the key."""

    path: str
    certificate: str
    private: bool


def ca_request(cluster: Cluster, issue: int = 0) -> CertRequest:
    """The request for the cluster's own CA (kubeadm ``client-go/util/cert NewSelfSignedCACert``: DNS SAN = its CN).

    ``issue``: 0 for the first; for another, the number of the change that makes it.
    """
    return CertRequest(
        host=None,
        name=CA_SPEC.name,
        base_name=CA_SPEC.base_name,
        common_name=CA_NAME,
        organization=None,
        usages=CA_SPEC.usages,
        dns_names=(CA_NAME,),
        ip_addresses=(),
        is_ca=True,
        algorithm=cluster.pki.encryption_algorithm,
        validity=cluster.pki.ca_certificate_validity_period,
        margin=cluster.pki.not_before_margin,
        issue=issue,
    )


def cross_request(cluster: Cluster, issue: int, validity: timedelta) -> CertRequest:
    """The request for the cross certificate of the CA that the change ``issue`` makes."""
    return replace(ca_request(cluster, issue), name=CROSS, validity=validity)


def host_requests(cluster: Cluster, host: Host, issue: int = 0) -> tuple[CertRequest, ...]:
    """The requests for the certificates of one host, in the order of :data:`CATALOG`; ``issue``: their number."""
    dns_names, ip_addresses = host_sans(host.name, host.address, host.extra_sans)
    organization = MASTERS if cluster.minor <= LAST_MINOR_WITH_MASTERS else None
    return tuple(
        CertRequest(
            host=host.name,
            name=spec.name,
            base_name=spec.base_name,
            common_name=spec.common_name or host.name,
            organization=organization if spec.organized else None,
            usages=spec.usages,
            dns_names=dns_names if spec.host_sans else (),
            ip_addresses=ip_addresses if spec.host_sans else (),
            is_ca=False,
            algorithm=cluster.pki.encryption_algorithm,
            validity=cluster.pki.certificate_validity_period,
            margin=cluster.pki.not_before_margin,
            issue=issue,
        )
        for spec in LEAF_SPECS
    )


def host_sans(name: str, address: str, extra_sans: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The DNS names and IP addresses a host's server and peer certificates are for.

    As kubeadm's ``pkiutil`` (``getAltNames``, ``RemoveDuplicateAltNames``): name and localhost, the address and both
    loopback addresses whatever the family, then the extra ones; DNS names sorted and unique, addresses unique in order.
    Addresses come in their canonical spelling, as the specification keeps them.
    """
    dns_names, ip_addresses = [name, "localhost"], [address, "127.0.0.1", "::1"]
    for san in extra_sans:
        (dns_names if parse_ip(san) is None else ip_addresses).append(san)
    return tuple(sorted(set(dns_names))), tuple(dict.fromkeys(ip_addresses))


def host_files(cluster: Cluster, host: Host) -> tuple[PkiFile, ...]:
    """The files of one host's PKI folder, sorted: the guide's nine, and ``etcd/ca.key`` where it is to be kept."""
    files = []
    for spec in CATALOG:
        files.append(PkiFile(f"{spec.base_name}.crt", spec.name, private=False))
        if not spec.is_ca or host.name == cluster.ca_key_host:
            files.append(PkiFile(f"{spec.base_name}.key", spec.name, private=True))
    return tuple(sorted(files))


def what(file: PkiFile) -> str:
    """In words what ``file`` is."""
    name = next(spec.long_name for spec in CATALOG if spec.name == file.certificate)
    return f"private key of the {name}" if file.private else name
