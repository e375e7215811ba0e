"""Hostile surroundings: the medium a bundle comes on, the shell that starts it, the environment it inherits."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.clusters import Cluster, carry
from tests.e2e.rig.host import Host
from tests.e2e.rig.tree import difference

MEDIUM = "/media/stick"
KEY = b"PRIVATE KEY-----"


def _mount(host: Host, bundle: Path, options: str, mode: int = 0o700) -> str:
    """Put the bundle on a medium of its own, mounted like that; returns its path."""
    host.exec(["mkdir", "-p", MEDIUM])
    host.exec(["mount", "-t", "tmpfs", "-o", "size=64m", "stick", MEDIUM])
    inside = host.put(bundle, f"{MEDIUM}/")
    host.path(inside).chmod(mode)
    host.exec(["mount", "-o", f"remount,{options}", MEDIUM])
    return inside


MEDIA = {
    "read-only": ("ro", 0o700),
    "read-only and noexec": ("ro,noexec,nosuid,nodev", 0o700),
    "as FAT shows it": ("noexec,nosuid,nodev", 0o777),  # FAT knows no modes: everything is there for everybody
}


SHELLS: dict[str, Sequence[str]] = {
    "dash": ["dash"],
    "bash": ["bash"],
    "bash --posix": ["bash", "--posix"],
    "busybox sh": ["busybox", "sh"],
}
TMP = ("size=1g", "noexec,size=4k", "ro")
MATRIX = [(medium, shell) for medium in MEDIA for shell in SHELLS]


@pytest.mark.parametrize(("number", "medium", "shell"), [(number, *pair) for number, pair in enumerate(MATRIX)])
def test_from_any_medium_through_any_shell(
    number: int, medium: str, shell: str, single: Cluster, host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    options, mode = MEDIA[medium]
    tmp = TMP[number % len(TMP)]
    for folder in ("/tmp", "/var/tmp"):
        host.exec(["mount", "-t", "tmpfs", "-o", tmp, "tmpfs", folder])
    inside = _mount(host, single.bundle(0), options, mode)
    before = host.snapshot()
    _succeeds(host, [*SHELLS[shell], inside, "--", "preflight"])
    assert difference(before, host.snapshot()) == []
    _installs(host, [*SHELLS[shell], inside])
    with capsys.disabled():
        print(f"\n{number + 1} of {len(MATRIX)}: medium {medium}, {shell}, /tmp {tmp}: installed")


def test_from_a_folder_with_spaces_and_worse(single: Cluster, host: Host) -> None:
    inside = carry(host, single.bundle(0), "/root/a  stick; $(touch x) 'n\"")
    _succeeds(host, ["sh", inside, "--", "preflight"])
    _succeeds(host, ["sh", f"./{Path(inside).name}", "--", "preflight"], cwd=str(Path(inside).parent))


HOSTILE = {
    "CDPATH": "/:/etc",
    "BASH_ENV": "/root/evil",
    "ENV": "/root/evil",
    "IFS": "e/",
    "LC_ALL": "tr_TR.UTF-8",
    "GREP_OPTIONS": "--invert-match",
    "TMPDIR": "/nonexistent",
    "PATH": "/usr/bin:/bin",
    "POSIXLY_CORRECT": "1",
    "SHELLOPTS": "noglob",
    "TZ": "Pacific/Kiritimati",
    "LD_LIBRARY_PATH": "/root",
}


def test_a_hostile_environment(single: Cluster, host: Host) -> None:
    host.write("/root/evil", "touch /root/evil-was-here\n")
    inside = carry(host, single.bundle(0))
    _installs(host, ["sh", "-c", 'umask 0; exec sh "$0"', inside], env=HOSTILE)
    assert not host.path("/root/evil-was-here").exists()
    assert oct(host.path("/etc/kubernetes/pki/etcd/server.key").stat().st_mode & 0o777) == "0o600"


@pytest.mark.parametrize("options", ["noexec,size=4k", "ro"])
def test_tmp_is_not_needed(options: str, single: Cluster, host: Host) -> None:
    for folder in ("/tmp", "/var/tmp"):
        host.exec(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder])
    _installs(host, ["sh", carry(host, single.bundle(0))])


def test_with_nothing_on_standard_input_and_nobody_to_read(single: Cluster, host: Host) -> None:
    _installs(host, ["sh", "-c", 'exec sh "$0" <&- >&- 2>&-', carry(host, single.bundle(0))])


def test_keys_are_nowhere_but_in_their_places(single: Cluster, host: Host) -> None:
    inside = carry(host, single.bundle(0))
    watcher = _Watcher(host)
    try:
        _installs(host, ["sh", inside])
    finally:
        watcher.stop()
    assert watcher.exposed == []
    assert watcher.rounds > 5
    pki = "/etc/kubernetes/pki"
    expected = {f"{pki}/etcd/{name}.key" for name in ("ca", "server", "peer", "healthcheck-client")}
    expected.add(f"{pki}/apiserver-etcd-client.key")
    assert set(_files_with_keys(host)) == expected
    for path in expected:
        status = host.path(path).stat()
        assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o600, 0, 0)


class _Watcher:
    """Looks for keys that others could read, again and again while something else runs."""

    def __init__(self, host: Host) -> None:
        self.exposed: list[str] = []
        self.rounds = 0
        self._host = host
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.is_set():
            for path in _files_with_keys(self._host):
                if _others_can_read(self._host.path("/"), path):
                    self.exposed.append(path)
            self.rounds += 1
            self._over.wait(0.05)


def _files_with_keys(host: Host) -> list[str]:
    found = []
    root = host.path("/")
    for top in ("etc", "run", "tmp", "root", "var/tmp", "var/lib/bundlegen", "dev/shm", "usr/local", "media"):
        # os.walk passes over what is gone by the time it comes there
        files = [Path(folder, name) for folder, _, names in os.walk(root / top) for name in names]
        for path in files:
            try:
                if path.suffix != ".run" and path.is_file() and not path.is_symlink() and KEY in path.read_bytes():
                    found.append(f"/{path.relative_to(root)}")
            except OSError:
                continue  # gone, or a pipe of systemd's
    return sorted(found)


def _others_can_read(root: Path, path: str) -> bool:
    inside = root / path.lstrip("/")
    try:
        reachable = all(parent.stat().st_mode & 0o001 for parent in inside.parents if parent.is_relative_to(root))
        return reachable and bool(inside.stat().st_mode & 0o044)
    except OSError:
        return False


def _succeeds(host: Host, words: Sequence[str], **options: object) -> None:
    done = host.exec(words, check=False, timeout=400, **options)  # type: ignore[arg-type]
    assert done.returncode == 0, done.stdout + done.stderr


def _installs(host: Host, words: Sequence[str], **options: object) -> None:
    _succeeds(host, words, **options)
    host.exec(["/usr/local/sbin/bundlegen-health", "--cluster", "--wait", "60"])
