"""kubelet and kubeadm on the hosts: the stand-ins, or real binaries named by the environment."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.rig.commands import run
from tests.e2e.rig.rootfs import STANDIN_PYTHON
from tests.e2e.standins import pace, versions

STANDINS = Path(versions.__file__).parent


@dataclass(frozen=True)
class Binaries:
    """What plays Kubernetes in a set of hosts: a real binary, or None for the stand-in, and the version of both.

    pace: how long the stand-in of the kubelet lets wait, as a multiple of what the real one does.
    """

    version: str
    kubelet: Path | None = None
    kubeadm: Path | None = None
    pace: float = 1.0

    @property
    def images(self) -> list[str]:
        """The images this kubeadm asks for; the last one is etcd's."""
        arguments = ["config", "images", "list", "--kubernetes-version", self.version]
        if self.kubeadm:
            return run([self.kubeadm, *arguments]).stdout.split()
        own = versions.Version.parse(self.version)
        return versions.images(own, own)

    @property
    def etcd_image(self) -> str:
        return next(image for image in self.images if "/etcd:" in image)

    @property
    def pause_image(self) -> str:
        return next(image for image in self.images if "/pause:" in image)

    def layer(self, target: Path, *, systemd_cgroup: bool = True) -> Path:
        """A folder to be laid over the root file system: the programs, and containerd configured for them."""
        for name, real in (("kubelet", self.kubelet), ("kubeadm", self.kubeadm)):
            program = target / "usr/bin" / name
            program.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(real or STANDINS / name, program)
            program.chmod(0o755)
            # The stand-ins' interpreter under their own names: a process is known by its first word.
            interpreter = target / STANDIN_PYTHON.parent / "bin" / name
            interpreter.parent.mkdir(parents=True, exist_ok=True)
            interpreter.symlink_to(f"../{STANDIN_PYTHON.name}")
        library = target / "usr/libexec/standin/tests/e2e/standins"
        library.mkdir(parents=True, exist_ok=True)
        for module in STANDINS.glob("*.py"):
            shutil.copyfile(module, library / module.name)
        etc = target / "etc"
        (etc / "containerd").mkdir(parents=True)
        (etc / "containerd/config.toml").write_text(_containerd(self.pause_image, systemd_cgroup))
        # kubelet starts no Pod without one
        (etc / "resolv.conf").write_text("")
        (etc / versions.VERSION_FILE.name).write_text(f"{self.version}\n")
        (etc / pace.PACE_FILE.name).write_text(f"{self.pace}\n")
        return target


def from_environment(default: str) -> Binaries:
    """BUNDLEGEN_E2E_KUBELET and BUNDLEGEN_E2E_KUBEADM name real binaries; a stand-in plays the other one's version.

    BUNDLEGEN_E2E_PACE makes the kubelet's stand-in quicker (0.5) or slower (2) than the real one.
    """
    kubelet, kubeadm = (_named(f"BUNDLEGEN_E2E_{name}") for name in ("KUBELET", "KUBEADM"))
    version = os.environ.get("BUNDLEGEN_E2E_KUBERNETES_VERSION", default)
    if kubelet:
        version = run([kubelet, "--version"]).stdout.split()[-1]
    if kubeadm:
        version = run([kubeadm, "version", "-o", "short"]).stdout.strip()
    return Binaries(version, kubelet, kubeadm, float(os.environ.get("BUNDLEGEN_E2E_PACE", "1")))


def _named(variable: str) -> Path | None:
    given = os.environ.get(variable)
    if not given:
        return None
    path = Path(given).resolve()
    if not os.access(path, os.X_OK):
        sys.exit(f"{variable}={given}: not a program")
    return path


def _containerd(pause: str, systemd_cgroup: bool) -> str:
    return f"""version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = {str(systemd_cgroup).lower()}
"""
