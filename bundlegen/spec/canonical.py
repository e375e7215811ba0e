"""A specification as data, in one way only: what a bundle carries of it, and what the history keeps. Pure.

Every field is written out under its own name, in the order of the models, defaults too, so that the same specification
gives the same bytes whichever way it was written. Paths of the generator's own machine are left out: which archives
were named, and where a CA of one's own lies.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from bundlegen.errors import Problem
from bundlegen.spec.check import check
from bundlegen.spec.types import NO_HOST

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster, Host

_OWN_CA: Final = {"certificate": "ca.crt", "key": "ca.key"}
"""That a CA was brought along is part of the specification, where it lies is not."""
_SHOWN: Final = 3
_PLACE: Final = {"name": None, "address": None}.keys()
_OTHERWISE: Final = "is not written as bundlegen writes it"
_STAND_IN: Final = {"name": "host", "address": "192.0.2.1"}
"""A bundle for images names no host, and every specification has one."""


def tree(cluster: Cluster) -> dict[str, Any]:
    """The whole specification, the generator's own paths apart."""
    pki = cluster.pki.model_copy(update={"ca_key_host": cluster.ca_key_host or NO_HOST})
    settled = cluster.model_copy(update={"pki": pki})
    found: dict[str, Any] = settled.model_dump(mode="json", by_alias=True, exclude_none=True)
    del found["images"]
    if ca := found["pki"].get("ca"):
        ca.pop("previous", None)
        ca |= _OWN_CA if cluster.pki.ca_files is not None else {}
        if not ca:
            del found["pki"]["ca"]
    return found


def for_host(whole: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Of a whole specification what the bundle of the host ``name`` is made from.

    Of the other hosts that is no more than MEMBERS says of them.
    """
    hosts = [
        each if each["name"] == name else {"name": each["name"], "address": each["address"]} for each in whole["hosts"]
    ]
    return {**whole, "hosts": hosts}


def for_base(whole: Mapping[str, Any]) -> dict[str, Any]:
    """What the bundle for images is made from: nothing that tells a host, or the data of a cluster, from others."""
    etcd = {field: value for field, value in whole["etcd"].items() if field != "initialClusterToken"}
    return {field: value for field, value in whole.items() if field not in ("hosts", "pki")} | {"etcd": etcd}


def dump(data: Mapping[str, Any]) -> bytes:
    """The bytes of a specification as data: JSON as Python indents it.

    Python's own encoder is slow where it indents, and each bundle of a large cluster names all hosts: those of which no
    more than name and address is told are put in by hand.
    """
    hosts = data.get("hosts")
    text = json.dumps({**data, "hosts": []} if hosts else data, indent=2, allow_nan=False)
    if hosts:
        listed = ",\n".join(map(_host_text, hosts))
        # no other line begins with just two spaces and this name
        text = text.replace('\n  "hosts": []', f'\n  "hosts": [\n{listed}\n  ]', 1)
    return f"{text}\n".encode("ascii")


def _host_text(host: Mapping[str, Any]) -> str:
    """A host as it stands in the list."""
    if host.keys() == _PLACE:
        return _place_text(host["name"], host["address"])
    return textwrap.indent(json.dumps(host, indent=2, allow_nan=False), "    ")


@lru_cache(maxsize=1024)
def _place_text(name: str, address: str) -> str:
    return f'    {{\n      "name": {json.dumps(name)},\n      "address": {json.dumps(address)}\n    }}'


def read_host(content: bytes, name: str) -> tuple[Cluster, Host]:
    """The specification that the bundle of the host ``name`` holds, every rule applied to it again, and that host.

    Raises ValueError in words that continue the name of the file: every problem, or that it was written by others.
    """
    found = _object(content)
    known = _of_many(found, content, name)
    cluster = known or _cluster(found)
    host = next((each for each in cluster.hosts if each.name == name), None)
    if host is None:
        raise ValueError(f"has no host {name}")
    if known is None and dump(for_host(tree(cluster), name)) != content:
        raise ValueError(_OTHERWISE)
    return cluster, host


def _of_many(found: dict[str, Any], content: bytes, name: str) -> Cluster | None:
    """The specification, if it is the one that was read last, and it says no more of ``name`` than of other hosts.

    All bundles of a change are made from one. To apply every rule to hundreds of hosts for each of hundreds of bundles
    would take most of the time of a large build; that it is the same, byte for byte, takes little.
    """
    hosts = found.get("hosts")
    if not isinstance(hosts, list) or not all(isinstance(each, dict) and each.keys() >= _PLACE for each in hosts):
        return None
    places = [{field: each[field] for field in ("name", "address")} for each in hosts]
    try:
        whole = _known(json.dumps({**found, "hosts": places}, allow_nan=False))
    except (ValueError, RecursionError):
        return None
    return whole.cluster if dump(for_host(whole.tree, name)) == content else None


def read_base(content: bytes) -> Cluster:
    """The specification that a bundle for images holds, with a stand-in for the hosts. Raises ValueError likewise."""
    found = _object(content)
    if found.keys() & {"hosts", "pki"}:
        raise ValueError("has what belongs to hosts")
    cluster = _cluster({**found, "hosts": [_STAND_IN]})
    if dump(for_base(tree(cluster))) != content:
        raise ValueError(_OTHERWISE)
    return cluster


class _Known(NamedTuple):
    cluster: Cluster
    tree: dict[str, Any]


@lru_cache(maxsize=2)
def _known(text: str) -> _Known:
    """The specification in ``text``, with every rule applied. Raises ValueError."""
    cluster = _cluster(json.loads(text))
    return _Known(cluster, tree(cluster))


def _cluster(data: dict[str, Any]) -> Cluster:
    try:
        checked = check(data)
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    if checked.problems:
        shown = (str(Problem("", each.field, each.message)) for each in checked.problems[:_SHOWN])
        raise ValueError(f"breaks a rule: {'; '.join(shown)}")
    return checked.cluster


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content.decode("ascii"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError("is not JSON that can be read") from error
    if not isinstance(found, dict):
        raise ValueError("is not an object")  # noqa: TRY004 - it is the file's value that is wrong
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"holds {constant}")
