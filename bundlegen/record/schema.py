"""What ``change.json`` holds, as types: the schema that is published, and the check of a record that is read. Pure."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Sum: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256, hexadecimal")]
Moment: TypeAlias = Annotated[AwareDatetime, Field(description="UTC, such as 2026-11-22T19:45:00Z")]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


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


class PlacedCertificate(Certificate):
    """A certificate in a bundle."""

    path: str = Field(description="where it is placed on the host")


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


class Host(Bundle):
    """One host and its bundle."""

    name: str
    address: str
    client_url: str = Field(alias="clientURL")
    peer_url: str = Field(alias="peerURL")
    first_expiry: Moment
    certificates: tuple[PlacedCertificate, ...]


class Ports(_Model):
    """The ports of every member."""

    client: int
    peer: int
    metrics: int


class Installer(_Model):
    """install.sh, the same in every bundle of a bundlegen version."""

    file: str
    sha256: Sum


class Difference(_Model):
    """One thing that is different on a host; empty where there was or will be none. No key is ever named."""

    what: str
    old: str
    new: str


class ComparedHost(_Model):
    """What changes on one host, and what has to be restarted for it."""

    name: str
    changes: tuple[Difference, ...]
    restarts: tuple[str, ...]


class Compared(_Model):
    """What is different from the previous change (``bundlegen diff``)."""

    sha256: Sum = Field(description="SHA-256 of the SHA256SUMS of the previous change, which names it")
    hosts_gone: tuple[str, ...]
    hosts_added: tuple[str, ...]
    hosts: tuple[ComparedHost, ...]


class Change(_Model):
    """The record of one bundlegen change (change.json)."""

    format: Literal[1]
    cluster: str
    change: str
    kubernetes_version: str
    manifest: Literal["kubeadm", "rendered"]
    etcd_image: str
    ca_key_host: str | None = Field(description="the host whose bundle carries the CA's key; null: none")
    ports: Ports
    data_dir: str
    issued_at: Moment = Field(description="when the newest of the certificates was issued")
    signed: bool = Field(description="SHA256SUMS.sig signs SHA256SUMS")
    sealed: bool = Field(description="the keys in the bundles are encrypted")
    ca: Certificate
    installer: Installer
    hosts: tuple[Host, ...] = Field(min_length=1)
    base: Bundle | None = Field(
        default=None, description="the bundle for images that hosts share, with no key and no identity; null: none made"
    )
    images: SharedImages | None = Field(
        default=None, description="null: the bundles hold their images themselves, or bring none"
    )
    compared_with: Compared | None = Field(description="null: no previous change was given")
    versions: dict[str, str]


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of change.json."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Change.model_json_schema(mode="validation"),
    }
