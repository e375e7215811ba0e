"""The rig itself: what the other tests rely on without looking."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.clusters import Cluster
from tests.e2e.rig import cgroups, machine
from tests.e2e.rig.host import Host
from tests.e2e.rig.session import Session, sweep
from tests.e2e.rig.tree import difference

LEFT_ALONE = """
import sys, time
from tests.e2e.rig.host import HostSpec
from tests.e2e.rig.rootfs import rootfs
from tests.e2e.rig.session import Session
opened = Session(limited=False)
opened.boot([HostSpec("orphan", ("10.9.9.9/24",))], [rootfs()])
print(opened.id, opened.folder, flush=True)
time.sleep(600)
"""


def test_a_killed_session_leaves_nothing_running_and_the_next_one_sweeps(session: Session) -> None:
    assert session.folder.exists()  # this machine can boot hosts
    words = [sys.executable, "-c", LEFT_ALONE]
    root = Path(__file__).parents[2]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        name, folder = process.stdout.readline().split()
        assert _processes(name)
        os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while _processes(name):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert folder not in Path("/proc/self/mounts").read_text()
    sweep()
    assert not Path(folder).exists()
    assert cgroups.of_session(name) == ()


def test_a_reset_host_is_as_new(guide: Cluster, boot: Callable[..., list[Host]]) -> None:
    host = boot(guide)[0]
    new = host.snapshot(times=False)
    host.write("/etc/mark", "here")
    host.path("/etc/debian_version").unlink()
    host.power_off()
    host.boot()
    changed = difference(new, host.snapshot(times=False))
    assert [line.split(":")[0] for line in changed] == ["/etc/debian_version", "/etc/mark"]
    host.reset()
    assert difference(new, host.snapshot(times=False)) == []
    assert host.read("/etc/debian_version").startswith("12")


def test_a_host_can_be_given_another_time(guide: Cluster, boot: Callable[..., list[Host]]) -> None:
    host = boot(guide)[1]
    real = int(host.exec(["date", "+%s"]).stdout)
    host.set_clock("-3d")
    for asked in (["date", "+%s"], ["bash", "-c", "printf '%(%s)T' -1"], ["bash", "-c", "echo $EPOCHSECONDS"]):
        assert abs(int(host.exec(asked).stdout) + 3 * 86400 - real) < 600
    host.set_clock("+0")
    assert abs(int(host.exec(["date", "+%s"]).stdout) - real) < 600


def test_a_lack_of_inotify_instances_is_said_before_anything_boots() -> None:
    """Taking them all would harm others on this machine: to this process, files run out just so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (20, hard))
    try:
        said = machine.inotify_shortage(hosts=3)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert said is not None
    assert re.match(
        r"3 test hosts need 36 inotify instances, and only \d+ are to be had \(Too many open files\): ", said
    )
    assert re.search(r"raise fs\.inotify\.max_user_instances, which is \d+$", said)


def _processes(name: str) -> list[str]:
    return [
        pid
        for group in cgroups.of_session(name)
        for file in group.rglob("cgroup.procs")
        for pid in file.read_text().split()
    ]
