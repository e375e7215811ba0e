"""Records of changes and receipts of hosts for tests, made without keys or programs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bundlegen import layout
from bundlegen.bundle import finished
from bundlegen.bundle.effects import Effect, restarts
from bundlegen.bundle.entry import entry
from bundlegen.bundle.facts import Position
from bundlegen.bundle.plan import BundlePlan
from bundlegen.operations.table import named
from bundlegen.pki import catalog
from bundlegen.pki.certinfo import CertInfo
from bundlegen.record import make, schema, write
from bundlegen.record.schema import Change
from bundlegen.record.story import Story
from bundlegen.spec.check import parse
from bundlegen.spec.model import Cluster
from bundlegen.system import resources
from bundlegen.system.text import stamp

ISSUED = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LONG_NAME = "etcd-member-{}.a-long-subdomain.northern-region.example.net"
LONG_ADDRESS = "fd12:3456:789a:bcde:f012:3456:789a:abc{}"


def cluster(count: int = 3, *, long: bool = False, **changes: Any) -> Cluster:
    """A cluster of ``count`` hosts; ``long``: with long names and IPv6 addresses."""
    hosts = [
        {"name": LONG_NAME.format(index), "address": LONG_ADDRESS.format(index)}
        if long
        else {"name": f"infra{index}", "address": f"10.0.0.{6 + index}"}
        for index in range(count)
    ]
    return parse({"name": "prod-etcd", "kubernetesVersion": "v1.31.4", "hosts": hosts, **changes})


def change(made: Cluster, **options: Any) -> dict[str, Any]:
    """The record of a change of ``made``, as :func:`bundlegen.record.make.change` writes it.

    ``setting``: what came before; ``hosts``: who takes part, by name, all by default.
    """
    bundles = []
    for host in made.hosts:
        if host.name not in options.get("hosts", (host.name,)):
            continue
        files = catalog.host_files(made, host)
        entries = [
            entry(
                layout.pki_path(file.path),
                f"{host.name} {file.path}".encode(),
                layout.MODE_KEY if file.private else layout.MODE_CERTIFICATE,
                catalog.what(file),
                private=file.private,
            )
            for file in files
        ]
        entries.append(entry(layout.INSTALLER, b"#!/bin/bash", layout.MODE_PROGRAM, "installer"))
        plan = BundlePlan(host.name, tuple(sorted(entries, key=lambda each: each.destination)))
        leaves = {f"{leaf.base_name}.crt": leaf for leaf in catalog.LEAF_SPECS}
        certificates = {
            layout.pki_path(path): certificate(f"CN={host.name}", f"{host.name} {path}", (f"DNS:{host.name}",))
            for path in leaves
        }
        certificates[layout.pki_path("etcd/ca.crt")] = ca()
        bundles.append(finished.Packed(plan, 60000, digest(host.name), certificates, options.get("parts", ())))
    return make.change(
        made,
        bundles,
        [ca()],
        digest("install.sh"),
        {"makeself": "2.4.5"},
        issued_at=ISSUED,
        signed=options.get("signed", False),
        sealed=options.get("sealed", False),
        setting=options.get("setting", make.FIRST_DAY),
        compared_with=options.get("compared_with"),
    ).data()


def configured(count: int = 3, *, hosts: Sequence[int] | None = None, effect: Effect = "pod", **kind: Any) -> Any:
    """The record of a second change: a flag of etcd, on the hosts of these numbers, all by default.

    ``effect``: what that costs; ``ran``: the hosts of which a receipt of the first change is known.
    """
    ran = kind.pop("ran", ())
    made = cluster(count, **kind)
    names = [host.name for host in made.hosts]
    chosen = names if hosts is None else [names[index] for index in hosts]
    edit = schema.Edit(field="etcd.extraArgs.snapshot-count", old="", new="5000")
    file = schema.Replaced(
        path=layout.KUBEADM_CONFIG, effect=effect, why="kubeadm makes the static Pod manifest from it"
    )
    flag = schema.Difference(what="etcd flag --snapshot-count", old="", new="5000")
    compared = [
        schema.ComparedHost(name=name, changes=(flag,), restarts=restarts([effect]), files=(file,)) for name in chosen
    ]
    setting = make.Setting(
        change="2-configure",
        number=2,
        operation="configure",
        after=layout.FIRST_CHANGE,
        before=made,
        positions=dict.fromkeys(names, Position("2-configure", 2, "configure", "create", "create")),
        ran=frozenset(ran),
        differences=(edit,),
    )
    return change(
        made,
        hosts=chosen,
        setting=setting,
        compared_with=schema.Compared(
            change="create", sha256=None, hosts_gone=(), hosts_added=(), hosts=tuple(compared)
        ),
    )


def upgraded(count: int = 3, *, effect: Effect = "pod") -> Any:
    """The record of an upgrade that follows the first change."""
    made = configured(count, effect=effect)
    text = json.dumps(made).replace("2-configure", "2-upgrade").replace('"configure"', '"upgrade"')
    return json.loads(text.replace("etcd.extraArgs.snapshot-count", "kubernetesVersion"))


def renewed(count: int = 3, *, hosts: Sequence[int] | None = None, until: str = "2026-12-24T20:00:00Z") -> Any:
    """The record of a renewal of the first change; ``until``: when what is replaced expires."""
    made = cluster(count)
    names = [host.name for host in made.hosts]
    chosen = names if hosts is None else [names[index] for index in hosts]
    path = layout.pki_path("etcd/server.crt")
    file = schema.Replaced(path=path, effect="none", why="what reads it does so at each handshake")
    ends = schema.Difference(what="certificate etcd-server, expiry", old=until, new="2027-11-22T20:00:00Z")
    compared = tuple(schema.ComparedHost(name=name, changes=(ends,), restarts=(), files=(file,)) for name in chosen)
    setting = make.Setting(
        change="2-renew",
        number=2,
        operation="renew",
        after=layout.FIRST_CHANGE,
        before=made,
        positions=dict.fromkeys(names, Position("2-renew", 2, "renew", "create", "create")),
    )
    found = schema.Compared(change="create", sha256=None, hosts_gone=(), hosts_added=(), hosts=compared)
    return change(made, hosts=chosen, setting=setting, compared_with=found)


def ca() -> CertInfo:
    """A certificate of the CA, valid for ten years."""
    return certificate("CN=etcd-ca", "ca", ("DNS:etcd-ca",), days=3650, is_ca=True)


def certificate(subject: str, seed: str, sans: tuple[str, ...], *, days: int = 365, is_ca: bool = False) -> CertInfo:
    """A certificate in words, valid from five minutes before :data:`ISSUED`."""
    return CertInfo(
        subject=subject,
        issuer="CN=etcd-ca",
        serial=digest(seed)[:16],
        not_before=ISSUED - timedelta(minutes=5),
        not_after=ISSUED + timedelta(days=days),
        sans=sans,
        usages=() if is_ca else ("serverAuth", "clientAuth"),
        is_ca=is_ca,
        algorithm="RSA-2048",
        fingerprint=digest(f"{seed} fingerprint"),
    )


def digest(seed: str) -> str:
    """Some SHA-256."""
    return hashlib.sha256(seed.encode()).hexdigest()


def receipt(made: dict[str, Any], index: int = 0, /, *, minutes: int = 60, **changes: Any) -> bytes:
    """What ``templates/install/transaction/receipt.sh`` writes after a run that ended ``minutes`` after the issue."""
    of = made["hosts"][index]
    ended = ISSUED + timedelta(minutes=minutes)
    content = {
        "format": 1,
        "bundlegenVersion": "0.1.0",
        "cluster": made["cluster"],
        "change": made["change"],
        "host": of["name"],
        "address": of["address"],
        "payloadDigest": of["payloadDigest"],
        "verb": "install",
        "startedAt": stamp(ended - timedelta(seconds=9)),
        "endedAt": stamp(ended),
        "exitCode": 0,
        "outcome": "installed",
        "error": "",
        "machineId": digest(of["name"])[:32],
        "hostname": of["name"],
        "changed": [
            {"path": file["path"], "before": None, "after": file["sha256"], "mode": file["mode"]}
            for file in of["files"]
            if file["placed"]
        ],
        "movedAside": [],
        "previousReceiptDigest": None,
        **changes,
    }
    return sealed(content)


def sealed(content: dict[str, Any]) -> bytes:
    """``content`` as a receipt: two-space JSON whose last line is the digest of all above it."""
    body = json.dumps(content, indent=2).removesuffix("\n}") + ",\n"
    return f'{body}  "receiptDigest": "{hashlib.sha256(body.encode()).hexdigest()}"\n}}\n'.encode()


def rendered(made: dict[str, Any]) -> dict[str, bytes]:
    """Every document of a record, by its name, with the story of its operation."""
    return write.render(Change.model_validate(made), resources.template_text, story_of(made))


def story_of(made: dict[str, Any]) -> Story:
    """The story of a record's operation."""
    operation = named(made["operation"])
    assert operation is not None
    return operation.story


def texts(files: dict[str, bytes]) -> str:
    """CHANGE.md and its annex."""
    return "\n".join(files[name].decode() for name in ("CHANGE.md", "CHANGE-annex.md") if name in files)
