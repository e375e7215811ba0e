"""Private keys for many certificates, on all cores."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

from bundlegen.pki.entropy import Entropy
from bundlegen.pki.issue import RSA_BITS, PrivateKey


def make_keys(algorithms: Sequence[str], entropy: Entropy, jobs: int | None = None) -> Generator[PrivateKey]:
    """One new key for each algorithm, in order, as they become ready; ``jobs`` at once (default: one per core).

    Threads do, because OpenSSL searches primes without Python's lock. An ECDSA key takes less time than handing it to a
    thread.
    """
    workers = min(jobs or len(os.sched_getaffinity(0)), len(algorithms))
    if workers <= 1 or not RSA_BITS.keys() & set(algorithms):
        yield from map(entropy.new_key, algorithms)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="key")
    try:
        yield from pool.map(entropy.new_key, algorithms)
    finally:
        pool.shutdown(cancel_futures=True)
