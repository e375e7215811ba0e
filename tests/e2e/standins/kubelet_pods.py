"""Bring what runs in line with the manifests: one pass is `sync`, called about every second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.standins import pods
from tests.e2e.standins.cri import EXITED, RUNNING, Container, Runtime, Sandbox
from tests.e2e.standins.grpc import RpcError
from tests.e2e.standins.pace import RETRY, BackOff, Pace
from tests.e2e.standins.pods import Pod
from tests.e2e.standins.probes import Prober

GRACE_OF_THE_UNKNOWN = 30  # seconds; of a Pod whose manifest is gone


class Manager:
    """Keeps the static Pods of one folder running."""

    def __init__(
        self,
        runtime: Runtime,
        folder: Path,
        cgroup_driver: str,
        resolv_conf: str,
        say: Callable[[str], None],
        pace: Pace,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """clock: the time that the runtime's times are on, in seconds."""
        self._runtime = runtime
        self._folder = folder
        self._cgroup_driver = cgroup_driver
        self._resolv_conf = resolv_conf
        self._say = say
        self._pace = pace
        self._clock = clock
        self._probers: dict[str, Prober] = {}
        self._ending: set[str] = set()  # UIDs of Pods that are being ended
        self._not_before: dict[str, float] = {}
        self._back_off = BackOff(pace, clock)

    def sync(self) -> None:
        """One pass. A failure is said and tried again later, as the real one does."""
        wanted = self._wanted()
        ending = set(self._ending)  # before what is there is listed: what ends meanwhile is still in that list
        try:
            containers, sandboxes = self._runtime.containers(), self._runtime.sandboxes()
        except RpcError as failed:
            self._say(f"Error listing Pods: {failed}")
            return
        listed: list[Sandbox | Container] = [*sandboxes, *containers]
        there = {item.labels[pods.UID]: pods.full_name(item.labels) for item in listed if pods.UID in item.labels}
        for uid in there.keys() - {pod.uid for pod in wanted} - ending:
            self._end(uid, containers, sandboxes)
        for pod in wanted:
            if self._clock() < self._not_before.get(pod.uid, 0):
                continue
            others = {name for uid, name in there.items() if uid != pod.uid}
            if pod.uid in ending or pod.full_name in others:
                self._later(pod, "cannot start: another static Pod of this name has not ended yet")
                continue
            try:
                self._sync_pod(pod, pods.of(pod.uid, containers), pods.of(pod.uid, sandboxes))
            except (RpcError, ValueError, OSError) as failed:
                self._later(pod, f"Error syncing pod, skipping: {failed}")

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

    def _end(self, uid: str, containers: list[Container], sandboxes: list[Sandbox]) -> None:
        """End a Pod that no manifest asks for, beside everything else that goes on."""
        self._ending.add(uid)

        def end() -> None:
            try:
                for container in pods.of(uid, containers):
                    self._say(
                        f"Killing container with a grace period {container.labels[pods.CONTAINER]} {container.id[:12]}"
                    )
                    self._forget(container.id)
                    self._runtime.stop_container(container.id, GRACE_OF_THE_UNKNOWN)
                for sandbox in pods.of(uid, sandboxes):
                    self._runtime.remove_sandbox(sandbox.id)
            except RpcError as failed:
                self._say(f"Error removing pod {uid}: {failed}")
            finally:
                self._ending.discard(uid)

        threading.Thread(target=end, daemon=True).start()

    def _later(self, pod: Pod, why: str) -> None:
        delay = self._pace.of(RETRY)
        self._not_before[pod.uid] = self._clock() + delay
        self._say(f"{why} pod={pod.full_name}; again in {delay:.0f}s")

    def _sync_pod(self, pod: Pod, containers: list[Container], sandboxes: list[Sandbox]) -> None:
        sandbox = self._sandbox(pod, sandboxes)
        for spec in pod.spec["containers"]:
            known = [container for container in containers if container.labels.get(pods.CONTAINER) == spec["name"]]
            mine = [container for container in known if container.sandbox == sandbox.id]
            running = [container for container in mine if container.state == RUNNING]
            if running:
                self._watch(pod, spec, running[0])
            elif self._may_start(pod, spec, mine):
                self._start(pod, spec, sandbox, 1 + max((container.attempt for container in known), default=-1))
                for old in mine:
                    self._forget(old.id)
                    self._runtime.remove_container(old.id)

    def _sandbox(self, pod: Pod, mine: list[Sandbox]) -> Sandbox:
        for sandbox in mine:
            if sandbox.ready:
                return sandbox
        if (self._cgroup_driver == "systemd") is not (self._runtime.uses_systemd_cgroups() is not False):
            raise ValueError(
                f"Failed to create pod sandbox: kubelet cgroup driver {self._cgroup_driver!r} is not the runtime's: "
                "OCI runtime create failed: runc create failed"
            )
        if self._resolv_conf:
            with Path(self._resolv_conf).open(encoding="utf-8"):  # as its DNS configurer does for each Pod
                pass
        attempt = 1 + max((sandbox.attempt for sandbox in mine), default=-1)
        pod.log_directory.mkdir(parents=True, exist_ok=True)
        identity = self._runtime.run_sandbox(pods.sandbox_config(pod, attempt, self._cgroup_driver))
        for sandbox in mine:
            self._runtime.remove_sandbox(sandbox.id)
        return Sandbox(identity, attempt, True, pod.labels())

    def _may_start(self, pod: Pod, spec: dict, mine: list[Container]) -> bool:
        """At once if it never ran or ended for the first time; then 10 s after it ended, 20 s, up to five minutes."""
        ended = [container for container in mine if container.state == EXITED]
        if not ended:
            return True
        newest = max(ended, key=lambda container: container.attempt)
        key, at = f"{pod.uid}/{spec['name']}", self._runtime.finished_at(newest.id)
        if self._back_off.waits(key, at):
            return False
        delay = self._back_off.count(key, at)
        self._say(f"Container {spec['name']} {newest.id[:12]} ended; if it ends again it waits {delay:.0f}s")
        return True

    def _start(self, pod: Pod, spec: dict, sandbox: Sandbox, attempt: int) -> None:
        image = spec["image"]
        if spec.get("imagePullPolicy") == "Always" or not self._runtime.has_image(image):
            self._say(f"Pulling image {image}")
            self._runtime.pull(image)
        sandbox_config = pods.sandbox_config(pod, sandbox.attempt, self._cgroup_driver)
        config = pods.container_config(pod, spec, attempt)
        identity = self._runtime.create_container(sandbox.id, config, sandbox_config)
        self._runtime.start_container(identity)
        self._say(f"Started container {spec['name']} {identity[:12]} attempt={attempt} pod={pod.full_name}")

    def _watch(self, pod: Pod, spec: dict, container: Container) -> None:
        if container.id in self._probers:
            return

        def kill(reason: str) -> None:
            self._say(f"Killing container {container.id[:12]}: {reason}")
            try:
                self._runtime.stop_container(container.id, pod.grace)
            except RpcError as failed:
                self._say(f"Error killing container {container.id[:12]}: {failed}")

        self._probers[container.id] = Prober(spec, kill, self._say, self._pace)

    def _forget(self, container: str) -> None:
        if prober := self._probers.pop(container, None):
            prober.stop()
