"""The moments at which a run is stopped: from the calls that it makes, see Sandbox.arm."""

from __future__ import annotations

from itertools import groupby

from tests import figures

# After these, the host is as it was before them.
LOOKS = ("sync", "systemctl is-", "systemctl --version", "kubeadm version", "kubeadm config")


def stops(calls: list[str], first: int) -> list[int]:
    """Numbers of the calls, from the one at the index ``first``, before which to stop: counted from 1, as arm does.

    With --long each of them. Otherwise one for each distinct step: of a row of calls of one kind (files that are moved
    into their places, say) the one in the middle, and none where nothing has changed since the call before. The journal
    is always written before it is synced, so there something has.
    """
    every = [*range(first, len(calls))]
    if not figures.long:
        rows = (list(row) for _, row in groupby(every, key=lambda index: _kind(calls[index])))
        middles = (row[len(row) // 2] for row in rows)
        every = [index for index in middles if _kind(calls[index]) == "journal" or not _looks(calls[index - 1])]
    return [index + 1 for index in every]


def _looks(call: str) -> bool:
    return call.startswith(LOOKS)


def _kind(call: str) -> str:
    """What a call does to the host; for systemctl and kubeadm the call itself."""
    word, _, words = call.partition(" ")
    if word == "sync" and words.endswith("/journal"):
        return "journal"
    temporary = call.startswith(("sync", "rm -f")) and words.endswith(".bundlegen")
    if word in ("cat", "chmod", "chown") or temporary:
        return "write what is then moved into its place"
    if word in ("rm", "cp") and "/transaction/kept/" in words:
        return "keep"
    return call if word in ("systemctl", "kubeadm") else word
