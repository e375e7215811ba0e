"""How long a kubelet lets wait. Every wait is here, and one number scales them all.

Sources: kubernetes/kubernetes pkg/kubelet/kubelet.go (backOffPeriod, MaxCrashLoopBackOff, initialBackoff),
pkg/kubelet/pod_workers.go (allowStaticPodStart), k8s.io/client-go util/flowcontrol/backoff.go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PACE_FILE = Path("/etc/standin-pace")

RELIST = 1.0  # seconds between two looks at what runs; the work of looking is not to be multiplied, so never scaled
RETRY = 12.0  # a Pod that could not be synced or started: backOffPeriod, 10 s, and up to half of it by chance
FIRST_BACK_OFF = 10.0
LONGEST_BACK_OFF = 300.0


@dataclass(frozen=True)
class Pace:
    """The waits above, each times `scale`: 1 is a real kubelet's pace, 0.5 twice as fast."""

    scale: float = 1.0

    def of(self, seconds: float) -> float:
        """What a wait of so many seconds takes here."""
        return seconds * self.scale


def own() -> Pace:
    """The pace this stand-in was given."""
    return Pace(float(PACE_FILE.read_text()))


class BackOff:
    """Who failed has to wait, each time twice as long, until it has been well for twice the longest wait."""

    def __init__(self, pace: Pace, clock: Callable[[], float]) -> None:
        """clock: the time in seconds, on the same scale as the times that `waits` is asked about."""
        self._first, self._longest = pace.of(FIRST_BACK_OFF), pace.of(LONGEST_BACK_OFF)
        self._clock = clock
        self._delays: dict[str, tuple[float, float]] = {}

    def waits(self, key: str, failed_at: float) -> bool:
        """Whether what failed then must still wait. What failed for the first time need not."""
        delay, since = self._delays.get(key, (0.0, failed_at))
        if failed_at - since > 2 * self._longest:
            return False
        return self._clock() - failed_at < delay

    def count(self, key: str, failed_at: float) -> float:
        """Note that what failed then is now tried again; returns how long it waits if it fails once more."""
        now = self._clock()
        delay, since = self._delays.get(key, (0.0, now))
        fresh = delay == 0 or failed_at - since > 2 * self._longest
        delay = self._first if fresh else min(2 * delay, self._longest)
        self._delays[key] = (delay, now)
        return delay
