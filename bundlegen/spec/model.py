"""The cluster specification: every field, its default and its meaning. The rules between fields are in ``rules_*``.

:func:`bundlegen.spec.check.parse` is the way in: it applies the models and the rules, and reports every problem at
once.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Literal

from pydantic import Field

from bundlegen.spec.sections import Backup, Ca, CaFiles, Health, Section, Trust
from bundlegen.spec.types import (
    NO_HOST,
    CaKeyHost,
    ClusterName,
    Duration,
    Endpoint,
    FlagName,
    FlagValue,
    HostFile,
    HostName,
    HostPath,
    ImageRepository,
    ImageTag,
    JsonTree,
    KubernetesVersion,
    LocalPath,
    MachineID,
    MemberAddress,
    SubjectAltName,
    Token,
)

MAX_HOSTS: Final = 1000
EncryptionAlgorithm = Literal["RSA-2048", "RSA-3072", "RSA-4096", "ECDSA-P256", "ECDSA-P384"]


class Host(Section):
    """One machine that runs one etcd member."""

    name: HostName = Field(description="Name of the host and of its etcd member; a DNS-1123 name in lower case.")
    address: MemberAddress = Field(
        description="IPv4 or IPv6 address that other hosts reach it by: advertised, certified, in every URL."
    )
    extra_sans: tuple[SubjectAltName, ...] = Field(
        default=(),
        alias="extraSANs",
        strict=False,
        max_length=100,
        description="More DNS names and IP addresses for this host's server and peer certificates.",
    )
    machine_id: MachineID | None = Field(
        default=None,
        alias="machineID",
        description="The host's /etc/machine-id; the bundle then refuses every other machine.",
    )


class Ports(Section):
    """TCP ports of etcd, the same on every host."""

    client: int = Field(default=2379, ge=1, le=65535, description="Port for clients, such as the API server.")
    peer: int = Field(default=2380, ge=1, le=65535, description="Port for the other members.")
    metrics: int = Field(
        default=2381, ge=1, le=65535, description="Plain HTTP port for health and metrics; etcd.metricsOn says where."
    )


class Pki(Section):
    """Certificates and keys."""

    ca: Ca | None = Field(
        default=None, description="Bring your own etcd CA, or pin it. Default: created once and kept in the store."
    )
    ca_key_host: CaKeyHost | None = Field(
        default=None,
        alias="caKeyHost",
        description="Host that gets the CA's key, or `none` for no host. Default: the first host.",
    )
    encryption_algorithm: EncryptionAlgorithm = Field(
        default="RSA-2048", alias="encryptionAlgorithm", description="Kind of key, by kubeadm's names."
    )
    certificate_validity_period: Duration = Field(
        default=timedelta(hours=8760), alias="certificateValidityPeriod", description="How long certificates are valid."
    )
    ca_certificate_validity_period: Duration = Field(
        default=timedelta(hours=87600), alias="caCertificateValidityPeriod", description="How long the CA is valid."
    )
    not_before_margin: Duration = Field(
        default=timedelta(minutes=5),
        alias="notBeforeMargin",
        description="How far certificates are back-dated, for hosts whose clocks are behind; at most 24h.",
    )

    @property
    def ca_files(self) -> CaFiles | None:
        """The CA that is brought along; None if the store has its own."""
        if self.ca is None or self.ca.certificate is None or self.ca.key is None:
            return None
        return CaFiles(self.ca.certificate, self.ca.key)

    @property
    def known_ca_files(self) -> tuple[CaFiles, ...]:
        """Every CA of one's own that is named: the one that is brought along, and the one before it."""
        previous = None if self.ca is None else self.ca.previous
        before = None if previous is None else CaFiles(previous.certificate, previous.key)
        return tuple(each for each in (self.ca_files, before) if each is not None)

    @property
    def ca_fingerprint(self) -> str | None:
        """Which CA it has to be; None if any one will do."""
        return None if self.ca is None else self.ca.fingerprint


class Kubelet(Section):
    """The kubelet that runs etcd as a static Pod."""

    binary: HostFile = Field(default="/usr/bin/kubelet", description="Where the kubelet is on the hosts.")
    cgroup_driver: Literal["systemd", "cgroupfs"] = Field(
        default="systemd", alias="cgroupDriver", description="As the container runtime is set up."
    )
    container_runtime_endpoint: Endpoint = Field(
        default="unix:///var/run/containerd/containerd.sock",
        alias="containerRuntimeEndpoint",
        description="Socket of the container runtime.",
    )
    config_file: HostFile = Field(
        default="/etc/systemd/system/kubelet.service.d/kubelet.conf",
        alias="configFile",
        description="Where the kubelet's configuration is placed.",
    )
    extra_config: JsonTree = Field(
        default_factory=dict,
        alias="extraConfig",
        description="More fields of KubeletConfiguration, merged into the file.",
    )


class Etcd(Section):
    """etcd itself."""

    image_repository: ImageRepository | None = Field(
        default=None,
        alias="imageRepository",
        description="Where the image comes from. Default: kubeadm's for the version.",
    )
    image_tag: ImageTag | None = Field(
        default=None, alias="imageTag", description="Tag of the image. Default: kubeadm's for the version."
    )
    data_dir: HostPath = Field(
        default="/var/lib/etcd", alias="dataDir", description="Where etcd keeps its data on the hosts."
    )
    initial_cluster_token: Token | None = Field(
        default=None,
        alias="initialClusterToken",
        description="Keeps members with old data out of a new cluster. Default: unique for each created cluster.",
    )
    metrics_on: Literal["loopback", "address"] = Field(
        default="loopback",
        alias="metricsOn",
        description="Where the metrics port answers: on `loopback` alone, or on the host's `address` as well.",
    )
    extra_args: dict[FlagName, FlagValue] = Field(
        default_factory=dict, alias="extraArgs", description="More etcd flags, without dashes; every value is text."
    )


class Cluster(Section):
    """An etcd cluster outside Kubernetes, from which bundlegen builds one bundle per host."""

    name: ClusterName = Field(description="Names the store and the output; lower-case letters, digits and '-'.")
    kubernetes_version: KubernetesVersion = Field(
        alias="kubernetesVersion", description="Version of kubeadm and the kubelet on the hosts, v1.22.0 to v1.37."
    )
    hosts: tuple[Host, ...] = Field(
        strict=False, min_length=1, max_length=MAX_HOSTS, description="The hosts, in order."
    )
    ports: Ports = Field(default_factory=Ports, description=Ports.__doc__)
    pki: Pki = Field(default_factory=Pki, description=Pki.__doc__)
    kubelet: Kubelet = Field(default_factory=Kubelet, description=Kubelet.__doc__)
    etcd: Etcd = Field(default_factory=Etcd, description=Etcd.__doc__)
    health: Health | None = Field(default=None, description=Health.__doc__)
    backup: Backup | None = Field(default=None, description=Backup.__doc__)
    trust: Trust | None = Field(default=None, description=Trust.__doc__)
    manifest: Literal["kubeadm", "rendered"] = Field(
        default="kubeadm",
        description="`kubeadm`: the host runs `kubeadm init phase etcd local`. "
        "`rendered`: the static Pod's manifest travels in the bundle and no kubeadm is needed.",
    )
    images: tuple[LocalPath, ...] = Field(
        default=(),
        strict=False,
        max_length=100,
        description="OCI or docker archives to carry and import; globs, relative to the specification.",
    )

    @property
    def minor(self) -> int:
        """31 of ``v1.31.4``."""
        return int(self.kubernetes_version.split(".")[1])

    @property
    def patch(self) -> int:
        """4 of ``v1.31.4``."""
        return int(self.kubernetes_version.split(".")[2])

    @property
    def metrics_file(self) -> str | None:
        """What the health check's timer writes for node-exporter; None if it writes nothing."""
        folder = None if self.health is None else self.health.metrics_directory
        return None if folder is None else f"{folder}/bundlegen-{self.name}.prom"

    @property
    def ca_key_host(self) -> str | None:
        """The host whose bundle carries the CA's key; None if no bundle does."""
        if self.pki.ca_key_host == NO_HOST:
            return None
        return self.pki.ca_key_host or self.hosts[0].name
