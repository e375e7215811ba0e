"""The kubelet's stand-in is as slow and stubborn as the real one: with a clock of the test's, then on a host."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.clusters import Cluster, run_bundle
from tests.e2e.rig.host import Host
from tests.e2e.standins import pods
from tests.e2e.standins.cri import EXITED, RUNNING, Container, Sandbox
from tests.e2e.standins.kubelet_pods import Manager
from tests.e2e.standins.pace import PACE_FILE, Pace

MANIFEST = "/etc/kubernetes/manifests/etcd.yaml"
HEALTH = "/usr/local/sbin/bundlegen-health"
PACE = 0.25


class Runtime:
    """A container runtime that only keeps lists."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.boxes: dict[str, Sandbox] = {}
        self.runs: dict[str, Container] = {}
        self.ended: dict[str, float] = {}

    def uses_systemd_cgroups(self) -> bool:
        return True

    def has_image(self, _image: str) -> bool:
        return True

    def sandboxes(self) -> list[Sandbox]:
        return list(self.boxes.values())

    def containers(self) -> list[Container]:
        return list(self.runs.values())

    def run_sandbox(self, config: Any) -> str:
        identity = f"sandbox{len(self.boxes)}-{config[1][2]}"
        self.boxes[identity] = Sandbox(identity, config[1][4], True, config[6])
        return identity

    def create_container(self, sandbox: str, config: Any, _sandbox_config: Any) -> str:
        identity = f"container{config[1][2]}-{sandbox}"
        self.runs[identity] = Container(identity, sandbox, config[1][2], RUNNING, config[9])
        return identity

    def start_container(self, _container: str) -> None:
        return

    def finished_at(self, container: str) -> float:
        return self.ended[container]

    def stop_container(self, container: str, _grace: int) -> None:
        self.end(container)

    def remove_container(self, container: str) -> None:
        del self.runs[container]

    def remove_sandbox(self, sandbox: str) -> None:
        del self.boxes[sandbox]
        self.runs = {name: run for name, run in self.runs.items() if run.sandbox != sandbox}

    def end(self, container: str) -> None:
        run = self.runs[container]
        self.runs[container] = Container(run.id, run.sandbox, run.attempt, EXITED, run.labels)
        self.ended[container] = self.now


class Clockwork:
    """A manager with one Pod, and a clock that only the test moves."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, scale: float = 1.0) -> None:
        monkeypatch.setattr(pods.Pod, "log_directory", folder / "log")
        self.runtime = Runtime()
        self.manifests = folder / "manifests"
        self.manifests.mkdir()
        self._threads = threading.active_count()
        self._manager = Manager(
            self.runtime,  # type: ignore[arg-type]
            self.manifests,
            "systemd",
            "",
            lambda _text: None,
            Pace(scale),
            lambda: self.runtime.now,
        )

    def write(self, flag: str, **volumes: Any) -> None:
        spec = {"hostNetwork": True, "containers": [{"name": "etcd", "image": "etcd", "command": [flag]}], **volumes}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "etcd", "namespace": "kube-system"}}
        (self.manifests / "etcd.yaml").write_text(yaml.safe_dump({**pod, "spec": spec}))

    def until(self, done: Any, patience: float = 1000) -> float:
        """Sync once a second until that is so; returns after how many seconds it was."""
        started = self.runtime.now
        while self.runtime.now - started <= patience:
            self._manager.sync()
            while threading.active_count() > self._threads:  # they end Pods
                time.sleep(0.001)
            if done():
                return self.runtime.now - started
            self.runtime.now += 0.5
        raise AssertionError("it never came to that")

    @property
    def running(self) -> list[Container]:
        return [run for run in self.runtime.containers() if run.state == RUNNING]

    def started(self, known: set[str]) -> float:
        """After how many seconds a container runs that is none of these."""
        return self.until(lambda: {run.id for run in self.running} - known)


def test_a_changed_static_pod_is_replaced_after_twelve_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubelet = Clockwork(tmp_path, monkeypatch)
    kubelet.write("etcd")
    assert kubelet.started(set()) == 0
    (old,) = kubelet.running
    kubelet.write("etcd --flag")
    assert kubelet.until(lambda: not kubelet.running) <= 1
    assert kubelet.started({old.id}) == pytest.approx(12, abs=1)
    assert len(kubelet.runtime.boxes) == 1


def test_a_manifest_that_was_away_for_long_starts_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubelet = Clockwork(tmp_path, monkeypatch)
    kubelet.write("etcd")
    kubelet.started(set())
    (kubelet.manifests / "etcd.yaml").unlink()
    kubelet.until(lambda: not kubelet.runtime.boxes)
    kubelet.write("etcd --flag")
    assert kubelet.started(set()) == 0


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_a_crash_loop_waits_ten_seconds_and_doubles_up_to_five_minutes(
    scale: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubelet = Clockwork(tmp_path, monkeypatch, scale)
    kubelet.write("etcd")
    kubelet.started(set())
    waits = []
    for _ in range(8):
        (run,) = kubelet.running
        kubelet.runtime.end(run.id)
        waits.append(kubelet.started({run.id}) / scale)
    assert waits == pytest.approx([0, 10, 20, 40, 80, 160, 300, 300], abs=1 / scale)


def test_what_ran_well_for_ten_minutes_starts_again_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubelet = Clockwork(tmp_path, monkeypatch)
    kubelet.write("etcd")
    kubelet.started(set())
    for healthy, waited in ((0, 0), (500, 10), (601, 0), (599, 10)):
        (run,) = kubelet.running
        kubelet.runtime.now += healthy
        kubelet.runtime.end(run.id)
        assert kubelet.started({run.id}) == pytest.approx(waited, abs=1)


def _volume(path: Path, kind: str) -> pods.Pod:
    volume = {"name": "data", "hostPath": {"path": str(path), "type": kind}}
    return pods.Pod("uid", "etcd", "kube-system", {"volumes": [volume]})


def test_a_missing_folder_is_made_if_the_manifest_says_so(tmp_path: Path) -> None:
    data = tmp_path / "not" / "there"
    with pytest.raises(ValueError, match="is not a directory"):
        _volume(data, "Directory").volume_path("data")
    assert _volume(data, "").volume_path("data") == data
    assert not data.exists()
    assert _volume(data, "DirectoryOrCreate").volume_path("data") == data
    assert data.is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is not a directory"):
        _volume(tmp_path / "file", "DirectoryOrCreate").volume_path("data")


def test_a_dangling_link_is_left_to_the_runtime(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "absent disk")
    _volume(link, "DirectoryOrCreate").volume_path("data")
    assert not (tmp_path / "absent disk").exists()


def _etcd(host: Host) -> str:
    return host.exec(["pgrep", "--exact", "etcd"], check=False).stdout.strip()


def _another_etcd(host: Host, old: str, patience: float = 60) -> float:
    started = time.monotonic()
    while not (new := _etcd(host)) or new == old:
        assert time.monotonic() - started < patience
        time.sleep(0.05)
    return time.monotonic() - started


def test_on_a_host(single: Cluster, host: Host) -> None:
    """A signal, a changed manifest, and a data disk that is there, and not there, when a container starts.

    A real kubelet does the same, at its own pace.
    """
    pace = 1 if "BUNDLEGEN_E2E_KUBELET" in os.environ else PACE
    host.write(str(PACE_FILE), f"{pace}\n")
    run_bundle(host, single.bundle(0))
    waits = []
    for _ in range(2):
        old = _etcd(host)
        host.exec(["kill", old])
        waits.append(_another_etcd(host, old))
    assert waits[0] < 10 * pace < waits[1]

    old = _etcd(host)
    host.write(MANIFEST, host.read(MANIFEST) + "# changed\n", 0o600)
    assert 10 * pace <= _another_etcd(host, old) < 15 * pace + 5
    host.exec([HEALTH, "--cluster", "--wait", "60"])

    data = host.path("/var/lib/etcd")
    host.exec(["mount", "-t", "tmpfs", "data", "/var/lib/etcd"])
    assert not any(data.iterdir())
    host.exec(["kill", _etcd(host)])
    host.exec(["timeout", "60", "sh", "-c", "until test -e /var/lib/etcd/member; do sleep 0.2; done"])
    # what is mounted is what the container gets, and a member that has lived does not begin anew there
    assert not any(data.glob("member/wal/*.wal"))
    host.exec(["umount", "/var/lib/etcd"])
    host.exec([HEALTH, "--cluster", "--wait", "60"])
    assert any(data.glob("member/wal/*.wal"))
