"""The commands that a change record prints, and running them as printed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.clusters import STICK, Cluster
from tests.e2e.rig.commands import run
from tests.e2e.rig.host import Host

CARRIER = "In the change folder"
COMMAND = re.compile(
    r"^(?P<where>(?:On|In) [^\n]*):\n\n```sh\n(?P<text>[^\n]*)\n```$"
    r"(?:\n\nIt says [^\n]*:\n\n```text\n(?P<says>.*?)\n```$)?",
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
        if not self.says:
            return ""
        lines = self.says.split("\n")
        return "".join(
            r"(?:.*\n)*" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + r"\n" for line in lines
        )


def printed(cluster: Cluster, count: int | None = None) -> list[Printed]:
    """The commands of a cluster's record; ``count``: how many there must be."""
    text = (cluster.out / "CHANGE.md").read_text()
    matches = list(COMMAND.finditer(text))
    assert len(matches) == text.count("```sh")
    found = [each for match in matches for each in _printed(match)]
    assert count in (None, len(found))
    return found


def _printed(match: re.Match[str]) -> Iterator[Printed]:
    """One for each host: on several, a command is printed once."""
    where = match["where"].replace("\\", "")
    hosts = re.split(r", (?=as root|in the folder)", where)[0].removeprefix("On ")
    for host in [""] if where.startswith(CARRIER) else re.split(r", | and ", hosts):
        yield Printed(host, match["text"], match["says"] or "")


def run_as_printed(command: Printed, change: Path, hosts: dict[str, Host], typed: str | None = None) -> None:
    if not command.host:
        done = run(["sh", "-c", f"cd '{change}' && {command.text}"])
    else:
        words = ["sh", "-c", f"cd {STICK} && {command.text}"]
        done = hosts[command.host].exec(words, check=False, timeout=PATIENCE, stdin=typed)
    said = f"{command.host}: {command.text}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    assert done.returncode == 0, said
    assert re.fullmatch(command.pattern, done.stdout), f"{said}\nis not\n{command.says}"
