"""The kubelet stand-in: start-up checks, health endpoint, and the loop over the static Pods."""

from __future__ import annotations

import http.server
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.standins import kubelet_options, pace, versions
from tests.e2e.standins.cri import Runtime
from tests.e2e.standins.grpc import RpcError
from tests.e2e.standins.kubelet_options import Options, RefusedError
from tests.e2e.standins.kubelet_pods import Manager


def main(argv: Sequence[str]) -> int:
    """Run until SIGTERM, which leaves the containers running, as with the real one."""
    version = versions.own()
    if "--version" in argv:
        print(f"Kubernetes {version}")
        print("(a stand-in for tests, not the real kubelet)", file=sys.stderr)
        return 0
    try:
        options = kubelet_options.read(argv, version, _machine())
        for warning in options.warnings:
            say(f"W {warning}")
        runtime = Runtime(options.endpoint, older=version.minor <= 25)
        say(f"Container runtime initialized: {_validated(runtime, options)}")
        _serve(options)
    except RefusedError as refused:
        say(f'E "command failed" err="{refused}"')
        return 1
    folder = Path(options.static_pod_path or "/nonexistent")
    _run(Manager(runtime, folder, options.cgroup_driver, options.resolv_conf, say, pace.own()))
    return 0


def say(text: str) -> None:
    """To the journal; the first word says who."""
    print(f"kubelet stand-in: {text}", file=sys.stderr, flush=True)


def _machine() -> dict[str, bool]:
    swap = len(Path("/proc/swaps").read_text().splitlines()) > 1
    return {"swap": swap, "cgroup_v1": not Path("/sys/fs/cgroup/cgroup.controllers").exists()}


def _validated(runtime: Runtime, options: Options) -> str:
    try:
        return runtime.name()
    except RpcError as failed:
        raise RefusedError(
            f"failed to run Kubelet: validate service connection: {options.endpoint}: {failed}"
        ) from failed


class _Healthz(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()
        self.wfile.write(b"ok" if self.path == "/healthz" else b"404 page not found\n")

    def log_message(self, *_: object) -> None:
        return


def _serve(options: Options) -> None:
    """The health endpoint, and the API port held but not served: nothing on an etcd host asks there."""
    try:
        if options.healthz_port:
            server = http.server.ThreadingHTTPServer((options.healthz_address, options.healthz_port), _Healthz)
            threading.Thread(target=server.serve_forever, daemon=True).start()
        family = socket.AF_INET6 if ":" in options.address else socket.AF_INET
        api = socket.create_server((options.address, options.port), family=family)
    except OSError as taken:
        raise RefusedError(f"failed to listen: {options.address}:{options.port} or healthz: {taken}") from taken
    threading.Thread(target=_refuse_all, args=(api,), daemon=True).start()


def _refuse_all(api: socket.socket) -> None:
    while True:
        api.accept()[0].close()


def _run(manager: Manager) -> None:
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    while not over.is_set():
        started = time.monotonic()
        manager.sync()
        over.wait(max(0.0, pace.RELIST - (time.monotonic() - started)))
    manager.stop_probing()
