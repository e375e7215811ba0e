"""The root file system that all test hosts share, read-only: Debian with systemd and containerd."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.e2e.rig import cache
from tests.e2e.rig.commands import run

FILES = Path(__file__).parent / "files"

# What a host may be assumed to have, plus what real kubelets and kubeadms look for (iptables to socat). No curl, no
# etcdctl, no crictl: the installer has to do without. busybox lends its sh, faketime another date; python3 with its
# modules is for the stand-ins alone and moved out of PATH. The SSH server is off until a test starts it.
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "iproute2", "procps", "kmod", "containerd", "runc", "openssl"),
    *("iptables", "ethtool", "conntrack", "socat"),
    *("busybox-static", "faketime", "openssh-server", "sudo"),
    *("python3", "python3-yaml", "python3-h2"),
)
OUT_OF_SUPPORT = ("bullseye",)
MIRROR = "http://deb.debian.org/debian"
STANDIN_PYTHON = Path("usr/libexec/standin/python3")

# They would start in the middle of a test, change files, or only slow the boot down.
MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "console-getty.service",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-random-seed.service",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
)


def rootfs(suite: str = "bookworm") -> Path:
    """The root file system's folder, made if need be (about 20 s)."""
    own = {path.name: path.read_text() for path in sorted(FILES.iterdir())}
    recipe = [suite, PACKAGES, MASKED, own, Path(__file__).read_text()]
    return cache.made_once("rootfs", recipe, lambda target: _make(suite, target))


def _make(suite: str, target: Path) -> None:
    # of a suite that has gone out of support, what its updates list may be gone
    mirror = [MIRROR] if suite in OUT_OF_SUPPORT else []
    run(["mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite, target, *mirror], timeout=600)
    target.chmod(0o755)
    units = target / "usr/lib/systemd/system"
    _copy("kubelet.service", units)
    _copy("10-kubeadm.conf", units / "kubelet.service.d")
    _copy("testhost-prepare.service", units)
    _copy("prepare", target / "usr/libexec/testhost", mode=0o755)
    _enable(target, "multi-user.target", "kubelet.service")
    _enable(target, "sysinit.target", "testhost-prepare.service")
    for unit in MASKED:
        (target / "etc/systemd/system" / unit).symlink_to("/dev/null")
    default = target / "etc/systemd/system/default.target"
    default.unlink(missing_ok=True)
    default.symlink_to("/lib/systemd/system/multi-user.target")
    journal = target / "etc/systemd/journald.conf.d/volatile.conf"
    journal.parent.mkdir()
    journal.write_text("[Journal]\nStorage=volatile\n")
    (target / "etc/kubernetes").mkdir()
    (target / "etc/kubernetes/manifests").mkdir(mode=0o755)
    _hide_python(target)
    _forget_ssh_keys(target)


def _copy(name: str, folder: Path, mode: int = 0o644) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(FILES / name, folder / name)
    (folder / name).chmod(mode)


def _enable(target: Path, wanted_by: str, unit: str) -> None:
    link = target / f"etc/systemd/system/{wanted_by}.wants/{unit}"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(f"/lib/systemd/system/{unit}")


def _forget_ssh_keys(target: Path) -> None:
    """Hosts with the same host keys would be clones that nobody cleaned; a test that wants the server makes some."""
    for key in (target / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for link in (target / "etc/systemd/system").rglob("ssh*.service"):
        link.unlink()


def _hide_python(target: Path) -> None:
    """Move Python where only the stand-ins look: an installer that called it must fail here as on a real host."""
    interpreter = (target / "usr/bin/python3").resolve()
    hidden = target / STANDIN_PYTHON
    hidden.parent.mkdir(parents=True)
    shutil.move(target / "usr/bin" / interpreter.name, hidden)
    for name in (target / "usr/bin").glob("py*3*"):
        name.unlink()
