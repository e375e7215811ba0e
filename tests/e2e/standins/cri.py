"""The container runtime interface, version 1: the calls a kubelet needs for static Pods.

Field numbers as in kubernetes/cri-api pkg/apis/runtime/v1/api.proto.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.standins import grpc, wire

RUNTIME = "RuntimeService/"
IMAGES = "ImageService/"
NODE_NETWORK = {1: 2, 2: 1}  # NamespaceOption: the host's network, a PID namespace per container
RUNTIME_DEFAULT: wire.Message = {1: 0}
RUNNING, EXITED = 1, 2


@dataclass(frozen=True)
class Sandbox:
    """A Pod's sandbox as the runtime lists it."""

    id: str
    attempt: int
    ready: bool
    labels: dict[str, str]


@dataclass(frozen=True)
class Container:
    """A container as the runtime lists it; state is RUNNING, EXITED or something in between."""

    id: str
    sandbox: str
    attempt: int
    state: int
    labels: dict[str, str]


class Runtime:
    """A runtime behind a unix:// endpoint.

    older: content with v1alpha2, which has the same messages and is all that containerd has before 1.6.
    """

    def __init__(self, endpoint: str, *, older: bool) -> None:
        self._socket = Path(endpoint.removeprefix("unix://"))
        self._older = older
        self._api = "v1"

    def name(self) -> str:
        """Name and version; the first call a kubelet makes."""
        try:
            answer = self._call(RUNTIME + "Version", {1: "0.1.0"})
        except grpc.RpcError:
            if not self._older:
                raise
            self._api = "v1alpha2"
            answer = self._call(RUNTIME + "Version", {1: "0.1.0"})
        return f"{wire.text(answer, 2)} {wire.text(answer, 3)}"

    def uses_systemd_cgroups(self) -> bool | None:
        """SystemdCgroup of containerd's runc; None if the runtime does not tell."""
        answer = self._call(RUNTIME + "Status", {1: True})
        try:
            config: Any = json.loads(wire.string_map(answer, 2)["config"])["containerd"]
            runtime = config["runtimes"][config["defaultRuntimeName"]]
        except KeyError:
            return None
        # containerd 1.4 keeps its runtimes' options to itself
        options = runtime.get("options") or {}
        return (
            None if self._api == "v1alpha2" and "SystemdCgroup" not in options else bool(options.get("SystemdCgroup"))
        )

    def has_image(self, image: str) -> bool:
        return 1 in self._call(IMAGES + "ImageStatus", {1: {1: image}})

    def pull(self, image: str) -> None:
        self._call(IMAGES + "PullImage", {1: {1: image}})

    def sandboxes(self) -> list[Sandbox]:
        found = wire.messages(self._call(RUNTIME + "ListPodSandbox", {}), 1)
        return [
            Sandbox(
                id=wire.text(item, 1),
                attempt=wire.number(wire.messages(item, 2)[0], 4),
                ready=wire.number(item, 3) == 0,
                labels=wire.string_map(item, 5),
            )
            for item in found
        ]

    def containers(self) -> list[Container]:
        found = wire.messages(self._call(RUNTIME + "ListContainers", {}), 1)
        return [
            Container(
                id=wire.text(item, 1),
                sandbox=wire.text(item, 2),
                attempt=wire.number(wire.messages(item, 3)[0], 2),
                state=wire.number(item, 6),
                labels=wire.string_map(item, 8),
            )
            for item in found
        ]

    def finished_at(self, container: str) -> float:
        """When it ended, in seconds since 1970."""
        status = wire.messages(self._call(RUNTIME + "ContainerStatus", {1: container}), 1)[0]
        return wire.number(status, 6) / 1e9

    def run_sandbox(self, config: wire.Message) -> str:
        return wire.text(self._call(RUNTIME + "RunPodSandbox", {1: config}), 1)

    def create_container(self, sandbox: str, config: wire.Message, sandbox_config: wire.Message) -> str:
        return wire.text(self._call(RUNTIME + "CreateContainer", {1: sandbox, 2: config, 3: sandbox_config}), 1)

    def start_container(self, container: str) -> None:
        self._call(RUNTIME + "StartContainer", {1: container})

    def stop_container(self, container: str, grace: int) -> None:
        self._call(RUNTIME + "StopContainer", {1: container, 2: grace})

    def remove_container(self, container: str) -> None:
        self._call(RUNTIME + "RemoveContainer", {1: container})

    def remove_sandbox(self, sandbox: str) -> None:
        """Stop it and remove it with all its containers."""
        self._call(RUNTIME + "StopPodSandbox", {1: sandbox})
        self._call(RUNTIME + "RemovePodSandbox", {1: sandbox})

    def _call(self, method: str, request: wire.Message) -> dict[int, list[int | bytes]]:
        return wire.decode(grpc.call(self._socket, f"/runtime.{self._api}.{method}", wire.encode(request)))
