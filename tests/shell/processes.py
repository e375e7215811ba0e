"""What runs of the installer cost: how many processes they start, and which programs, by strace and without what
stand-ins start; and their processor time."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from tests.shell.payload import Payload
from tests.shell.sandbox import Sandbox

TRACE = "/var/stub/trace"
# strace follows kubelet and etcd, which outlive the run: it is told when the run has ended.
ENDED = '"$@" > /var/stub/out 2> /var/stub/err; echo $? > /var/stub/rc; kill -TERM "$PPID"'
STAND_INS = "/usr/local/sbin/"
THREE = {"infra0": "10.0.0.6", "infra1": "10.0.0.7", "infra2": "10.0.0.8"}


@dataclass(frozen=True)
class Run:
    """A run that has ended: its exit code, what it printed, the processes that it started, and their programs."""

    returncode: int
    stdout: str
    stderr: str
    processes: int
    programs: Counter[str]


def traced(host: Sandbox, folder: str, *arguments: str) -> Run:
    """Run the installer in ``folder`` and count."""
    host.path(TRACE).unlink(missing_ok=True)
    host.execute(
        "/usr/bin/strace", "-f", "-I", "1", "-qq", "-s", "60", "-o", TRACE, "-e", "signal=none",
        "-e", "trace=clone,clone3,fork,vfork,execve",
        "/bin/bash", "-c", ENDED, "_", "/bin/bash", "-p", f"{folder}/install.sh", *arguments, env=host.told,
    )  # fmt: skip
    processes, programs = counted(host.path(TRACE).read_text(errors="replace"))
    return Run(int(host.stubbed("rc")), host.stubbed("out"), host.stubbed("err"), processes, programs)


def seconds(host: Sandbox, folder: str, *arguments: str) -> float:
    """Run the installer in ``folder``: its processor time and that of what it waits for, so not of kubelet and etcd."""
    words = ("/bin/bash", "-p", f"{folder}/install.sh", *arguments)
    timing = 'TIMEFORMAT="%U %S"; time "$@" > /dev/null 2>&1'
    done = host.execute("/bin/bash", "-c", timing, "_", *words, env=host.told)
    assert done.returncode == 0, done.stderr
    return sum(map(float, done.stderr.split()))


def everything(host: Sandbox) -> Payload:
    """A bundle that has all there is; ``host`` is made fit for it, as the first of three, so that etcd waits."""
    # at the world's pace, by which it looks as often as on a real host
    host.path("/var/stub/bin/sleep").unlink()
    payload = Payload(mode="kubeadm", members=THREE)
    payload.add_image("images/pause.tar", "registry.k8s.io/pause:3.10")
    host.stub("etcd-mode", "waiting")
    host.stub("images", "registry.k8s.io/etcd:3.5.15-0\n")
    return payload


def counted(trace: str) -> tuple[int, Counter[str]]:
    """The processes in a trace, and the programs that they ran; not those that a stand-in started."""
    parents: dict[str, str] = {}
    programs: dict[str, list[str]] = {}
    for process, call in _calls(trace):
        if made := re.match(r"(?:clone3?|v?fork)\((.*)\)\s+= (\d+)$", call):
            if "CLONE_THREAD" not in made[1]:
                parents[made[2]] = process
        elif run := re.match(r'execve\("([^"]*)".*\)\s+= 0$', call):
            programs.setdefault(process, []).append(run[1])
    # the first process is the one that waits for the run, and the run is its first child
    ours = [process for process in parents if not _within_stand_in(process, parents, programs)][1:]
    return len(ours), Counter(path.rpartition("/")[2] for process in ours for path in programs.get(process, ()))


def _calls(trace: str) -> list[tuple[str, str]]:
    """Process and call of each line; a call that was interrupted by another process's is one again."""
    found, begun = [], {}
    for line in trace.splitlines():
        process, _, call = line.partition(" ")
        call = call.strip()
        if call.endswith("<unfinished ...>"):
            begun[process] = call.removesuffix("<unfinished ...>")
        elif resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", call):
            found.append((process, begun.pop(process, "") + resumed[1]))
        else:
            found.append((process, call))
    return found


def _within_stand_in(process: str, parents: dict[str, str], programs: dict[str, list[str]]) -> bool:
    parent = parents.get(process)
    while parent:
        if any(path.startswith(STAND_INS) for path in programs.get(parent, ())):
            return True
        parent = parents.get(parent)
    return False
