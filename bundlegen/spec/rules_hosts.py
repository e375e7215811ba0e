"""Rules between fields: hosts, ports and certificates. Each rule takes a cluster and yields what it finds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bundlegen.durations import text_of
from bundlegen.spec.finding import FieldPath, Finding, Rule, closest

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster


SHORTEST_VALIDITY: Final = timedelta(hours=1)
LONGEST_VALIDITY: Final = timedelta(hours=876000)
"""100 years: every date stays far below the year 9999, where X.509 ends."""
LONGEST_MARGIN: Final = timedelta(hours=24)
_SHORT_VALIDITY: Final = timedelta(days=30)
_MANY_MEMBERS: Final = 7
_AUTOMATIC_SANS: Final = ("localhost", "127.0.0.1", "::1")


def hosts_unique(cluster: Cluster) -> Iterator[Finding]:
    """Names, addresses and machine-ids tell hosts apart."""
    for field in ("name", "address", "machine_id"):
        alias = "machineID" if field == "machine_id" else field
        seen: dict[str, int] = {}
        for index, host in enumerate(cluster.hosts):
            value = getattr(host, field)
            if value is None:
                continue
            first = seen.setdefault(value, index)
            if first != index:
                yield Finding(
                    ("hosts", index, alias),
                    f"{value} is already the {alias} of hosts[{first}]",
                    f"each host has its own {alias}",
                    involves=(("hosts", first, alias),),
                )


def sans_own_nobody_else(cluster: Cluster) -> Iterator[Finding]:
    """No certificate names another host, and none says the same twice."""
    names = {host.name: index for index, host in enumerate(cluster.hosts)}
    addresses = {host.address: index for index, host in enumerate(cluster.hosts)}
    parents: dict[str, int] = {}
    for name, index in names.items():
        parents.setdefault(name.partition(".")[2], index)
    for index, host in enumerate(cluster.hosts):
        seen: set[str] = set()
        for position, san in enumerate(host.extra_sans):
            path: FieldPath = ("hosts", index, "extraSANs", position)
            other, via = names.get(san, addresses.get(san)), "address" if san in addresses else "name"
            if san in seen:
                yield Finding(path, f"{san} is listed twice", "remove one")
            elif san in (host.name, host.address, *_AUTOMATIC_SANS):
                yield Finding(
                    path,
                    f"{san} is in the certificates anyway",
                    "remove it",
                    involves=(("hosts", index, "name"), ("hosts", index, "address")),
                )
            elif other is not None:
                yield Finding(
                    path,
                    f"{san} is the {via} of {cluster.hosts[other].name}: this certificate could stand in for it",
                    "remove it",
                    involves=(("hosts", other, via),),
                )
            elif san.startswith("*.") and san[2:] in parents:
                covered = cluster.hosts[_covered(cluster, san[2:], index, parents[san[2:]])].name
                if covered != host.name:
                    yield Finding(
                        path,
                        f"{san} covers host {covered}: this certificate could stand in for it",
                        "list the names this host needs one by one",
                    )
            seen.add(san)


def _covered(cluster: Cluster, domain: str, own: int, first: int) -> int:
    """A host other than ``own`` directly below ``domain``; ``own`` if there is none."""
    if first != own:
        return first
    others = (i for i, host in enumerate(cluster.hosts) if i != own and host.name.partition(".")[2] == domain)
    return next(others, own)


def number_of_hosts(cluster: Cluster) -> Iterator[Finding]:
    """Sizes that work but that few want (etcd FAQ: odd sizes, at most seven)."""
    count = len(cluster.hosts)
    if count == 1:
        message, hint = (
            "one host: when it is lost, the cluster and its data are",
            "use 3 hosts to survive the loss of one",
        )
    elif count == 2:
        message, hint = "two hosts: when either is lost, etcd stops", "use 3 hosts to survive the loss of one"
    elif count % 2 == 0:
        message = f"{count} hosts survive the loss of {(count - 1) // 2}, no more than {count - 1} do"
        hint = f"use {count - 1} or {count + 1}"
    elif count > _MANY_MEMBERS:
        message, hint = (
            f"{count} hosts: every write waits for {count // 2 + 1} of them",
            f"etcd recommends at most {_MANY_MEMBERS}",
        )
    else:
        return
    if count > _MANY_MEMBERS and count % 2 == 0:
        message, hint = (
            f"{message}, and every write waits for {count // 2 + 1} of them",
            f"etcd recommends an odd number up to {_MANY_MEMBERS}",
        )
    yield Finding(("hosts",), message, hint, warning=True)


def one_address_family(cluster: Cluster) -> Iterator[Finding]:
    """etcd itself allows a mixture, but each host then needs a route of both families to every other."""
    first = ":" in cluster.hosts[0].address
    for index, host in enumerate(cluster.hosts):
        if (":" in host.address) != first:
            yield Finding(
                ("hosts", index, "address"),
                f"{host.address} is {'IPv4' if first else 'IPv6'}, but hosts[0] has {'IPv6' if first else 'IPv4'}",
                "it works only if every host reaches the addresses of both families",
                involves=(("hosts", 0, "address"),),
                warning=True,
            )
            return


def ports_distinct(cluster: Cluster) -> Iterator[Finding]:
    """etcd's three ports differ from each other and from the kubelet's, which differ from each other. 0 is none."""
    taken: dict[int, tuple[str, FieldPath]] = {}
    extra = cluster.kubelet.extra_config
    for key, default, use in (
        ("port", 10250, "the kubelet's API"),
        ("healthzPort", 10248, "the kubelet's health check"),
        ("readOnlyPort", 0, "the kubelet's read-only port"),
    ):
        value = extra.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value == 0:
            continue
        path: FieldPath = ("kubelet", "extraConfig", key)
        if value in taken:
            other, place = taken[value]
            yield Finding(path, f"{value} is taken by {other}", "choose another port", involves=(place,))
        else:
            taken[value] = (use, path)
    for name in ("client", "peer", "metrics"):
        port = getattr(cluster.ports, name)
        if port in taken:
            use, path = taken[port]
            if name in cluster.ports.model_fields_set or path[-1] not in extra:
                yield Finding(("ports", name), f"{port} is taken by {use}", "choose another port", involves=(path,))
            else:
                yield Finding(path, f"{port} is etcd's {name} port", "choose another port", involves=(("ports", name),))
        else:
            taken[port] = (f"ports.{name}", ("ports", name))


def ca_key_host_exists(cluster: Cluster) -> Iterator[Finding]:
    """``caKeyHost`` is one of the hosts, or none."""
    names = [host.name for host in cluster.hosts]
    wanted = cluster.pki.ca_key_host
    if wanted is None or wanted == "none" or wanted in names:
        return
    near = closest(wanted, [*names, "none"])
    involves = tuple(("hosts", index, "name") for index in range(len(names)))
    hint = f"did you mean {near}?" if near else f"one of the names under hosts, such as {names[0]}, or none"
    yield Finding(
        ("pki", "caKeyHost"), f"no host is named {ascii(wanted[:64])[1:-1]}", hint, involves=(("hosts",), *involves)
    )


def periods_fit(cluster: Cluster) -> Iterator[Finding]:
    """Certificates are valid for a sensible time, within their CA's."""
    pki = cluster.pki
    own, ca = text_of(pki.certificate_validity_period), text_of(pki.ca_certificate_validity_period)
    leaf: FieldPath = ("pki", "certificateValidityPeriod")
    authority: FieldPath = ("pki", "caCertificateValidityPeriod")
    for path, period in ((leaf, pki.certificate_validity_period), (authority, pki.ca_certificate_validity_period)):
        if period < SHORTEST_VALIDITY:
            yield Finding(path, f"{text_of(period)} is too short", "at least 1h")
        elif period > LONGEST_VALIDITY:
            yield Finding(path, f"{text_of(period)} is too long", "at most 876000h (100 years)")
    if (
        pki.ca_files is None
        and LONGEST_VALIDITY >= pki.certificate_validity_period > pki.ca_certificate_validity_period
    ):
        yield Finding(
            leaf,
            f"{own} goes beyond the CA's {ca}",
            "certificates end with their CA: shorten this or lengthen caCertificateValidityPeriod",
            involves=(authority, ("pki", "ca")),
        )
    elif SHORTEST_VALIDITY <= pki.certificate_validity_period < _SHORT_VALIDITY:
        yield Finding(
            leaf,
            f"after {own} the members no longer accept each other",
            "nothing on the hosts renews certificates: plan to renew them (bundlegen renew) before then",
            warning=True,
        )
    if pki.not_before_margin > LONGEST_MARGIN:
        yield Finding(("pki", "notBeforeMargin"), f"{text_of(pki.not_before_margin)} is too long", "at most 24h")
    if pki.ca_files is not None and "ca_certificate_validity_period" in pki.model_fields_set:
        yield Finding(
            authority,
            "has no effect, because pki.ca brings a CA of its own",
            "remove it",
            involves=(("pki", "ca"),),
            warning=True,
        )


def ca_is_whole(cluster: Cluster) -> Iterator[Finding]:
    """A CA of one's own is a certificate and a key, in two files."""
    ca = cluster.pki.ca
    if ca is None:
        return
    if ca.certificate is None and ca.key is None:
        if ca.fingerprint is None and ca.previous is None:
            yield Finding(("pki", "ca"), "is empty", "name certificate and key, or the fingerprint; or leave it out")
    elif ca.key is None:
        yield Finding(("pki", "ca", "key"), "is missing", "add key: ca.key")
    elif ca.certificate is None:
        yield Finding(("pki", "ca", "certificate"), "is missing", "add certificate: ca.crt")
    elif ca.certificate == ca.key:
        yield Finding(
            ("pki", "ca", "key"), "is the same file as the certificate", "keep certificate and key in two files"
        )
    if ca.previous is not None and ca.previous.certificate == ca.previous.key:
        yield Finding(
            ("pki", "ca", "previous", "key"),
            "is the same file as the certificate",
            "keep certificate and key in two files",
        )


RULES: Final[tuple[Rule, ...]] = (
    number_of_hosts,
    hosts_unique,
    one_address_family,
    sans_own_nobody_else,
    ports_distinct,
    ca_is_whole,
    ca_key_host_exists,
    periods_fit,
)
