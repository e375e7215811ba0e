"""A client that writes without a pause, and knows afterwards what became of every write.

Ten times a second it puts a key of its own through each endpoint at once, every put on a new TLS connection, as a
client would that trusts no connection it has. At the end it reads all of them back, through each endpoint. Two numbers
judge what was done to the cluster meanwhile: writes that were acknowledged and are lost, and ticks in which no endpoint
took a write.

    with Writer(session, cluster.endpoints.split(","), keys_of(host, folder)) as writer:
        ...                                     # whatever is to be survived
    assert writer.report.harm() == "", writer.report
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import ssl
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.e2e.rig.host import Host
from tests.e2e.rig.session import Session

TICK = 0.1
PATIENCE = 10  # etcd itself gives a proposal up after 7 s
PAGE = 500
CREDENTIALS = ("ca.crt", "client.crt", "client.key")


@dataclass(frozen=True)
class Report:
    """What became of the writes."""

    ticks: int
    acknowledged: int
    lost: list[str]
    """Keys that were acknowledged, and that an endpoint does not have at the end, or has with another value."""
    idle: list[int]
    """Ticks in which no endpoint took a write."""
    slowest: float
    """The longest that a tick waited for its first acknowledgement, in seconds."""
    refused: dict[str, dict[str, int]] = field(default_factory=dict)
    """How often each endpoint did not take a write, by its reason."""

    def harm(self) -> str:
        """What was lost, in words; empty if nothing was."""
        found = [f"{len(self.lost)} acknowledged writes lost"] * bool(self.lost)
        found += [f"{len(self.idle)} ticks in which no endpoint took a write"] * bool(self.idle)
        return ", ".join(found)


def keys_of(host: Host, folder: Path, name: str = "apiserver-etcd-client") -> Path:
    """A control plane's credentials, copied from where a bundle put them; returns their folder.

    They stay as they are whatever becomes of the host. A test may replace them while the writer runs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pki = host.path("/etc/kubernetes/pki")
    for source, target in zip(
        (pki / "etcd/ca.crt", pki / f"{name}.crt", pki / f"{name}.key"), CREDENTIALS, strict=True
    ):
        shutil.copyfile(source, folder / target)
    return folder


class Writer:
    """Writes from entering to leaving; `report` is there afterwards."""

    report: Report

    def __init__(self, session: Session, endpoints: Sequence[str], credentials: Path) -> None:
        """endpoints: `https://address:port`; credentials: a folder with ca.crt, client.crt and client.key."""
        words = [sys.executable, "-m", __name__, str(credentials), *endpoints]
        self._process = subprocess.Popen(
            session.entering(words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )

    def __enter__(self) -> Self:
        self._line("writing")
        return self

    def endpoints(self, endpoints: Sequence[str]) -> None:
        """From the next tick on, write through these."""
        assert self._process.stdin
        self._process.stdin.write(" ".join(endpoints) + "\n")
        self._process.stdin.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                assert self._process.stdin
                self._process.stdin.close()
                self.report = Report(**json.loads(self._line("report")))
        finally:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream:
                    stream.close()

    def _line(self, word: str) -> str:
        """The rest of the next line, which must begin so."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line.startswith(word), f"the writer has ended: {line}"
        return line.removeprefix(word)


class Client:
    """Requests to etcd's gateway, each on a connection of its own."""

    def __init__(self, credentials: Path) -> None:
        self._files = [credentials / name for name in CREDENTIALS]
        self._stamps: list[int] = []

    def _context(self) -> ssl.SSLContext:
        """With the credentials that are there now."""
        stamps = [file.stat().st_mtime_ns for file in self._files]
        if stamps != self._stamps:
            authority, certificate, key = self._files
            self._made = ssl.create_default_context(cafile=authority)
            self._made.load_cert_chain(certificate, key)
            self._stamps = stamps
        return self._made

    async def post(self, endpoint: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer. Raises OSError, also for any answer but a success, and TimeoutError."""
        async with asyncio.timeout(PATIENCE):
            return await self._post(endpoint, path, body)

    async def _post(self, endpoint: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        at, data = urlsplit(endpoint), json.dumps(body)
        reader, writer = await asyncio.open_connection(at.hostname, at.port, ssl=self._context())
        try:
            request = f"POST {path} HTTP/1.0\r\nHost: {at.netloc}\r\nContent-Length: {len(data)}\r\n\r\n{data}"
            writer.write(request.encode())
            head, _, answer = (await reader.read(-1)).decode().partition("\r\n\r\n")
        finally:
            writer.transport.abort()
        if head.split()[1:2] != ["200"]:
            raise OSError(f"{' '.join(head.split()[1:2])} {_message(answer)}".strip() or "no answer")
        found: dict[str, Any] = json.loads(answer)
        return found


class Diary:
    """What was written, and what was said to it."""

    def __init__(self, client: Client, endpoints: Sequence[str]) -> None:
        self.endpoints = list(endpoints)
        self._client = client
        self._prefix = f"writer/{uuid.uuid4().hex}/"
        self._taken: dict[str, str] = {}
        self._first: dict[int, float] = {}
        self._refused: dict[str, Counter[str]] = {}
        self._ticks = 0

    async def tick(self) -> None:
        """One put through each endpoint; returns when all have been answered."""
        number, begun = self._ticks, time.monotonic()
        self._ticks += 1

        async def put(index: int, endpoint: str) -> None:
            key, value = f"{self._prefix}{number:08}/{index}", f"{number} through {endpoint}"
            try:
                await self._client.post(endpoint, "/v3/kv/put", {"key": _encoded(key), "value": _encoded(value)})
            except (OSError, ValueError) as failed:
                reason = str(failed) or type(failed).__name__
                self._refused.setdefault(endpoint, Counter())[reason] += 1
            else:
                self._taken[key] = value
                self._first.setdefault(number, time.monotonic() - begun)

        await asyncio.gather(*(put(index, endpoint) for index, endpoint in enumerate(self.endpoints)))

    async def report(self) -> Report:
        """Read everything back, through each endpoint."""
        lost: set[str] = set()
        for endpoint in self.endpoints:
            there = await self._read(endpoint)
            lost |= {key for key, value in self._taken.items() if there.get(key) != value}
        idle = [number for number in range(self._ticks) if number not in self._first]
        refused = {endpoint: dict(reasons) for endpoint, reasons in self._refused.items()}
        slowest = round(max(self._first.values(), default=0), 3)
        return Report(self._ticks, len(self._taken), sorted(lost), idle, slowest, refused)

    async def _read(self, endpoint: str) -> dict[str, str]:
        found: dict[str, str] = {}
        start, end = self._prefix, self._prefix[:-1] + "0"  # "0" follows "/"
        while True:
            body = {"key": _encoded(start), "range_end": _encoded(end), "limit": PAGE}
            answer = await self._client.post(endpoint, "/v3/kv/range", body)
            page = {_decoded(pair["key"]): _decoded(pair.get("value", "")) for pair in answer.get("kvs", ())}
            found |= page
            if len(page) < PAGE:
                return found
            start = max(page) + "\0"


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()


def _message(answer: str) -> str:
    try:
        return str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        return answer[:100]


async def _write(credentials: Path, endpoints: Sequence[str]) -> None:
    """Until standard input ends; a line there names the endpoints from then on."""
    diary = Diary(Client(credentials), endpoints)
    await diary.tick()
    print("writing", flush=True)
    running: set[asyncio.Task[None]] = set()
    asking = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
    due = time.monotonic()
    while True:
        if asking.done():
            if not (words := asking.result().split()):
                break
            diary.endpoints = words
            asking = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
        task = asyncio.create_task(diary.tick())
        running.add(task)
        task.add_done_callback(running.discard)
        due += TICK
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    await asyncio.gather(*running)
    print(f"report {json.dumps(asdict(await diary.report()))}", flush=True)


if __name__ == "__main__":
    asyncio.run(_write(Path(sys.argv[1]), sys.argv[2:]))
