"""bundle.conf as one table: each key, what it means, what its value looks like, and where the value comes from. Pure.

install.sh's list of keys (:func:`shell`), the table in docs/bundle-format.md (:func:`markdown`), what ``verify`` and
``diff`` look at, and the tests follow from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bundlegen import __version__, kubernetes, layout
from bundlegen.bundle import member
from bundlegen.bundle.facts import Facts, Window
from bundlegen.bundle.kubelet import kubelet_configuration


@dataclass(frozen=True)
class Key:
    """One key. ``pattern`` is read by bash (ERE) and by Python alike, and is of the whole value.

    ``base``: its value in the bundle for images, if that is another than a host's; empty for what tells hosts, or the
    data of clusters, apart. ``fixed``: every bundle has ``example`` for a value. ``of_change``: it says which change
    the bundle is of and what made it, and nothing of how the host is set up. ``told``: what ``diff`` calls it; empty
    if it follows from other things that ``diff`` shows. ``before``: what a bundle means that is older than the key;
    None if there is none such.
    """

    name: str
    example: str
    meaning: str
    pattern: str
    value: Callable[[Facts], str]
    base: str | None = None
    fixed: bool = False
    of_change: bool = False
    told: str = ""
    before: str | None = None

    @property
    def identity(self) -> bool:
        """Whether it tells one host, or the data of one cluster, from others."""
        return self.base == ""


# No component of a path is `.` or `..`.
_PATH: Final = "(/[.]{0,2}[A-Za-z0-9_@+-][A-Za-z0-9._@+-]*)+"
_NAME: Final = "[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"
_CLUSTER_ID: Final = "[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_NUMBER: Final = "(0|[1-9][0-9]{0,11})"  # as bash counts, to which 012 is ten
_PORT: Final = "(0|[1-9][0-9]{0,4})"
_ADDRESS: Final = "[0-9a-f.:]+"
_CHANGE: Final = "(create|[1-9][0-9]{0,6}-[a-z][a-z-]{0,63})"
_MEMBERS: Final = f"{_NAME}={_ADDRESS}( {_NAME}={_ADDRESS})*"
_IMAGE: Final = "[A-Za-z0-9._:/@-]"


def _window(of: Facts) -> Window:
    if of.content.window is None:
        raise ValueError("the bundle of a host has certificates, and they have dates")
    return of.content.window


def _seconds(name: str) -> Callable[[Facts], str]:
    return lambda of: str(int(getattr(_window(of), name).timestamp()))


def _kubelet(field: str, default: Callable[[Facts], bool]) -> Callable[[Facts], str]:
    """The value of a field of the kubelet's configuration that is true or false."""

    def value(of: Facts) -> str:
        found: Any = kubelet_configuration(of.cluster).get(field, default(of))
        return "true" if found else "false"

    return value


def _fails_on_cgroup_v1(of: Facts) -> bool:
    return kubernetes.for_version(of.cluster.minor).fails_on_cgroup_v1


def _exact(of: Facts) -> str:
    return "yes" if of.cluster.manifest == "rendered" or of.cluster.etcd.image_tag is not None else "no"


def members(pairs: Iterator[tuple[str, str]]) -> str:
    """Names and addresses as bundle.conf has them."""
    return " ".join(f"{name}={address}" for name, address in pairs)


# fmt: off
KEYS: Final = (
    Key("FORMAT", "1", "this format; another number is refused", _NUMBER, lambda _: layout.FORMAT),
    Key("KIND", "host", "`host`, or `base`: for images that all hosts share", "(host|base)", lambda _: layout.KIND_HOST,
        base=layout.KIND_BASE, told="kind"),
    Key("BUNDLEGEN_VERSION", "0.2.0", "what made it", "[0-9A-Za-z.+-]+", lambda _: __version__, of_change=True,
        told="bundlegen"),
    Key("CLUSTER", "prod-etcd", "cluster name", _NAME, lambda of: of.cluster.name, told="cluster"),
    Key("OPERATION", "configure", "what kind of change this is", "[a-z][a-z-]{0,63}", lambda of: of.position.operation,
        of_change=True, before="create"),
    Key("CHANGE", "2-configure", "the name of the change: `create` for the first, then its number and its operation",
        _CHANGE, lambda of: of.position.change, of_change=True),
    Key("CHANGE_NUMBER", "2", "the number of the change, from 1", "[1-9][0-9]{0,6}", lambda of: str(of.position.number),
        of_change=True, before="1"),
    Key("AFTER_CHANGE", "create", "the newest earlier change that had a bundle for this host; empty: none",
        f"({_CHANGE})?", lambda of: of.position.after, base="", of_change=True, before=""),
    Key("REQUIRED_CHANGE", "create",
        "the newest earlier change that must have run here, since no later one makes up for it; empty: none",
        f"({_CHANGE})?", lambda of: of.position.required, base="", of_change=True, before=""),
    Key("HOST", "infra0", "host name (nodeRegistration.name, etcd member name)", _NAME, lambda of: of.host.name,
        base="", told="host"),
    Key("ADDRESS", "10.0.0.6", "IP literal, bare, canonical spelling", _ADDRESS, lambda of: of.host.address, base="",
        told="address"),
    Key("MACHINE_ID", "", "pinned machine-id, 32 hex digits", "([0-9a-f]{32})?", lambda of: of.host.machine_id or "",
        base="", told="machine-id"),
    Key("ARCHITECTURE", "", "of the carried images, as `uname -m` says it; empty: any", "[a-z0-9_]*",
        lambda of: of.content.architecture, told="architecture"),
    Key("KUBERNETES_VERSION", "v1.31.4", "", "v1[.][0-9]{1,3}[.][0-9]{1,4}", lambda of: of.cluster.kubernetes_version,
        told="Kubernetes"),
    Key("MANIFEST_MODE", "kubeadm", "`kubeadm` or `rendered`", "(kubeadm|rendered)", lambda of: of.cluster.manifest,
        told="manifest"),
    Key("MEMBERS", "infra0=10.0.0.6 infra1=10.0.0.7",
        "every member after this change, name=address, in order, one space between", _MEMBERS,
        lambda of: members((each.name, each.address) for each in of.cluster.hosts), base=""),
    Key("MEMBERS_BEFORE", "infra0=10.0.0.6 infra1=10.0.0.7",
        "every member before this change, alike; empty: there is no cluster yet", f"({_MEMBERS})?",
        lambda of: members(iter(of.position.members_before)), base="", of_change=True, before=""),
    Key("REPLACED", "", "the host whose member comes anew in this change (`replace`); empty: none", f"({_NAME})?",
        lambda of: of.position.replaced, base="", of_change=True, before=""),
    Key("REMOVES", "", "the members that leave in this change (`remove`), in order, in the bundles that take them out",
        f"({_NAME}( {_NAME})*)?", lambda of: " ".join(of.position.removes), base="", of_change=True, before=""),
    Key("CA_ROUND", "", "which round of another CA this is (`rotate-ca`): `1`, `2`, or `now`: all at once; empty: none",
        "(1|2|now)?", lambda of: of.position.ca_round, base="", of_change=True, before=""),
    Key("SNAPSHOT_SHA256", "", "of the snapshot that the cluster begins with (`restore`); empty: none",
        "([0-9a-f]{64})?", lambda of: of.position.snapshot, base="", of_change=True, before=""),
    Key("BACKUP_SCHEDULE", "", "when this host takes a snapshot of its member by itself (`backup`); empty: never",
        "([A-Za-z0-9*][A-Za-z0-9*:/.,~+ -]{0,99})?",
        lambda of: of.cluster.backup.schedule if of.cluster.backup else "", told="snapshots taken", before=""),
    Key("BACKUP_KEEP", "0", "how many of these stay, the newest ones", "(0|[1-9][0-9]{0,3})",
        lambda of: str(of.cluster.backup.keep) if of.cluster.backup else "0", told="snapshots kept", before="0"),
    Key("BACKUP_DIR", "", "the folder for them", f"({_PATH})?", lambda of: member.backup_dir(of.cluster), base="",
        told="snapshots in", before=""),
    Key("CLIENT_PORT", "2379", "", _PORT, lambda of: str(of.cluster.ports.client), told="client port"),
    Key("PEER_PORT", "2380", "", _PORT, lambda of: str(of.cluster.ports.peer), told="peer port"),
    Key("METRICS_PORT", "2381", "", _PORT, lambda of: str(of.cluster.ports.metrics), told="metrics port"),
    Key("METRICS_ON", "loopback", "`loopback`, or `address`: the metrics port answers on the host's address as well",
        "(loopback|address)", lambda of: of.cluster.etcd.metrics_on, told="metrics port answers on", before="loopback"),
    Key("METRICS_URL", "http://127.0.0.1:2381", "this member's plain HTTP health endpoint",
        rf"http://([0-9.]+|\[[0-9a-f:]+\]):{_PORT}", lambda of: member.metrics_url(of.cluster, of.host), base=""),
    Key("IMAGES_FILE", "",
        "empty: the images are on board, or there are none; `images.tar.gz`: in that file beside the bundle",
        "(images[.]tar[.]gz)?", lambda of: of.content.images_file, told="images carried in"),
    Key("INITIAL_CLUSTER", "infra0=https://10.0.0.6:2380,infra1=https://10.0.0.7:2380",
        "`--initial-cluster` in the manifest: what the member was started with for the first time",
        "[][0-9A-Za-z=:/.,-]+", lambda of: of.birth.initial_cluster, base=""),
    Key("INITIAL_STATE", "new", "`--initial-cluster-state` in the manifest, likewise: `new` or `existing`",
        "(new|existing)", lambda of: of.birth.state, base="", before="new"),
    Key("INITIAL_CLUSTER_TOKEN", "prod-etcd-5c1e6f0a9b3d7e42", "", _CLUSTER_ID, lambda of: of.token, base="",
        told="initial cluster token"),
    Key("DATA_DIR", "/var/lib/etcd", "", _PATH, lambda of: of.cluster.etcd.data_dir, told="data folder"),
    Key("WAL_DIR", "", "the folder of `wal-dir`, below DATA_DIR; empty: etcd's own choice, `member/wal`", f"({_PATH})?",
        lambda of: member.wal_dir(of.cluster), before=""),
    Key("QUOTA_BYTES", "2147483648", "how large etcd's database may grow (`quota-backend-bytes`)",
        "(0|[1-9][0-9]{0,17})",
        lambda of: str(member.quota_bytes(of.cluster)), before=str(member.ETCD_QUOTA)),
    Key("PKI_DIR", "/etc/kubernetes/pki", "", _PATH, lambda _: layout.PKI_DIR, fixed=True),
    Key("KUBEADM_CONFIG", "/etc/kubernetes/kubeadmcfg.yaml", "", _PATH, lambda _: layout.KUBEADM_CONFIG, fixed=True),
    Key("STATIC_POD_MANIFEST", "/etc/kubernetes/manifests/etcd.yaml", "", _PATH, lambda _: layout.STATIC_POD_MANIFEST,
        fixed=True),
    Key("KUBELET_BINARY", "/usr/bin/kubelet", "", _PATH, lambda of: of.cluster.kubelet.binary, told="kubelet binary"),
    Key("KUBELET_CONFIG", "/etc/systemd/system/kubelet.service.d/kubelet.conf", "", _PATH,
        lambda of: of.cluster.kubelet.config_file, told="kubelet configuration file"),
    Key("KUBELET_DROPIN", "/etc/systemd/system/kubelet.service.d/20-etcd-service-manager.conf", "", _PATH,
        lambda _: layout.KUBELET_DROPIN, fixed=True),
    Key("KUBELET_FAIL_CGROUP_V1", "false", "the effective `failCgroupV1` for this Kubernetes version and extraConfig",
        "(true|false)", _kubelet("failCgroupV1", _fails_on_cgroup_v1)),
    Key("KUBELET_FAIL_SWAP_ON", "true", "the effective `failSwapOn`", "(true|false)",
        _kubelet("failSwapOn", lambda _: True)),
    Key("CGROUP_DRIVER", "systemd", "the kubelet's", "(systemd|cgroupfs)", lambda of: of.cluster.kubelet.cgroup_driver,
        told="cgroup driver"),
    Key("RUNTIME_ENDPOINT", "unix:///var/run/containerd/containerd.sock", "", f"unix://{_PATH}",
        lambda of: of.cluster.kubelet.container_runtime_endpoint, told="runtime endpoint"),
    Key("ETCD_IMAGE", "registry.k8s.io/etcd:3.5.15-0", "the etcd image expected", f"{_IMAGE}+",
        lambda of: member.image(of.cluster), told="etcd image"),
    Key("ETCD_IMAGE_EXACT", "no",
        "`yes`: the manifest will name just this image (imageTag is set, or rendered); `no`: kubeadm decides",
        "(yes|no)", _exact),
    Key("PAUSE_IMAGE", "registry.k8s.io/pause:3.10",
        "what kubeadm of that version would name; the runtime's configuration decides", f"{_IMAGE}*",
        lambda of: member.pause_image(of.cluster), told="pause image"),
    Key("ISSUED_AT", "1763840000",
        "seconds since 1970 UTC at which the newest of this host's certificates was issued (not back-dated)", _NUMBER,
        _seconds("issued_at"), base=""),
    Key("NOT_BEFORE", "1763839700", "from when all of this host's certificates are valid, alike", _NUMBER,
        _seconds("not_before"), base=""),
    Key("NOT_AFTER", "1795375999", "until when, alike", _NUMBER, _seconds("not_after"), base=""),
    Key("STATE_DIR", "/var/lib/bundlegen/prod-etcd", "the installer's own folder on the host", _PATH,
        lambda of: layout.state_dir(of.cluster.name), base=layout.BASE_DIR),
    Key("HEALTH_COMMAND", "/usr/local/sbin/bundlegen-health", "the health check left on the host", _PATH,
        lambda _: layout.HEALTH_COMMAND, fixed=True),
    Key("SEALED", "no", "`yes`: keys travel encrypted", "(yes|no)",
        lambda of: "yes" if of.content.sealed else "no", base="no", told="keys sealed"),
)
# fmt: on
"""Every key, in the order of docs/bundle-format.md. A bundle has all of them."""

IDENTITY: Final = tuple(key.name for key in KEYS if key.identity)
"""What belongs to one host or to the data of one cluster: empty in the bundle for images."""

FIXED: Final = {key.name: key.example for key in KEYS if key.fixed}
"""Values that are the same in every bundle."""

OF_CHANGE: Final = tuple(key.name for key in KEYS if key.of_change)
"""What says which change the bundle is of, and nothing of how the host is set up."""

TOLD: Final = {key.name: key.told for key in KEYS if key.told}
"""What ``diff`` says of bundle.conf, by what it calls it. The other keys follow from these and from the files."""


def values(of: Facts) -> dict[str, str]:
    """bundle.conf of the host's bundle."""
    return {key.name: key.value(of) for key in KEYS}


def base_values(of: Facts) -> dict[str, str]:
    """bundle.conf of the bundle for images: the same keys, empty if they would tell hosts or clusters' data apart."""
    return {key.name: key.value(of) if key.base is None else key.base for key in KEYS}


def completed(found: Mapping[str, str]) -> dict[str, str]:
    """``found`` with what a bundle means that was made before the newer keys were: all of those are missing there."""
    newer = {key.name: key.before for key in KEYS if key.before is not None}
    return dict(found) if newer.keys() & found.keys() else {**found, **newer}


def missing(found: Mapping[str, str]) -> tuple[str, ...]:
    """The keys that are not there, sorted."""
    return tuple(sorted({key.name for key in KEYS} - found.keys()))


def faults(found: Mapping[str, str]) -> Iterator[str]:
    """Sentences: what is wrong with the values, key by key."""
    base = found.get("KIND") == layout.KIND_BASE
    for key in KEYS:
        value = found.get(key.name)
        if value is None:
            yield f"{layout.CONF} lacks {key.name}"
        elif base and key.base is not None:
            if value != key.base:
                yield f"{layout.CONF} of a bundle for images has {key.name}={value[:60]!r} and not {key.base!r}"
        elif not re.fullmatch(key.pattern, value):
            yield f"{layout.CONF} has a value for {key.name} that it cannot have: {value[:60]!r}"
    for name in sorted(found.keys() - {key.name for key in KEYS}):
        yield f"{layout.CONF} has a key that there is not: {name}"


def shell() -> str:
    """The table as install.sh holds it: the keys that tell hosts apart, and every key with the pattern of its value."""
    shapes = "".join(f"  '{key.name} {key.pattern}'\n" for key in sorted(KEYS, key=lambda key: key.name))
    return (
        "# What bundle.conf holds, from the table that also makes docs/bundle-format.md.\n"
        "# What tells a host, or the data of a cluster, from others: empty in a bundle for images.\n"
        f"readonly IDENTITY_KEYS=' {' '.join(IDENTITY)} '\n"
        "# Every key with the shape of its value. A key that is missing or misshapen means a damaged bundle.\n"
        f"readonly CONF_SHAPES=(\n{shapes})\n"
    )


def shell_path() -> str:
    """The pattern of a path, as install.sh holds it."""
    return f"# What the table of bundle.conf takes for a path.\nreadonly PATH_SHAPE='{_PATH}'\n"


def markdown() -> str:
    """The table as docs/bundle-format.md has it."""
    rows = [("key", "example", "meaning"), ("---", "---", "---")]
    rows += [(f"`{key.name}`", f"`{key.example}`" if key.example else "(empty)", key.meaning) for key in KEYS]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
