"""In what one specification of a cluster differs from another, and which kind of change each difference asks for. Pure.

One change does one kind of thing, so that its record can be read and its way back is known. :data:`ROWS` says of every
field which kind that is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bundlegen.spec.finding import FieldPath, field_text
from bundlegen.spec.types import NO_HOST

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster, Host

ADD: Final = "add"
REMOVE: Final = "remove"
UPGRADE: Final = "upgrade"
REPLACE: Final = "replace"
CONFIGURE: Final = "configure"
FIXED: Final = "fixed"
"""No change can do this to a cluster that exists."""
NOWHERE: Final = "nowhere"
"""On no host does it change anything."""

ORDER: Final = (REPLACE, ADD, REMOVE, CONFIGURE, UPGRADE)
"""In which order to do them if there are several: first every member healthy, then the members, then what they run."""

ROWS: Final[tuple[tuple[FieldPath, str], ...]] = (
    (("name",), FIXED),
    (("kubernetesVersion",), UPGRADE),
    (("ports", "client"), FIXED),
    (("ports", "peer"), FIXED),
    (("ports", "metrics"), CONFIGURE),
    (("pki", "ca"), NOWHERE),
    (("pki", "caCertificateValidityPeriod"), NOWHERE),
    (("pki",), CONFIGURE),
    (("kubelet",), CONFIGURE),
    (("etcd", "imageRepository"), UPGRADE),
    (("etcd", "imageTag"), UPGRADE),
    (("etcd", "dataDir"), FIXED),
    (("etcd", "initialClusterToken"), FIXED),
    (("etcd", "metricsOn"), CONFIGURE),
    (("etcd", "extraArgs", "wal-dir"), FIXED),
    (("etcd", "extraArgs"), CONFIGURE),
    (("health",), CONFIGURE),
    (("backup",), CONFIGURE),
    (("trust",), CONFIGURE),
    (("manifest",), CONFIGURE),
    (("images",), NOWHERE),
)
"""The first path that a field begins with says what a difference in it asks for. Hosts are compared one by one.

The store refuses another CA than its own; a CA's period counts only when it is made; images are looked for anew by
every build. Where etcd keeps its data, by which ports its members know each other, and the token are settled when a
member is born: another value would start it on an empty folder, or cut it off.
"""


@dataclass(frozen=True)
class Difference:
    """One field that differs. ``path`` leads to it in the newer specification; ``host``: whose it is, if one's.

    ``old`` and ``new`` are as people read them, empty if there is none. ``row`` is the kind of change it asks for.
    """

    path: FieldPath
    old: str
    new: str
    row: str
    host: str = ""

    @property
    def field(self) -> str:
        """The field, with its host by name: ``hosts[1].extraSANs (infra1)``."""
        return f"{field_text(self.path)} ({self.host})" if self.host else field_text(self.path)

    def __str__(self) -> str:
        return f"{self.field}: {self.old or '(none)'} -> {self.new or '(none)'}"


def between(before: Cluster, after: Cluster) -> tuple[Difference, ...]:
    """Every difference, in the order of the specification's fields; none where they mean the same."""
    old, new = _tree(before), _tree(after)
    found: list[Difference] = []
    for name in dict.fromkeys((*old, *new)):
        if name == "hosts":
            found += _hosts(before, after)
        else:
            found += _fields((name,), old.get(name), new.get(name))
        if name == "pki":
            found += _ca_key_host(before, after)
    return tuple(found)


def asked(differences: Iterable[Difference]) -> tuple[str, ...]:
    """The kinds of change that the differences ask for, in the order in which to do them; :data:`FIXED` is none."""
    rows = {difference.row for difference in differences}
    return tuple(row for row in ORDER if row in rows)


def row_of(path: FieldPath) -> str:
    """What a difference in the field at ``path`` asks for. Raises LookupError for one that :data:`ROWS` forgot."""
    for start, row in ROWS:
        if path[: len(start)] == start:
            return row
    raise LookupError(f"no row for {field_text(path)}")


def _tree(cluster: Cluster) -> dict[str, Any]:
    tree: dict[str, Any] = cluster.model_dump(mode="json", by_alias=True, exclude_none=True)
    tree["pki"].pop("caKeyHost", None)
    return tree


def _fields(path: FieldPath, old: Any, new: Any) -> Iterator[Difference]:
    """Field by field; mappings, those that users fill included, key by key. The order of keys means nothing."""
    was, is_ = (value if isinstance(value, dict) else {} for value in (old, new))
    if (was or is_) and all(value is None or isinstance(value, dict) for value in (old, new)):
        for key in dict.fromkeys((*was, *is_)):
            yield from _fields((*path, key), was.get(key), is_.get(key))
    elif old != new:
        yield Difference(path, _text(old), _text(new), row_of(path))


def _ca_key_host(before: Cluster, after: Cluster) -> Iterator[Difference]:
    """Where it follows from the hosts, as with the first host gone, it is no difference of its own."""
    old, new = before.ca_key_host, after.ca_key_host
    names, stay = _names(before), _staying(before, after)
    follows = after.pki.ca_key_host is None and (new not in names or stay != _staying(after, before))
    if old != new and not follows and (old is None or old in stay):
        yield Difference(("pki", "caKeyHost"), old or NO_HOST, new or NO_HOST, row_of(("pki", "caKeyHost")))


def _names(cluster: Cluster) -> tuple[str, ...]:
    return tuple(host.name for host in cluster.hosts)


def _staying(cluster: Cluster, other: Cluster) -> tuple[str, ...]:
    """The hosts that both have, in the order of ``cluster``."""
    return tuple(name for name in _names(cluster) if name in _names(other))


def _hosts(before: Cluster, after: Cluster) -> Iterator[Difference]:
    """A host is known by its name; one with another name and the same address has been renamed."""
    old, new = ({host.name: host for host in cluster.hosts} for cluster in (before, after))
    gone = {host.address: host.name for host in before.hosts if host.name not in new}
    renamed = set()
    for index, host in enumerate(after.hosts):
        place: FieldPath = ("hosts", index)
        if host.name in old:
            yield from _host(place, old[host.name], host)
        elif host.address in gone:
            renamed.add(gone[host.address])
            yield Difference((*place, "name"), gone[host.address], host.name, REPLACE)
        else:
            yield Difference(place, "", f"{host.name}={host.address}", ADD)
    for name, address in ((name, address) for address, name in gone.items() if name not in renamed):
        yield Difference(("hosts",), f"{name}={address}", "", REMOVE)
    was, is_ = _staying(before, after), _staying(after, before)
    if was != is_:
        yield Difference(("hosts",), f"in the order {' '.join(was)}", f"in the order {' '.join(is_)}", CONFIGURE)


def _host(place: FieldPath, old: Host, new: Host) -> Iterator[Difference]:
    moved = old.address != new.address
    if moved:
        yield Difference((*place, "address"), old.address, new.address, REPLACE, new.name)
    if old.machine_id != new.machine_id:
        row = REPLACE if moved else CONFIGURE
        yield Difference((*place, "machineID"), old.machine_id or "", new.machine_id or "", row, new.name)
    if old.extra_sans != new.extra_sans:
        was, is_ = (" ".join(host.extra_sans) for host in (old, new))
        yield Difference((*place, "extraSANs"), was, is_, CONFIGURE, new.name)


def _text(value: Any) -> str:
    """A value as it may be written in the specification."""
    if value is None or (isinstance(value, str) and value.isprintable()):
        return value or ""
    return json.dumps(value, ensure_ascii=False)
