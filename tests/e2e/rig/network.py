"""The hosts' network: one bridge in the session's network namespace, and nothing beyond it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from tests.e2e.rig.commands import run
from tests.e2e.rig.keeper import Keeper

BRIDGE = "hosts"


def make(keeper: Keeper) -> None:
    """The bridge, up and without an address."""
    for words in (
        ("link", "set", "lo", "up"),
        ("link", "add", BRIDGE, "type", "bridge"),
        ("link", "set", BRIDGE, "up"),
    ):
        run([*keeper.enter(), "ip", *words])


def give_gateways(keeper: Keeper, addresses: Iterable[str]) -> None:
    """The bridge becomes the default gateway of these hosts, and the tests' own way to them."""
    for gateway in sorted({_gateway(address) for address in addresses}):
        nodad = ["nodad"] if ":" in gateway else []
        run([*keeper.enter(), "ip", "address", "replace", gateway, "dev", BRIDGE, *nodad])


def script(addresses: Iterable[str]) -> str:
    """The shell commands with which a host sets up its interface at boot.

    A default route must exist (kubelet wants one) although nothing answers there. Duplicate address detection would
    keep an IPv6 address unusable for the first second.
    """
    lines = ["ip link set lo up", "ip link set host0 up"]
    for address in addresses:
        router = ipaddress.ip_interface(_gateway(address)).ip
        family = f"-{router.version}"
        nodad = " nodad" if router.version == 6 else ""
        lines.append(f"ip {family} address replace {address} dev host0{nodad}")
        lines.append(f"ip {family} route replace default via {router}")
    return "\n".join(lines) + "\n"


def _gateway(address: str) -> str:
    network = ipaddress.ip_interface(address).network
    return f"{network.network_address + 1}/{network.prefixlen}"
