"""Rules for ``etcd.extraArgs``: which flags are not the user's, and which this etcd knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from bundlegen import kubernetes, layout
from bundlegen.addresses import show
from bundlegen.spec import etcd_flags
from bundlegen.spec.etcd_flags import FLAGS, GATES, Flag, Version, text_of
from bundlegen.spec.finding import FieldPath, Finding, Rule, closest

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster

_FROM_HOSTS: Final = "it follows from hosts"
_FROM_PORTS: Final = "it follows from hosts and ports"
_FROM_PKI: Final = "the certificates are where kubeadm expects them"
_TLS_STAYS: Final = "every connection is authenticated by certificates from this cluster's CA"
_BOOTSTRAP: Final = "members find each other by the hosts listed here"
_GATEWAY: Final = "it shuts etcd's JSON gateway, by which the bundles ask members and do every later change"
_MANAGED: Final = {
    "name": _FROM_HOSTS,
    "initial-cluster": _FROM_HOSTS,
    "initial-cluster-state": "bundlegen knows whether the cluster is new",
    "initial-cluster-token": "write etcd.initialClusterToken",
    "initial-advertise-peer-urls": _FROM_PORTS,
    "advertise-client-urls": _FROM_PORTS,
    "listen-client-urls": _FROM_PORTS,
    "listen-peer-urls": _FROM_PORTS,
    "listen-metrics-urls": "write etcd.metricsOn and ports.metrics",
    "listen-client-http-urls": "health is asked for where kubeadm's probes ask",
    "data-dir": "write etcd.dataDir",
    "cert-file": _FROM_PKI,
    "key-file": _FROM_PKI,
    "trusted-ca-file": _FROM_PKI,
    "ca-file": _FROM_PKI,
    "client-cert-file": _FROM_PKI,
    "client-key-file": _FROM_PKI,
    "peer-cert-file": _FROM_PKI,
    "peer-key-file": _FROM_PKI,
    "peer-trusted-ca-file": _FROM_PKI,
    "peer-ca-file": _FROM_PKI,
    "peer-client-cert-file": _FROM_PKI,
    "peer-client-key-file": _FROM_PKI,
    "client-cert-auth": _TLS_STAYS,
    "peer-client-cert-auth": _TLS_STAYS,
    "auto-tls": _TLS_STAYS,
    "peer-auto-tls": _TLS_STAYS,
    "config-file": "etcd would then ignore every other flag",
    "force-new-cluster": "it makes every member forget the others at each start",
    "discovery": _BOOTSTRAP,
    "proxy": "a proxy is not a member",
    "version": "etcd would print its version and end",
    "client-cert-allowed-hostname": _GATEWAY,
}
_FOLDED: Final = {name.replace("-", ""): name for name in _MANAGED}
_INVOLVED: Final[tuple[FieldPath, ...]] = (("kubernetesVersion",), ("etcd", "imageTag"))
_LAST_WITH_EXPERIMENTAL: Final = 6
_TRUE: Final = ("1", "t", "T", "true", "TRUE", "True")
_CORRUPT_CHECK: Final = "InitialCorruptCheck"


def flags_free(cluster: Cluster) -> Iterator[Finding]:
    """extraArgs adds and tunes; what bundlegen derives from the rest of the specification is not overridden.

    ``client-cert-allowed-hostname`` and ``enable-grpc-gateway=false`` end the JSON gateway: its own connection to
    etcd is then refused, also where server.crt has that name.
    """
    for name, value in cluster.etcd.extra_args.items():
        path: FieldPath = ("etcd", "extraArgs", name)
        if why := _managed(name):
            yield Finding(path, f"cannot be set: {why}", "remove it")
        elif name == "enable-grpc-gateway" and value not in _TRUE:
            yield Finding(path, f"cannot be {show(value)[1:-1]}: {_GATEWAY}", "remove it")
        elif name == "wal-dir" and not _is_below(value.rstrip("/"), cluster.etcd.data_dir):
            yield Finding(
                path,
                "is no plain folder below dataDir, so the log would be lost with each container or lie elsewhere",
                f"such as {cluster.etcd.data_dir}/wal: only {cluster.etcd.data_dir} is mounted",
                involves=(("etcd", "dataDir"),),
            )
        elif name == "unsafe-no-fsync" and value != "false":
            yield Finding(
                path, "a power cut can then destroy the data", "remove it unless this is a test", warning=True
            )


def _is_below(path: str, folder: str) -> bool:
    """Whether ``path`` is a folder below ``folder``, by a name that a bundle may hold."""
    return path.startswith(f"{folder.rstrip('/')}/") and layout.is_destination(path)


def flags_known(cluster: Cluster) -> Iterator[Finding]:
    """This etcd has each of the flags, and takes its value: it starts with no other.

    Where the image's tag does not say which etcd it is, the one that kubeadm expects is asked, and only warns.
    """
    version, certain, etcd = _etcd(cluster)
    if version < (3, etcd_flags.FIRST_MINOR, 0):
        return  # image_fits refuses it
    for name, value in cluster.etcd.extra_args.items():
        path: FieldPath = ("etcd", "extraArgs", name)
        flag = FLAGS.get(name)
        if _managed(name):
            continue
        if flag is None or not flag.is_in(version):
            yield Finding(path, *_unknown(name, flag, version, etcd), involves=_INVOLVED, warning=not certain)
        elif flag.kind == "ignored":
            yield Finding(path, f"does nothing in {etcd}", "remove it", involves=_INVOLVED, warning=True)
        elif wanted := etcd_flags.unfit(flag.kind, value):
            yield Finding(path, f"{show(value)} is not what etcd takes here", f"write {wanted}")
        elif name.startswith("experimental-") and version[1] == _LAST_WITH_EXPERIMENTAL:
            yield Finding(
                path,
                "--experimental flags end with etcd 3.7",
                _instead(name, version),
                involves=_INVOLVED,
                warning=True,
            )


def gates_known(cluster: Cluster) -> Iterator[Finding]:
    """What ``feature-gates`` names exists, and no experimental flag says it too: etcd 3.6 refuses both at once."""
    version, certain, etcd = _etcd(cluster)
    args, own = cluster.etcd.extra_args, _kubeadms_own(cluster)
    path: FieldPath = ("etcd", "extraArgs", "feature-gates")
    if version < (3, min(GATES), 0):
        return
    gates = args.get("feature-gates", own.get("feature-gates", ""))
    if "feature-gates" in args:
        for gate, wrong, hint in _wrong_gates(gates, GATES[version[1]], etcd):
            yield Finding(path, f"{wrong}: {show(gate)}", hint, involves=_INVOLVED, warning=not certain)
        if "feature-gates" in own and _CORRUPT_CHECK not in gates:
            yield Finding(
                path,
                f"replaces kubeadm's own {own['feature-gates']}",
                f"add {own['feature-gates']} to it",
                involves=_INVOLVED,
                warning=True,
            )
    for name in {**own, **args}:
        gate = etcd_flags.gate_of(name)
        if not (gate and gate in gates and name in etcd_flags.names(version)):
            continue
        where = ("etcd", "extraArgs", name) if name in args else path
        whose = "feature-gates" if "feature-gates" in args else "kubeadm's own feature-gates"
        message = (
            f"{etcd} does not start with this beside {whose}, which has {gate}"
            if name in args
            else f"{etcd} does not start with {gate} beside kubeadm's own {name}"
        )
        yield Finding(
            where,
            message,
            "remove it" if name in args else f"leave {gate} out",
            involves=_INVOLVED,
            warning=not certain,
        )


def _managed(name: str) -> str:
    """Why the flag is not the user's; empty if it is."""
    if name.startswith("discovery"):
        return _BOOTSTRAP
    return _MANAGED.get(_FOLDED.get(name.replace("-", "").removeprefix("experimental"), ""), "")


def _kubeadms_own(cluster: Cluster) -> dict[str, str]:
    facts = kubernetes.for_version(cluster.minor)
    tag = cluster.etcd.image_tag or facts.etcd_tag(cluster.patch)
    return kubernetes.consistency_flags(facts, cluster.patch, tag)


def _etcd(cluster: Cluster) -> tuple[Version, bool, str]:
    """The etcd that will run, whether that is certain, and its name in messages."""
    default = kubernetes.etcd_version(kubernetes.for_version(cluster.minor).etcd_tag(cluster.patch)) or (3, 5, 0)
    if cluster.etcd.image_tag is None:
        return default, True, f"etcd {text_of(default)} of kubeadm {cluster.kubernetes_version}"
    version = kubernetes.etcd_version(cluster.etcd.image_tag)
    if version is None:
        return default, False, f"etcd {text_of(default)}, which kubeadm {cluster.kubernetes_version} expects,"
    if version[:2] > (3, etcd_flags.LAST_MINOR):
        newest = (3, etcd_flags.LAST_MINOR, 999)
        return newest, False, f"etcd 3.{etcd_flags.LAST_MINOR}, the newest that bundlegen knows,"
    return version, True, f"etcd {text_of(version)}"


def _unknown(name: str, flag: Flag | None, version: Version, etcd: str) -> tuple[str, str]:
    """What is wrong with a flag that this etcd does not know, and what to write."""
    if flag is None:
        free = sorted(each for each in etcd_flags.names(version) if not _managed(each))
        near = closest(name, free) or closest(name.removeprefix("experimental-"), free)
        gate = etcd_flags.gate_of(name) if version[1] in GATES else ""
        if gate:
            return f"{etcd} has no such flag", _by_gate(gate)
        return f"{etcd} has no such flag", f"did you mean {near}?" if near else "its documentation lists them"
    if flag.last_minor < version[1]:
        return f"{etcd} no longer has this flag, 3.{flag.last_minor} was the last", _instead(name, version)
    came = next(((minor, patch) for minor, patch in flag.since if minor >= version[1]), flag.since[-1])
    first = f"3.{came[0]}.{came[1]}" if came[1] else f"3.{came[0]}"
    other = etcd_flags.form_elsewhere(name, version)
    hint = f"write {other}" if other else f"remove it, or use etcd {first} or later"
    return f"{etcd} does not have this flag yet: it comes with {first}", hint


def _instead(name: str, version: Version) -> str:
    """What to write for a flag that has ended, or is about to."""
    if gate := etcd_flags.gate_of(name):
        return _by_gate(gate)
    other = etcd_flags.form_elsewhere(name, version)
    return f"write {other}" if other else 'write log-level: "debug"' if name == "debug" else "remove it"


def _by_gate(gate: str) -> str:
    if gate == _CORRUPT_CHECK:
        return f"remove it: kubeadm sets the feature gate {gate}=true"
    return f'write feature-gates: "{_CORRUPT_CHECK}=true,{gate}=true"'


def _wrong_gates(text: str, known: frozenset[str], etcd: str) -> Iterator[tuple[str, str, str]]:
    """Each part of ``text`` that etcd would not start with, what is wrong, and what to do."""
    for part in filter(None, text.split(",")):
        gate, equals, value = (piece.strip() for piece in part.partition("="))
        if gate not in known:
            near = closest(gate, sorted(known))
            yield gate, f"{etcd} has no such feature gate", f"did you mean {near}?" if near else "remove it"
        elif not equals or etcd_flags.unfit("bool", value):
            yield part, "this gate is neither true nor false", f"write {gate}=true"


RULES: Final[tuple[Rule, ...]] = (flags_free, flags_known, gates_known)
