"""The record of a change as data: which bundles, what is in them, which certificates, made by what. Pure.

It holds no secret, and nothing of when or where it was made that would differ if it were made again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from bundlegen import __version__, layout
from bundlegen.bundle import member
from bundlegen.bundle.facts import FIRST, Position
from bundlegen.bundle.finished import Packed, Part, Shared
from bundlegen.pki.certinfo import CertInfo
from bundlegen.record import schema

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster, Host


@dataclass(frozen=True)
class Setting:
    """What came before the change. The default is that of a cluster's first.

    ``after``: the name of the change before, and ``before`` the cluster as that one left it. ``births``: with what each
    member was started first, by name; the others are of a new cluster's. ``positions``: by host, where its bundle
    stands. ``ran``: the hosts of which a receipt says that they ran the change before theirs. ``differences``: what
    the specification says otherwise. ``ca_round``: which round of another CA it is.
    ``snapshot``: the SHA-256 of the one that the cluster begins with.
    """

    change: str = layout.FIRST_CHANGE
    number: int = 1
    operation: str = layout.FIRST_CHANGE
    after: str | None = None
    before: Cluster | None = None
    births: Mapping[str, member.Birth] = field(default_factory=dict)
    positions: Mapping[str, Position] = field(default_factory=dict)
    ran: frozenset[str] = frozenset()
    differences: tuple[schema.Edit, ...] = ()
    ca_round: schema.CaRound = ""
    snapshot: str = ""


FIRST_DAY = Setting()


def change(
    cluster: Cluster,
    bundles: Sequence[Packed],
    cas: Sequence[CertInfo],
    installer_sha256: str,
    versions: Mapping[str, str],
    *,
    issued_at: datetime,
    setting: Setting = FIRST_DAY,
    signed: bool = False,
    sealed: bool = False,
    compared_with: schema.Compared | None = None,
    base: Packed | None = None,
    images: Shared | None = None,
) -> schema.Change:
    """The record of one change; :mod:`bundlegen.record.schema` says what each field is.

    ``bundles``: of the hosts that take part, in the order of execution. ``cas``: those in force, the one that signs
    first. ``versions``: of everything that had a part in the bytes. ``issued_at``: when the newest certificate was
    issued. ``base``: the bundle for images. ``images``: the file that the bundles share.
    """
    authorities = tuple(schema.Certificate.of(info) for info in cas)
    before = setting.before
    return schema.Change(
        format=1,
        cluster=cluster.name,
        change=setting.change,
        operation=setting.operation,
        number=setting.number,
        after=setting.after,
        kubernetes_version=cluster.kubernetes_version,
        manifest=cluster.manifest,
        etcd_image=member.image(cluster),
        ca_key_host=cluster.ca_key_host,
        ports=schema.Ports(
            client=cluster.ports.client,
            peer=cluster.ports.peer,
            metrics=cluster.ports.metrics,
            metrics_on=cluster.etcd.metrics_on,
        ),
        data_dir=cluster.etcd.data_dir,
        issued_at=issued_at,
        signed=signed,
        sealed=sealed,
        ca=authorities[0],
        cas=authorities,
        ca_round=setting.ca_round,
        snapshot=setting.snapshot,
        signer="" if cluster.trust is None else cluster.trust.signer,
        members_before=() if before is None else _members(before, setting),
        members=_members(cluster, setting),
        differences=setting.differences,
        installer=schema.Installer(file=layout.INSTALLER, sha256=installer_sha256),
        hosts=tuple(_host(cluster, packed, setting) for packed in bundles),
        base=None if base is None else _bundle(base),
        images=None if images is None else _shared(images),
        compared_with=compared_with,
        versions={"bundlegen": __version__, **versions},
    )


def dump(record: schema.Change) -> bytes:
    """The bytes of ``change.json``."""
    return (json.dumps(record.data(), indent=2, ensure_ascii=False) + "\n").encode()


def sums(files: Mapping[str, str]) -> bytes:
    """The bytes of ``SHA256SUMS`` (as ``sha256sum -c`` reads it) from sums by file name."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(files.items())).encode()


def _members(cluster: Cluster, setting: Setting) -> tuple[schema.Member, ...]:
    founding = member.founding(cluster)
    return tuple(
        schema.Member(
            **dict(_address(cluster, host)),
            initial_cluster=setting.births.get(host.name, founding).initial_cluster,
            state=setting.births.get(host.name, founding).state,
        )
        for host in cluster.hosts
    )


def _address(cluster: Cluster, host: Host) -> schema.Address:
    return schema.Address(
        name=host.name,
        address=host.address,
        client_url=member.client_url(cluster, host),
        peer_url=member.peer_url(cluster, host),
    )


def _host(cluster: Cluster, packed: Packed, setting: Setting) -> schema.Host:
    everybody = (*cluster.hosts, *(setting.before.hosts if setting.before else ()))
    host = next(each for each in everybody if each.name == packed.plan.host)
    position = setting.positions.get(host.name, FIRST)
    return schema.Host(
        **dict(_address(cluster, host)),
        first_expiry=packed.first_expiry,
        **dict(_bundle(packed)),
        certificates=tuple(
            schema.PlacedCertificate(path=destination, **dict(schema.Certificate.of(info)))
            for destination, info in sorted(packed.certificates.items())
        ),
        after=position.after or None,
        required=position.required or None,
        after_ran=host.name in setting.ran,
    )


def _bundle(packed: Packed) -> schema.Bundle:
    return schema.Bundle(
        bundle=packed.name,
        size=packed.size,
        sha256=packed.sha256,
        payload_digest=packed.plan.digest,
        parts=_parts(packed.parts),
        files=tuple(
            schema.File(
                path=entry.destination,
                placed=entry.placed,
                mode=f"{entry.mode:04o}",
                owner=layout.OWNER,
                size=entry.size,
                sha256=entry.sha256,
                secret=entry.private,
                what=entry.what,
            )
            for entry in packed.plan.entries
        ),
    )


def _parts(parts: Sequence[Part]) -> tuple[schema.Part, ...]:
    return tuple(schema.Part(name=part.name, size=part.size, sha256=part.sha256) for part in parts)


def _shared(images: Shared) -> schema.SharedImages:
    return schema.SharedImages(file=images.name, size=images.size, sha256=images.sha256, parts=_parts(images.parts))
