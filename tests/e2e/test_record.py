"""The change record keeps its word: every command it prints is run as printed, and says what is printed below it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.e2e.clusters import STICK, Cluster, bundlegen
from tests.e2e.printed import PATIENCE, printed, run_as_printed
from tests.e2e.rig.host import Host


@pytest.fixture(scope="module")
def recorded(make_cluster: Callable[..., Cluster]) -> Cluster:
    return make_cluster("record", pki={"encryptionAlgorithm": "ECDSA-P256"})


@pytest.fixture(scope="module")
def hosts(recorded: Cluster, boot: Callable[..., list[Host]]) -> dict[str, Host]:
    booted = {host.name: host for host in boot(recorded)}
    for name, host in booted.items():
        host.put(recorded.bundle(name), f"{STICK}/")
        host.put(recorded.out / "SHA256SUMS", f"{STICK}/")
    return booted


def test_every_command_does_what_the_record_says(recorded: Cluster, hosts: dict[str, Host]) -> None:
    commands = printed(recorded, 3 * 6 + 1)
    copies = [each for each in commands if each.text.startswith("bash ")]
    installs = [each for each in commands if re.fullmatch(r"sh infra\d\.run", each.text)]
    assert len(copies) == len(installs) == 3
    for command in commands:
        if command not in copies:
            run_as_printed(command, recorded.out, hosts)
    # The installed copy is the other way back, so there must be something to take back again.
    for command in [*installs, *copies]:
        run_as_printed(command, recorded.out, hosts)


def test_the_receipts_of_those_runs_are_understood(recorded: Cluster, hosts: dict[str, Host]) -> None:
    """Whatever the order of tests: installs anew where nothing is installed, then reconciles what is there."""
    folder = recorded.folder / "receipts"
    folder.mkdir()
    for name, host in hosts.items():
        host.exec(["sh", "-c", f"cd {STICK} && sh {name}.run"], timeout=PATIENCE)
        for path in sorted(host.path(f"/var/lib/bundlegen/{recorded.name}/receipts").glob("*.json")):
            (folder / f"{name}-{path.name}").write_bytes(path.read_bytes())
    done = bundlegen(["reconcile", str(recorded.out), str(folder)], recorded.folder)
    assert "3 of 3 hosts run the change create of record." in done.stdout
