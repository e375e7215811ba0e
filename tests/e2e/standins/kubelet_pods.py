"""Bring what runs in line with the manifests: one pass is `sync`, called about every second."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.standins import pods
from tests.e2e.standins.cri import EXITED, RUNNING, Container, Runtime, Sandbox
from tests.e2e.standins.grpc import RpcError
from tests.e2e.standins.pods import Pod
from tests.e2e.standins.probes import Prober

FIRST_BACK_OFF, LONGEST_BACK_OFF = 10.0, 300.0


class Manager:
    """Keeps the static Pods of one folder running."""

    def __init__(self, runtime: Runtime, folder: Path, cgroup_driver: str, say: Callable[[str], None]) -> None:
        self._runtime = runtime
        self._folder = folder
        self._cgroup_driver = cgroup_driver
        self._say = say
        self._probers: dict[str, Prober] = {}
        self._not_before: dict[str, float] = {}
        self._back_off: dict[str, float] = {}

    def sync(self) -> None:
        """One pass. A failure is said and tried again later, as the real one does."""
        wanted = self._wanted()
        try:
            self._remove_others({pod.uid for pod in wanted})
        except RpcError as failed:
            self._say(f"Error removing Pods: {failed}")
            return
        for pod in wanted:
            if time.monotonic() < self._not_before.get(pod.uid, 0):
                continue
            try:
                self._sync_pod(pod)
            except (RpcError, ValueError) as failed:
                delay = self._wait_longer(pod.uid)
                self._say(
                    f"Error syncing pod, skipping (back-off {delay:.0f}s): {failed} pod={pod.namespace}/{pod.name}"
                )

    def stop_probing(self) -> None:
        for prober in self._probers.values():
            prober.stop()

    def _wanted(self) -> list[Pod]:
        found = []
        try:
            files = sorted(path for path in self._folder.iterdir() if not path.name.startswith(".") and path.is_file())
        except FileNotFoundError:
            return []
        for path in files:
            try:
                found.append(pods.read(path))
            except FileNotFoundError:
                continue
            except (ValueError, KeyError, TypeError) as broken:
                self._say(f"Can't process manifest file {path}: {broken}")
        return found

    def _remove_others(self, wanted: set[str]) -> None:
        for container in self._runtime.containers():
            if pods.UID in container.labels and container.labels[pods.UID] not in wanted:
                self._say(
                    f"Killing container with a grace period {container.labels[pods.CONTAINER]} {container.id[:12]}"
                )
                self._forget(container.id)
                self._runtime.stop_container(container.id, 30)
        for sandbox in self._runtime.sandboxes():
            if pods.UID in sandbox.labels and sandbox.labels[pods.UID] not in wanted:
                self._runtime.remove_sandbox(sandbox.id)

    def _sync_pod(self, pod: Pod) -> None:
        sandbox = self._sandbox(pod)
        for spec in pod.spec["containers"]:
            mine = [
                container
                for container in self._runtime.containers()
                if container.labels.get(pods.UID) == pod.uid and container.labels.get(pods.CONTAINER) == spec["name"]
            ]
            running = [container for container in mine if container.state == RUNNING]
            if running:
                self._watch(pod, spec, running[0])
            elif self._may_restart(pod, mine):
                self._start(pod, spec, sandbox, 1 + max((container.attempt for container in mine), default=-1))
                for old in mine:
                    self._forget(old.id)
                    self._runtime.remove_container(old.id)

    def _sandbox(self, pod: Pod) -> Sandbox:
        mine = [sandbox for sandbox in self._runtime.sandboxes() if sandbox.labels.get(pods.UID) == pod.uid]
        for sandbox in mine:
            if sandbox.ready:
                return sandbox
        if (self._cgroup_driver == "systemd") is not (self._runtime.uses_systemd_cgroups() is not False):
            raise ValueError(
                f"Failed to create pod sandbox: kubelet cgroup driver {self._cgroup_driver!r} is not the runtime's: "
                "OCI runtime create failed: runc create failed"
            )
        attempt = 1 + max((sandbox.attempt for sandbox in mine), default=-1)
        pod.log_directory.mkdir(parents=True, exist_ok=True)
        identity = self._runtime.run_sandbox(pods.sandbox_config(pod, attempt, self._cgroup_driver))
        for sandbox in mine:
            self._runtime.remove_sandbox(sandbox.id)
        return Sandbox(identity, attempt, True, pod.labels())

    def _may_restart(self, pod: Pod, mine: list[Container]) -> bool:
        """At once the first time, then 10 s after it ended, 20 s, and so on up to five minutes."""
        ended = [container for container in mine if container.state == EXITED]
        if not ended:
            return True
        newest = max(ended, key=lambda container: container.attempt)
        if newest.attempt == 0:
            return True
        delay = min(FIRST_BACK_OFF * 2 ** (newest.attempt - 1), LONGEST_BACK_OFF)
        return time.time() >= self._runtime.finished_at(newest.id) + delay

    def _start(self, pod: Pod, spec: dict, sandbox: Sandbox, attempt: int) -> None:
        image = spec["image"]
        if spec.get("imagePullPolicy") == "Always" or not self._runtime.has_image(image):
            self._say(f"Pulling image {image}")
            self._runtime.pull(image)
        sandbox_config = pods.sandbox_config(pod, sandbox.attempt, self._cgroup_driver)
        config = pods.container_config(pod, spec, attempt)
        identity = self._runtime.create_container(sandbox.id, config, sandbox_config)
        self._runtime.start_container(identity)
        self._say(f"Started container {spec['name']} {identity[:12]} attempt={attempt} pod={pod.namespace}/{pod.name}")
        self._back_off.pop(pod.uid, None)

    def _watch(self, pod: Pod, spec: dict, container: Container) -> None:
        if container.id in self._probers:
            return

        def kill(reason: str) -> None:
            self._say(f"Killing container {container.id[:12]}: {reason}")
            try:
                self._runtime.stop_container(container.id, pod.grace)
            except RpcError as failed:
                self._say(f"Error killing container {container.id[:12]}: {failed}")

        self._probers[container.id] = Prober(spec, kill, self._say)

    def _forget(self, container: str) -> None:
        if prober := self._probers.pop(container, None):
            prober.stop()

    def _wait_longer(self, uid: str) -> float:
        delay = min(2 * self._back_off.get(uid, FIRST_BACK_OFF / 2), LONGEST_BACK_OFF)
        self._back_off[uid] = delay
        self._not_before[uid] = time.monotonic() + delay
        return delay
