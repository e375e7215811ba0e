"""Preflight on what is nearly the same: host names with their domain or in capitals, ports on another address."""

from __future__ import annotations

import json

import pytest

from tests.shell.payload import Payload
from tests.shell.sandbox import Sandbox


def unhappy(host: Sandbox, payload: Payload) -> tuple[int, list[str]]:
    """The exit code of preflight, and the checks that are not content."""
    host.execute("/bin/mount", "-o", "remount,size=3g", "/var")
    done = host.install(payload, "preflight", "--json")
    return done.returncode, [check["name"] for check in json.loads(done.stdout)["checks"] if check["verdict"] != "ok"]


@pytest.mark.parametrize(
    ("called", "meant", "verdict"),
    [
        ("infra0", "infra0.example.net", "ok"),
        ("infra0.example.net", "infra0", "ok"),
        ("INFRA0", "infra0", "ok"),
        ("Infra0.Example.NET", "infra0", "ok"),
        ("INFRA0", "infra0.example.net", "ok"),
        ("infra00", "infra0", "warning"),
        ("infra0.example.net", "infra0.example.com", "warning"),
        ("infra", "infra0.example.net", "warning"),
        ("localhost", "infra0", "warning"),
    ],
)
def test_a_host_name_with_its_domain_or_in_capitals_is_the_same(
    host: Sandbox, called: str, meant: str, verdict: str
) -> None:
    host.execute("/bin/hostname", called)
    found = unhappy(host, Payload(host=meant, members={meant: "10.0.0.6"}))
    assert found == (0, ["hostname"] if verdict == "warning" else [])


@pytest.mark.parametrize(("where", "found"), [("loopback", (0, [])), ("address", (11, ["ports"]))])
def test_the_metrics_port_of_the_address_counts_where_metrics_are_there(
    host: Sandbox, where: str, found: tuple[int, list[str]]
) -> None:
    listen = "import socket, time; s = socket.create_server(('10.0.0.6', 2381)); time.sleep(600)"
    host.spawn("python3", "-c", listen)
    host.until(lambda: "0600000A:094D" in host.execute("/bin/cat", "/proc/net/tcp").stdout)
    assert unhappy(host, Payload(conf={"METRICS_ON": where})) == found
