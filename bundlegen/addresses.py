"""IP addresses and host names as the specification, the certificates and etcd's URLs need them."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_SUBDOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_LOOKS_NUMERIC: Final = re.compile(r"[0-9]+(?:\.[0-9]+)+", re.ASCII)

MAX_NAME: Final = 63
"""A host name is also an etcd member name, a file name and a common name (RFC 5280 ub-common-name: 64 at most)."""
MAX_DNS: Final = 253
_REMEMBERED: Final = 1024
"""Addresses of members: each bundle of a change names them all."""


class RejectedError(ValueError):
    """A value that cannot be used: what is wrong with it, and what to write instead."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def parse_ip(text: str) -> IPAddress | None:
    """The address that ``text`` spells, or None if it is not an IP literal. A zone (``%eth0``) is not accepted."""
    if "%" in text:
        return None
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def bracketed(address: str) -> str:
    """``address`` as it stands in a URL: IPv6 in brackets, IPv4 bare."""
    return f"[{address}]" if ":" in address else address


def loopback_for(address: str) -> str:
    """The loopback address of the same family (kubeadm etcd phases local.go: ``[::1]`` when the member is IPv6)."""
    return "::1" if ":" in address else "127.0.0.1"


@lru_cache(maxsize=_REMEMBERED)
def canonical_member_address(text: str) -> str:
    """The canonical spelling of an address that etcd can advertise.

    Refused is what kubeadm refuses for ``advertiseAddress`` (anything but global unicast) and what two
    hosts could spell differently while meaning the same. Raises :class:`RejectedError`.
    """
    ip = parse_ip(text)
    if ip is None:
        raise _not_an_ip(text)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped
        if inner is not None:
            raise RejectedError(f"{text} is an IPv4 address written as IPv6", f"write {inner}")
        if int(ip) >> 32 == 0 and int(ip) > 1:
            embedded = ipaddress.IPv4Address(int(ip))
            raise RejectedError(
                f"{text} is in the retired range ::/96", f"write {embedded} if the IPv4 address is meant"
            )
    elif ip in ipaddress.IPv4Network("0.0.0.0/8") and not ip.is_unspecified:
        raise RejectedError(
            f"{text} is in 0.0.0.0/8, which no host can have", "write the address other hosts reach it by"
        )
    if kind := _unusable(ip):
        raise RejectedError(
            f"{text} is {kind}, which other hosts cannot reach", "write the address other hosts reach it by"
        )
    return str(ip)


def canonical_san(text: str) -> str:
    """The canonical spelling of one subject alternative name: an IP address, a DNS name, or a wildcard DNS name.

    The same names as kubeadm accepts in ``serverCertSANs`` (ValidateCertSANs). Raises :class:`RejectedError`.
    """
    ip = parse_ip(text)
    if ip is None:
        check_dns_name(text, wildcard=True)
        return text
    if ip.is_unspecified or ip.is_multicast:
        raise RejectedError(
            f"{text} cannot be the address of one host", "remove it, or write the address that clients use"
        )
    mapped = getattr(ip, "ipv4_mapped", None)
    if mapped is not None:
        raise RejectedError(f"{text} is an IPv4 address written as IPv6", f"write {mapped}")
    return str(ip)


def check_dns_name(text: str, what: str = "DNS name", *, wildcard: bool = False, longest: int = MAX_DNS) -> None:
    """Raise :class:`RejectedError` unless ``text`` is a DNS-1123 subdomain in lower case (or a wildcard)."""
    name = text.removeprefix("*.") if wildcard else text
    if len(text) > longest:
        raise RejectedError(f"is {len(text)} characters long, at most {longest} are possible", "shorten it")
    if _LOOKS_NUMERIC.fullmatch(name):
        if parse_ip(text) is None:
            raise RejectedError(f"{show(text)} looks like an IP address but is not one", "correct it")
        raise RejectedError(f"{show(text)} is an IP address, a name is wanted", "give the host a name, such as infra0")
    if _SUBDOMAIN.fullmatch(name):
        return
    raise RejectedError(f"{show(text)} is not a {what}", _name_hint(text, name))


def show(text: str, longest: int = 60) -> str:
    """``text`` quoted for a message: control characters made visible, cut if it is very long."""
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else _escape(c) for c in cut) + '"'


def _escape(character: str) -> str:
    return "\\" + character if character in '"\\' else character.encode("unicode_escape", "replace").decode("ascii")


def _name_hint(text: str, name: str) -> str:
    lowered = name.lower().replace("_", "-").strip(" .")
    if lowered != name and _SUBDOMAIN.fullmatch(lowered):
        return f"write {'*.' if text != name else ''}{lowered}"
    if not text.isascii():
        return "write international names in their xn-- form"
    return "use lower-case letters, digits, '-' and '.', with a letter or digit at both ends of each part"


def _unusable(ip: IPAddress) -> str:
    if ip.is_unspecified:
        return "the unspecified address"
    if ip.is_loopback:
        return "a loopback address"
    if ip.is_link_local:
        return "a link-local address"
    if ip.is_multicast:
        return "a multicast address"
    if ip == ipaddress.IPv4Address("255.255.255.255"):
        return "the broadcast address"
    return ""


def _not_an_ip(text: str) -> RejectedError:
    stripped = text.strip()
    if stripped != text and parse_ip(stripped):
        return RejectedError(f"{show(text)} has spaces around it", f"write {stripped}")
    if "%" in text and parse_ip(text.partition("%")[0]):
        return RejectedError(
            f"{show(text)} has a zone, which only means something on the host itself", "write a global address"
        )
    if text.startswith("[") and parse_ip(text.partition("]")[0][1:]):
        bare = text.partition("]")[0][1:]
        return RejectedError(
            f"{show(text)} has brackets", f"write {bare}: bundlegen adds brackets where a URL needs them"
        )
    if "://" in text:
        return RejectedError(f"{show(text)} is a URL", "write the IP address alone")
    if "/" in text and parse_ip(text.partition("/")[0]):
        return RejectedError(f"{show(text)} has a prefix length", f"write {text.partition('/')[0]}")
    if text.count(":") == 1 and parse_ip(text.partition(":")[0]):
        return RejectedError(f"{show(text)} has a port", f"write {text.partition(':')[0]}, and ports under `ports`")
    if _LOOKS_NUMERIC.fullmatch(text):
        return RejectedError(f"{show(text)} is not an IPv4 address", "four numbers from 0 to 255 without leading zeros")
    if _SUBDOMAIN.fullmatch(text.lower()):
        return RejectedError(
            f"{show(text)} is a name, an IP address is wanted",
            "etcd binds to an address and kubeadm accepts no name here; put names under extraSANs",
        )
    return RejectedError(f"{show(text)} is not an IP address", "write it like 10.0.0.6 or fd00::6")
