"""Bundles of changes after the first, and hosts as version 0.1 left them."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from bundlegen.bundle.conf import KEYS
from tests.shell.payload import HEALTH, KUBEADM_CONFIG, POD, STATE, Payload
from tests.shell.sandbox import Sandbox

THREE = {"infra0": "10.0.0.6", "infra1": "10.0.0.7", "infra2": "10.0.0.8"}
NEWER_KEYS = [key.name for key in KEYS if key.before is not None]


def configure(name: str = "2-configure", *, after: str = "create", required: str = "create", **changes: Any) -> Payload:
    """A bundle that configures: another number of snapshots than `create` had, if nothing else is said."""
    members = changes.get("members", {"infra0": "10.0.0.6"})
    conf = {
        "OPERATION": "configure",
        "CHANGE": name,
        "CHANGE_NUMBER": name.partition("-")[0],
        "AFTER_CHANGE": after,
        "REQUIRED_CHANGE": required,
        "MEMBERS_BEFORE": " ".join(f"{host}={address}" for host, address in members.items()),
        **changes.pop("conf", {}),
    }
    changes.setdefault("etcd_argument", f"--snapshot-count={conf['CHANGE_NUMBER']}000")
    return Payload(conf=conf, **changes)


def renew(name: str = "2-renew", *, after: str = "create", required: str = "create", **changes: Any) -> Payload:
    """A bundle that renews: other keys and certificates than `create` had, and nothing else that is another."""
    changes.setdefault("etcd_argument", "--snapshot-count=10000")
    changes.setdefault("issue", int(name.partition("-")[0]))
    changes["conf"] = {"OPERATION": "renew", **changes.pop("conf", {})}
    return configure(name, after=after, required=required, **changes)


def add(name: str = "2-add", **changes: Any) -> Payload:
    """A bundle that makes infra0 a member of a cluster that the others of ``members`` are."""
    members = changes.setdefault("members", THREE)
    before = " ".join(f"{host}={address}" for host, address in members.items() if host != "infra0")
    conf = {"OPERATION": "add", "CHANGE": name, "CHANGE_NUMBER": name.partition("-")[0], "MEMBERS_BEFORE": before}
    changes["conf"] = {**conf, **changes.pop("conf", {})}
    return Payload(state="existing", **changes)


def replaced(name: str = "2-replace", **changes: Any) -> Payload:
    """A bundle that replaces the member of infra0, in a cluster of three."""
    members = changes.setdefault("members", THREE)
    conf = {"OPERATION": "replace", "REPLACED": "infra0", "AFTER_CHANGE": "create"}
    before = " ".join(f"{host}={address}" for host, address in members.items())
    conf |= {"CHANGE": name, "CHANGE_NUMBER": name.partition("-")[0], "MEMBERS_BEFORE": before}
    changes["conf"] = {**conf, **changes.pop("conf", {})}
    return Payload(state="existing", issue=1, **changes)


def removing(removes: str, name: str = "2-remove", **changes: Any) -> Payload:
    """infra0's bundle of a change that takes these members out of a cluster of three: its own, or those gone."""
    gone = removes.split()
    stay = {host: address for host, address in THREE.items() if host not in gone or "infra0" in gone}
    conf = {"OPERATION": "remove", "REMOVES": removes, "AFTER_CHANGE": "create", "REQUIRED_CHANGE": "create"}
    before = " ".join(f"{host}={address}" for host, address in THREE.items())
    birth = ",".join(f"{host}=https://{address}:2380" for host, address in THREE.items())
    conf |= {"CHANGE": name, "CHANGE_NUMBER": name.partition("-")[0], "MEMBERS_BEFORE": before}
    payload = Payload(members=stay, conf=conf | {"INITIAL_CLUSTER": birth}, **changes)
    payload.files |= {path: Payload(members=THREE).files[path] for path in (POD, KUBEADM_CONFIG)}
    return payload


def upgrade(name: str = "2-upgrade", image: str = "registry.k8s.io/etcd:3.5.26-0", **changes: Any) -> Payload:
    """A bundle that upgrades: another etcd image than `create` had, and a flag by which its process is known."""
    changes["conf"] = {"OPERATION": "upgrade", "ETCD_IMAGE": image, **changes.pop("conf", {})}
    return configure(name, **changes)


def adopting(**changes: Any) -> Payload:
    """A bundle that takes over infra0's member, in a cluster of three."""
    members = changes.setdefault("members", THREE)
    conf = {"OPERATION": "adopt", "CHANGE": "1-adopt", "CHANGE_NUMBER": "1"}
    conf |= {"MEMBERS_BEFORE": " ".join(f"{host}={address}" for host, address in members.items())}
    changes["conf"] = {**conf, **changes.pop("conf", {})}
    return Payload(issue=1, **changes)


def restoring(snapshot: bytes, name: str = "2-restore", **changes: Any) -> Payload:
    """A bundle that makes a cluster of three anew from this snapshot."""
    members = changes.setdefault("members", THREE)
    conf = {"OPERATION": "restore", "SNAPSHOT_SHA256": hashlib.sha256(snapshot).hexdigest()}
    before = " ".join(f"{host}={address}" for host, address in changes.pop("before", THREE).items())
    conf |= {"CHANGE": name, "CHANGE_NUMBER": name.partition("-")[0], "MEMBERS_BEFORE": before}
    conf |= {"AFTER_CHANGE": "create"} if "infra0" in before else {}
    changes["conf"] = {**conf, **changes.pop("conf", {})}
    assert members
    return Payload(token="token-1-2-abcdef01", **changes)


def rotate(turn: str, name: str = "", **changes: Any) -> Payload:
    """A bundle of this round of another CA, in a cluster of three."""
    name = name or ("3-rotate-ca" if turn == "2" else "2-rotate-ca")
    required = "2-rotate-ca" if turn == "2" else "create"
    changes.setdefault("members", THREE)
    ca, signer = {"1": ("one", "two"), "2": ("two", "two"), "now": ("two", "")}[turn]
    changes["conf"] = {"OPERATION": "rotate-ca", "CA_ROUND": turn, **changes.pop("conf", {})}
    return configure(
        name, after=required, required=required, etcd_argument="--snapshot-count=10000", ca=ca, signer=signer, **changes
    )


def as_version_0_1_left_it(host: Sandbox) -> None:
    """An installed host, its state rewritten to what version 0.1 would have left.

    Its keys, its journal's words, the manifest as kubeadm writes it, and nothing of a member that has lived.
    """
    pid, record = host.stubbed("etcd-pid"), host.path(f"{STATE}/manifest.record")
    host.execute("/usr/local/sbin/kubeadm", "init", "phase", "etcd", "local", "--config", KUBEADM_CONFIG)
    manifest_digest = hashlib.sha256(host.path(POD).read_bytes()).hexdigest()
    record.write_text(re.sub("(?<=^manifest ).*", manifest_digest, record.read_text(), flags=re.MULTILINE))
    host.until(lambda: host.stubbed("etcd-pid") != pid)
    assert host.execute(HEALTH, "--wait", "20").returncode == 0
    folder = host.path(f"{STATE}/bundle")
    conf, manifest = folder / "bundle.conf", folder / "MANIFEST"
    old = hashlib.sha256(manifest.read_bytes()).hexdigest()
    newer = re.compile(rf"(?:{'|'.join(NEWER_KEYS)})='.*'\n")
    conf.write_text("".join(line for line in conf.read_text().splitlines(keepends=True) if not newer.fullmatch(line)))
    digest = hashlib.sha256(conf.read_bytes()).hexdigest()
    manifest.write_text(re.sub(r"[0-9a-f]{64} bundle\.conf", f"{digest} bundle.conf", manifest.read_text()))
    new = hashlib.sha256(manifest.read_bytes()).hexdigest()
    for journal in host.path(f"{STATE}/generations").glob("*/journal"):
        text = journal.read_text().replace(old, new)
        text = re.sub(r"^(begin \S+ \S+ \S+) \S+$", r"\1", text, flags=re.MULTILINE)
        journal.write_text(re.sub("^emptydata ", "member ", text, flags=re.MULTILINE))
    host.path(f"{STATE}/member").unlink()
