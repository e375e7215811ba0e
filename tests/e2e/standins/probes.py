"""HTTP probes, as a kubelet runs them: startup first, then liveness; readiness is only told."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.e2e.standins.pace import Pace


class Prober:
    """Probes one container until stopped; calls `kill` with the reason when it is to be restarted."""

    def __init__(
        self, container: dict[str, Any], kill: Callable[[str], None], say: Callable[[str], None], pace: Pace
    ) -> None:
        self._container = container
        self._kill = kill
        self._say = say
        self._pace = pace
        self._over = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        self._over.set()

    def _run(self) -> None:
        if startup := self._container.get("startupProbe"):
            self._repeat("Startup", startup, until_success=True)
        if liveness := self._container.get("livenessProbe"):
            self._repeat("Liveness", liveness, until_success=False)

    def _repeat(self, name: str, probe: dict[str, Any], *, until_success: bool) -> None:
        failures = 0
        self._over.wait(self._pace.of(probe.get("initialDelaySeconds", 0)))
        while not self._over.is_set():
            started = time.monotonic()
            problem = self._ask(probe)
            if self._over.is_set():
                return
            if not problem:
                if until_success:
                    return
                failures = 0
            else:
                failures += 1
                self._say(f"{name} probe failed: {problem}")
                if failures >= probe.get("failureThreshold", 3):
                    self._kill(f"container {self._container['name']} failed {name.lower()} probe, will be restarted")
                    return
            period = self._pace.of(probe.get("periodSeconds", 10))
            self._over.wait(max(0.0, period - (time.monotonic() - started)))

    def _ask(self, probe: dict[str, Any]) -> str:
        """Why the probe failed, or "" if it did not."""
        get = probe["httpGet"]
        port = get["port"]
        if isinstance(port, str):
            ports = self._container.get("ports", [])
            port = next((item["containerPort"] for item in ports if item.get("name") == port), None)
            if port is None:
                return f"couldn't find port: {get['port']}"
        connection = http.client.HTTPConnection(
            get.get("host", "127.0.0.1"), port, timeout=probe.get("timeoutSeconds", 1)
        )
        try:
            connection.request("GET", get.get("path", "/"))
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as broken:
            return f"Get http://{get.get('host')}:{port}{get.get('path')}: {broken}"
        finally:
            connection.close()
        return "" if 200 <= status < 400 else f"HTTP probe failed with statuscode: {status}"
