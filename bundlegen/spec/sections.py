"""Sections of the specification that most do without: your own CA, and what hosts do beside running etcd."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bundlegen.spec.types import Calendar, Fingerprint, HostPath, LocalPath, Signer, SignerLine


class Section(BaseModel):
    """A mapping of the specification. Unknown fields are errors; a field without a value is as good as absent."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _without_empty_fields(cls, data: Any) -> Any:
        """A section whose every line is commented out reads as null; kubectl takes that as absent, and so do we."""
        if not isinstance(data, dict):
            return data
        known = field_names(cls)
        return {key: value for key, value in data.items() if value is not None or key not in known}


@cache
def field_names(model: type[BaseModel]) -> Mapping[str, str]:
    """The fields of ``model`` as users write them, each with its name in Python."""
    return {info.alias or name: name for name, info in model.model_fields.items()}


class CaFiles(NamedTuple):
    """The two files of a CA that is brought along."""

    certificate: str
    key: str


class PreviousCa(Section):
    """Your own CA that was in force before, while ``bundlegen rotate-ca`` turns from it to another."""

    certificate: LocalPath = Field(description="PEM file with that CA's certificate, relative to the specification.")
    key: LocalPath = Field(description="PEM file with its private key, which signs the cross certificate.")


class Ca(Section):
    """The certificate authority: your own, in place of one that bundlegen creates, and which one it has to be."""

    certificate: LocalPath | None = Field(
        default=None, description="PEM file with your CA's certificate, relative to the specification."
    )
    key: LocalPath | None = Field(
        default=None, description="PEM file with your CA's private key, relative to the specification."
    )
    fingerprint: Fingerprint | None = Field(
        default=None,
        description="SHA-256 fingerprint of the CA that the store must hold; no other one is made or used.",
    )
    previous: PreviousCa | None = Field(
        default=None,
        description="Your own CA that was in force before, while `bundlegen rotate-ca` turns from it to another.",
    )


class Health(Section):
    """The health check that is left on the hosts."""

    metrics_directory: HostPath | None = Field(
        default=None,
        alias="metricsDirectory",
        description="Folder of node-exporter's textfile collector; the health check's timer then writes a file there.",
    )


class Backup(Section):
    """Snapshots that the hosts take by themselves."""

    schedule: Calendar = Field(default="*-*-* 02:00:00", description="When, as in systemd's OnCalendar.")
    keep: int = Field(default=7, ge=1, le=1000, description="How many of them stay on each host, the newest ones.")
    directory: HostPath | None = Field(
        default=None, description="The folder on the hosts. Default: `snapshots` in bundlegen's own folder there."
    )


class Trust(Section):
    """Whose signature the hosts demand of a bundle, before any of it is run."""

    signer: Signer = Field(description="The name in the list of allowed signers that signs changes.")
    allowed_signers: LocalPath | None = Field(
        default=None,
        alias="allowedSigners",
        description="File in OpenSSH's format (ALLOWED SIGNERS in ssh-keygen(1)), relative to the specification.",
    )
    signers: tuple[SignerLine, ...] = Field(
        default=(), strict=False, max_length=100, description="The lines of such a file, in place of its name."
    )
