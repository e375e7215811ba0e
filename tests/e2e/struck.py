"""Runs of a bundle that are struck down: killed, without power, or cut off, each a line further than the one before."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import CompletedProcess

from tests.e2e.clusters import carry
from tests.e2e.rig.host import Host

SAID = "/root/said"
REACHED = 77
REFUSED = 11
REFUSALS, BETWEEN_REFUSALS = 6, 5.0  # seconds
LATER = 3.0  # seconds
CUT = 8.0  # seconds: longer than etcd's own patience with a request
PATIENCE = 400

# Not a child of the shell that waits, so that it outlives that.
_BEGIN = f"""
lines=$1 later=$2
shift 2
setsid bash -c 'sh "$@" > {SAID} 2>&1; echo "$?" > {SAID}.code' run "$@" < /dev/null &> /dev/null &
until [[ -s {SAID}.code ]]; do
  if (($(wc -l < {SAID}) >= lines)); then
    sleep "$later"
    [[ -s {SAID}.code ]] || exit {REACHED}
  fi
  sleep 0.02
done
exit "$(< {SAID}.code)"
"""


def kill(host: Host) -> None:
    """Its shells are gone at once; what they had started may end by itself."""
    host.exec(["pkill", "-9", "-f", "install.sh"], check=False)


def power(host: Host) -> None:
    """The plug is pulled, and the host is switched on again."""
    host.power_off()
    host.boot()


def cut(host: Host) -> None:
    """Nobody is reached for a while; then the run may end as it likes."""
    host.exec(["ip", "link", "set", "host0", "down"])
    time.sleep(CUT)
    # the default route went with the link
    host.exec(["sh", "/etc/testhost/network"])


Strike = Callable[[Host], None]
STRIKES: tuple[Strike, ...] = (kill, power, cut)


def run_struck(host: Host, bundle: Path, *words: str, strikes: Sequence[Strike] = STRIKES) -> list[str]:
    """Strike runs of this bundle down, then let one get through: what was said at each strike, the last line of it.

    Each line is reached twice: what is done between two lines takes time, and is struck there. A run that is refused is
    started again, for a member may have lost its leader for a moment; not for ever. Raises AssertionError where a run
    ends badly without a strike.
    """
    inside, points, refused = carry(host, bundle), list[str](), 0
    for number in itertools.count():
        done = _begin(host, inside, words, 1 + number // 2, LATER * random.random() ** 2 * (number % 2))
        said = host.read(SAID)
        assert "PRIVATE KEY" not in said
        if done.returncode == REFUSED and refused < REFUSALS:
            refused += 1
            print(f"{host.name} is refused: {said}")
            time.sleep(BETWEEN_REFUSALS)
        elif done.returncode != REACHED:
            assert done.returncode == 0, f"{host.name}, after {points}: exit {done.returncode}\n{said}"
            return points
        else:
            strike = strikes[number % len(strikes)]
            points.append(f"{strike.__name__}: {said.splitlines()[-1]}")
            strike(host)
            _settle(host, ended=strike is not power)
    raise AssertionError


def _begin(host: Host, inside: str, words: Sequence[str], lines: int, later: float) -> CompletedProcess[str]:
    """Run it until it has said so many lines and this many seconds more have passed, or until it has ended."""
    host.exec(["rm", "-f", SAID, f"{SAID}.code"])
    host.exec(["touch", SAID])
    arguments = [inside, *(["--", *words] if words else [])]
    return host.exec(
        ["bash", "-c", _BEGIN, "begin", str(lines), f"{later:.2f}", *arguments], check=False, timeout=PATIENCE
    )


def _settle(host: Host, *, ended: bool) -> None:
    """Until nothing of the run that was struck is there, its lock above all; ended: its exit code is told."""
    wait = "while pgrep -f '[i]nstall.sh' > /dev/null; do sleep 0.1; done; [ ! -e $1 ] || flock $1 true"
    if ended:
        wait += f"; until [ -s {SAID}.code ]; do sleep 0.1; done"
    host.exec(["sh", "-c", wait, "settle", "/run/bundlegen/lock"], timeout=PATIENCE)
