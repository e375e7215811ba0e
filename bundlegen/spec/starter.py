"""A commented specification to start from, out of names and addresses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from bundlegen.addresses import RejectedError, canonical_member_address, show
from bundlegen.errors import UsageError
from bundlegen.spec.model import MAX_HOSTS, Cluster
from bundlegen.spec.types import NEWEST_MINOR, OLDEST_MINOR, cluster_name, host_name
from bundlegen.system.jinja import environment

CLUSTER_NAME: Final = "etcd"
KUBERNETES_VERSION: Final = "v1.31.4"
TEMPLATE: Final = "cluster.yaml.j2"

Members = tuple[tuple[str, str], ...]


def members(arguments: Sequence[str]) -> Members:
    """The hosts that ``NAME=ADDRESS`` arguments name, addresses in canonical spelling. Raises UsageError."""
    if len(arguments) > MAX_HOSTS:
        raise UsageError(f"{len(arguments)} hosts, at most {MAX_HOSTS} are possible", hint="make several clusters")
    found: dict[str, str] = {}
    for argument in arguments:
        name, equals, address = argument.partition("=")
        if not equals:
            raise UsageError(f"{show(argument)} is not NAME=ADDRESS", hint="write it like infra0=10.0.0.6")
        try:
            host_name(name)
            address = canonical_member_address(address)
        except RejectedError as error:
            raise UsageError(f"{show(argument)}: {error.message}", hint=error.hint) from error
        if name in found:
            raise UsageError(f"the name {name} is there twice", hint="each host has its own name")
        if address in found.values():
            raise UsageError(f"the address {address} is there twice", hint="each host has its own address")
        found[name] = address
    return tuple(found.items())


def specification(arguments: Sequence[str], source: Callable[[str], str], name: str | None = None) -> str:
    """The text of a commented cluster.yaml for the cluster ``name``, with hosts given as ``NAME=ADDRESS``.

    Raises UsageError. ``source`` gives the text of a template by its name. Defaults shown in comments come from the
    models.
    """
    called = CLUSTER_NAME if name is None else name
    try:
        cluster_name(called)
    except RejectedError as error:
        raise UsageError(f"--name: {error.message}", hint=error.hint) from error
    hosts = [{"name": host, "address": address} for host, address in members(arguments)]
    wanted: dict[str, Any] = {"name": called, "kubernetesVersion": KUBERNETES_VERSION, "hosts": hosts}
    return (
        environment(source)
        .get_template(TEMPLATE)
        .render(
            name=called,
            version=KUBERNETES_VERSION,
            oldest=f"1.{OLDEST_MINOR}",
            newest=f"1.{NEWEST_MINOR}",
            hosts=hosts,
            default=Cluster.model_validate(wanted).model_dump(by_alias=True, mode="json"),
        )
    )
