"""What ``change.json`` holds, as types: what a record is made as, the published schema, the check of one that is read.

Pure. A field with a default is younger than version 0.1, whose records lack it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

from bundlegen import layout
from bundlegen.bundle.effects import Effect
from bundlegen.bundle.member import State
from bundlegen.pki.certinfo import CertInfo
from bundlegen.system.text import stamp

Sum: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256, hexadecimal")]
CaRound: TypeAlias = Literal["", "1", "2", "now"]
Moment: TypeAlias = Annotated[
    AwareDatetime,
    PlainSerializer(stamp, return_type=str, when_used="json"),
    Field(description="UTC, such as 2026-11-22T19:45:00Z"),
]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    def data(self) -> dict[str, Any]:
        """As JSON has it."""
        return self.model_dump(mode="json", by_alias=True)


class Certificate(_Model):
    """One certificate."""

    subject: str
    issuer: str
    serial: str = Field(description="hexadecimal")
    sans: tuple[str, ...] = Field(description="subject alternative names, as openssl prints them")
    usages: tuple[str, ...]
    ca: bool
    algorithm: str
    not_before: Moment
    not_after: Moment
    sha256_fingerprint: Sum = Field(alias="sha256Fingerprint", description="SHA-256 of the DER form, hexadecimal")

    @classmethod
    def of(cls, info: CertInfo) -> Certificate:
        """What is known of a certificate, as the record has it."""
        return Certificate(
            subject=info.subject,
            issuer=info.issuer,
            serial=info.serial,
            sans=info.sans,
            usages=info.usages,
            ca=info.is_ca,
            algorithm=info.algorithm,
            not_before=info.not_before,
            not_after=info.not_after,
            sha256_fingerprint=info.fingerprint,
        )


class _AtPath(_Model):
    path: str = Field(description="where it is placed on the host")


class PlacedCertificate(Certificate, _AtPath):
    """A certificate in a bundle."""


class File(_Model):
    """One file of a bundle."""

    path: str = Field(description="where it is placed on the host; relative: only carried")
    placed: bool
    mode: str = Field(pattern="^0[0-7]{3}$")
    owner: str
    size: int
    sha256: Sum
    secret: bool = Field(description="it holds a private key")
    what: str


class Part(_Model):
    """One numbered part of a bundle, or the bundle under another name, for systems that limit attachments."""

    name: str
    size: int
    sha256: Sum


class SharedImages(_Model):
    """The file with the container images of all bundles, which is carried beside each of them."""

    file: str
    size: int
    sha256: Sum
    parts: tuple[Part, ...] = Field(description="in the order in which they are joined; empty: not split")


class Bundle(_Model):
    """One bundle: the file, and what is in it."""

    bundle: str = Field(description="file name")
    size: int
    sha256: Sum
    payload_digest: Sum = Field(description="SHA-256 of the bundle's MANIFEST; receipts name the bundle by it")
    parts: tuple[Part, ...] = Field(description="in the order in which they are joined; empty: not split")
    files: tuple[File, ...]


class Address(_Model):
    """Who a member is and where it answers."""

    name: str
    address: str
    client_url: str = Field(alias="clientURL")
    peer_url: str = Field(alias="peerURL")


class Member(Address):
    """A member of the cluster, with what it was born with: etcd reads that when it starts for the first time only."""

    initial_cluster: str = Field(description="--initial-cluster")
    state: State = Field(description="--initial-cluster-state")


class _Dated(_Model):
    first_expiry: Moment


class Host(Bundle, _Dated, Address):
    """One host that takes part, and its bundle."""

    certificates: tuple[PlacedCertificate, ...]
    after: str | None = Field(
        default=None, description="the newest earlier change that had a bundle for this host; null: none"
    )
    required: str | None = Field(
        default=None, description="the newest earlier change that must have run here first; null: none"
    )
    after_ran: bool = Field(default=False, description="the store had a receipt of the run of that change")


class Ports(_Model):
    """The ports of every member."""

    client: int
    peer: int
    metrics: int
    metrics_on: Literal["loopback", "address"] = Field("loopback", description="where the metrics port answers")


class Installer(_Model):
    """install.sh, the same in every bundle of a bundlegen version."""

    file: str
    sha256: Sum


class Edit(_Model):
    """One field of the specification that is not as it was; empty if there was or will be none."""

    field: str
    old: str
    new: str


class Replaced(_Model):
    """One file that the change puts on a host or replaces there, and what that costs."""

    path: str
    effect: Effect = Field(
        description="kubelet: it restarts; etcd: it restarts in its Pod; pod: it restarts in a new Pod"
    )
    why: str


class Difference(_Model):
    """One thing that is different on a host; empty if there was or will be none. No key is ever named."""

    what: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.what}: {self.old or '(none)'} -> {self.new or '(none)'}"


class ComparedHost(_Model):
    """What changes on one host, and what has to be restarted for it."""

    name: str
    changes: tuple[Difference, ...]
    restarts: tuple[str, ...] = Field(description="of kubelet and etcd")
    files: tuple[Replaced, ...] = ()


class Compared(_Model):
    """What is different from an earlier change (``bundlegen diff``)."""

    change: str | None = Field(default=None, description="its name; null: it was given as a folder")
    sha256: Sum | None = Field(description="SHA-256 of its SHA256SUMS; null: it was known from the store")
    hosts_gone: tuple[str, ...]
    hosts_added: tuple[str, ...]
    hosts: tuple[ComparedHost, ...]


class Change(_Model):
    """The record of one bundlegen change (change.json)."""

    format: Literal[1]
    cluster: str
    change: str
    operation: str = layout.FIRST_CHANGE
    number: int = 1
    after: str | None = Field(default=None, description="the change before this one; null: this is the first")
    kubernetes_version: str
    manifest: Literal["kubeadm", "rendered"]
    etcd_image: str
    ca_key_host: str | None = Field(description="the host whose bundle carries the CA's key; null: none")
    ports: Ports
    data_dir: str
    issued_at: Moment = Field(description="when the newest of the certificates was issued")
    signed: bool = Field(description="SHA256SUMS.sig signs SHA256SUMS")
    sealed: bool = Field(description="the keys in the bundles are encrypted")
    ca: Certificate = Field(description="the CA that the certificates in these bundles are signed by")
    cas: tuple[Certificate, ...] = Field(
        default=(), description="those in force, the one that signs first, the one that hosts trust last; empty: ca"
    )
    ca_round: CaRound = Field(default="", description="of another CA; now: all at once; empty: it stays")
    snapshot: str = Field(
        default="", pattern=r"^([0-9a-f]{64})?$", description="SHA-256 of the one that the cluster begins with"
    )
    signer: str = Field(default="", description="whose signature hosts demand of bundles; empty: nobody's")
    members_before: tuple[Member, ...] = Field(default=(), description="empty: there was no cluster")
    members: tuple[Member, ...] = Field(default=(), description="of the cluster afterwards; empty: the hosts, all new")
    differences: tuple[Edit, ...] = Field(default=(), description="in the specification, from the change before")
    installer: Installer
    hosts: tuple[Host, ...] = Field(min_length=1, description="that take part, in the order of execution")
    base: Bundle | None = Field(
        default=None, description="the bundle for images that hosts share, with no key and no identity; null: none made"
    )
    images: SharedImages | None = Field(
        default=None, description="null: the bundles hold their images themselves, or bring none"
    )
    compared_with: Compared | None = Field(description="null: no previous change was given")
    versions: dict[str, str]

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Every member afterwards."""
        return self.members or self.hosts


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of change.json."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Change.model_json_schema(mode="validation"),
    }


def ca_round(word: str) -> CaRound:
    """The word, which bundle.conf has for a round, as the record has it; empty for any other."""
    return next((each for each in ("1", "2", "now") if each == word), "")
