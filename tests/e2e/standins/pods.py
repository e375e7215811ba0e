"""Static Pods: a manifest on disk and the sandbox and container that belong to it."""

from __future__ import annotations

import contextlib
import hashlib
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import yaml

from tests.e2e.standins import wire
from tests.e2e.standins.cri import NODE_NETWORK, RUNTIME_DEFAULT

UID, POD, NAMESPACE, CONTAINER = (
    f"io.kubernetes.{name}" for name in ("pod.uid", "pod.name", "pod.namespace", "container.name")
)


@dataclass(frozen=True)
class Pod:
    """A manifest as a kubelet reads it; the same text on the same host always has the same UID."""

    uid: str
    name: str
    namespace: str
    spec: dict[str, Any]

    @property
    def full_name(self) -> str:
        return full_name(self.labels())

    @property
    def grace(self) -> int:
        return int(self.spec.get("terminationGracePeriodSeconds", 30))

    @property
    def log_directory(self) -> Path:
        return Path(f"/var/log/pods/{self.namespace}_{self.name}_{self.uid}")

    def labels(self) -> dict[str, str]:
        return {UID: self.uid, POD: self.name, NAMESPACE: self.namespace}

    def volume_path(self, volume: str) -> Path:
        """The folder or file of a hostPath volume, made if its type says so. Raises ValueError if it is none.

        Without a type nothing is looked at: the runtime makes a folder of what is missing.
        Source: kubernetes/kubernetes pkg/volume/hostpath/host_path.go, checkTypeInternal.
        """
        host_path = next(item["hostPath"] for item in self.spec["volumes"] if item["name"] == volume)
        path, kind = Path(host_path["path"]), host_path.get("type", "")
        if kind == "DirectoryOrCreate" and not path.exists():
            with contextlib.suppress(FileExistsError):  # a dangling link: the runtime then refuses
                path.mkdir(mode=0o755, parents=True)
        elif kind in ("DirectoryOrCreate", "Directory") and not path.is_dir():
            raise ValueError(f"hostPath type check failed: {path} is not a directory")
        elif kind == "File" and not path.is_file():
            raise ValueError(f"hostPath type check failed: {path} is not a file")
        elif kind not in ("", "Directory", "DirectoryOrCreate", "File"):
            raise ValueError(f"this stand-in does not know the hostPath type {kind}")
        return path


def full_name(labels: Mapping[str, str]) -> str:
    """What may run only once at a time: a Pod's name and namespace, as the runtime's labels have them."""
    return f"{labels.get(NAMESPACE, '')}/{labels.get(POD, '')}"


class Labelled(Protocol):
    """What a runtime lists: a sandbox or a container."""

    @property
    def labels(self) -> dict[str, str]: ...


Listed = TypeVar("Listed", bound=Labelled)


def of(uid: str, listed: Iterable[Listed]) -> list[Listed]:
    """What belongs to the Pod of that UID."""
    return [item for item in listed if item.labels.get(UID) == uid]


def read(path: Path) -> Pod:
    """The Pod of one manifest file. Raises ValueError if it is none."""
    text = path.read_text()
    try:
        manifest = yaml.safe_load(text)
    except yaml.YAMLError as broken:
        raise ValueError(f"could not process manifest file {path}: {broken}") from broken
    if not isinstance(manifest, dict) or (manifest.get("apiVersion"), manifest.get("kind")) != ("v1", "Pod"):
        raise ValueError(f"could not process manifest file {path}: not a v1 Pod")
    name = f"{manifest['metadata']['name']}-{socket.gethostname()}"
    digest = hashlib.md5(f"{socket.gethostname()}\n{path}\n{text}".encode(), usedforsecurity=False).hexdigest()
    return Pod(digest, name, manifest["metadata"].get("namespace", "default"), manifest["spec"])


def sandbox_config(pod: Pod, attempt: int, cgroup_driver: str) -> wire.Message:
    """PodSandboxConfig. Raises ValueError for what this stand-in cannot run."""
    if not pod.spec.get("hostNetwork"):
        raise ValueError("this stand-in runs only Pods with hostNetwork: true")
    parent = (
        f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{pod.uid}.slice"
        if cgroup_driver == "systemd"
        else f"/kubepods/burstable/pod{pod.uid}"
    )
    return {
        1: {1: pod.name, 2: pod.uid, 3: pod.namespace, 4: attempt},
        3: str(pod.log_directory),
        6: pod.labels(),
        8: {1: parent, 2: {1: NODE_NETWORK, 9: RUNTIME_DEFAULT}},
    }


def container_config(pod: Pod, container: dict[str, Any], attempt: int) -> wire.Message:
    """ContainerConfig. Raises ValueError if a volume is not as its type says."""
    mounts = [
        {1: mount["mountPath"], 2: str(pod.volume_path(mount["name"])), 3: mount.get("readOnly", False)}
        for mount in container.get("volumeMounts", [])
    ]
    (pod.log_directory / container["name"]).mkdir(parents=True, exist_ok=True)
    return {
        1: {1: container["name"], 2: attempt},
        2: {1: container["image"]},
        3: container.get("command", []),
        4: container.get("args", []),
        6: [{1: item["name"], 2: item.get("value", "")} for item in container.get("env", [])],
        7: mounts,
        9: {**pod.labels(), CONTAINER: container["name"]},
        11: f"{container['name']}/{attempt}.log",
        15: {1: {3: 102, 5: -997}, 2: {3: NODE_NETWORK, 15: RUNTIME_DEFAULT}},
    }
