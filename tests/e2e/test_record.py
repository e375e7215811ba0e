"""The change record keeps its word: every command it prints is run as printed, and says what is printed below it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.e2e.clusters import STICK, Cluster, bundlegen
from tests.e2e.rig.commands import run
from tests.e2e.rig.host import Host

CARRIER = "In the change folder"
COMMAND = re.compile(
    r"^(?P<where>(?:On|In) [^\n]*):\n\n```sh\n(?P<text>[^\n]*)\n```\n\nIt says [^\n]*:\n\n```text\n(?P<says>.*?)\n```$",
    re.MULTILINE | re.DOTALL,
)
PATIENCE = 400


@dataclass(frozen=True)
class Printed:
    """A command as CHANGE.md has it: where it is to be run, and what it says."""

    host: str
    text: str
    says: str

    @property
    def pattern(self) -> str:
        lines = self.says.split("\n")
        return "".join(
            r"(?:.*\n)*" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + r"\n" for line in lines
        )


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


def printed(cluster: Cluster) -> list[Printed]:
    text = (cluster.out / "CHANGE.md").read_text()
    found = [_printed(match) for match in COMMAND.finditer(text)]
    assert len(found) == text.count("```sh") == 3 * 6 + 1
    return found


def _printed(match: re.Match[str]) -> Printed:
    where = match["where"].replace("\\", "")
    host = "" if where.startswith(CARRIER) else where.split(",")[0].removeprefix("On ")
    return Printed(host, match["text"], match["says"])


def run_as_printed(command: Printed, cluster: Cluster, hosts: dict[str, Host]) -> None:
    if not command.host:
        done = run(["sh", "-c", f"cd '{cluster.out}' && {command.text}"])
    else:
        words = ["sh", "-c", f"cd {STICK} && {command.text}"]
        done = hosts[command.host].exec(words, check=False, timeout=PATIENCE)
    said = f"{command.host}: {command.text}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    assert done.returncode == 0, said
    assert re.fullmatch(command.pattern, done.stdout), f"{said}\nis not\n{command.says}"


def test_every_command_does_what_the_record_says(recorded: Cluster, hosts: dict[str, Host]) -> None:
    commands = printed(recorded)
    copies = [each for each in commands if each.text.startswith("bash ")]
    installs = [each for each in commands if re.fullmatch(r"sh infra\d\.run", each.text)]
    assert len(copies) == len(installs) == 3
    for command in commands:
        if command not in copies:
            run_as_printed(command, recorded, hosts)
    # The installed copy is the other way back, so there must be something to take back again.
    for command in [*installs, *copies]:
        run_as_printed(command, recorded, hosts)


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
