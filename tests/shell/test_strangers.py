"""Who answers on the loopback ports: any user may listen there while etcd does not, and say what he likes."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests.shell.payload import HEALTH, PKI, Payload
from tests.shell.sandbox import Sandbox

THREE = {"infra0": "10.0.0.6", "infra1": "10.0.0.7", "infra2": "10.0.0.8"}
NOBODY = 65534
# listens on the port and replies the same to everybody
LISTENER = """
import os, socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
place = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family, dualstack_ipv6=family == socket.AF_INET6)
open("/tmp/listens", "w").close()
while True:
    one = place.accept()[0]
    try:
        one.recv(999)
        one.sendall(b"HTTP/1.0 " + sys.argv[3].encode().decode("unicode_escape").encode())
        while sys.argv[3].endswith(chr(9)):
            one.sendall(b"x" * 65536)
    except OSError:
        pass
    one.close()
"""
WELL = '200 OK\\r\\n\\r\\n{"health":"true"}'
WAITS = '503 X\\r\\n\\r\\n{"health":"false","reason":"RAFT NO LEADER"}'
FLAGS = ("--name=infra0", "--data-dir=/var/lib/etcd")


def listen(host: Sandbox, reply: str, address: str = "127.0.0.1", name: str = "python", *more: str) -> None:
    """A process of nobody's, under this name and with these arguments, that listens on the metrics port."""
    host.path("/tmp/listens").unlink(missing_ok=True)
    host.write("/tmp/listener.py", LISTENER).chmod(0o755)
    python = host.stubbed("python").strip()
    start = ["/bin/bash", "-c", 'exec -a "$0" "$@"', name, python, "/tmp/listener.py", address, "2381", reply, *more]
    user = ["/usr/bin/setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    quiet = subprocess.DEVNULL
    host.spawned.append(
        subprocess.Popen(
            host.command([*user, *start]),
            env={"PYTHONHOME": sys.base_prefix, "PATH": "/usr/bin:/bin"},
            stdin=quiet,
            stdout=quiet,
            stderr=quiet,
        )
    )
    host.until(lambda: host.path("/tmp/listens").exists())


STRANGERS = {
    "says that etcd waits": (WAITS,),
    "says that etcd serves": (WELL,),
    "says that etcd serves, at every address": (WELL, "0.0.0.0"),
    "listens to both families": (WAITS, "::"),
    "calls itself etcd": (WAITS, "127.0.0.1", "etcd", *FLAGS),
    "calls itself etcd by a path": (WELL, "127.0.0.1", "/usr/local/bin/etcd", *FLAGS),
    "calls itself a thread of the kernel": (WAITS, "127.0.0.1", "[kworker/0:1]"),
    "replies without end": (f"{WAITS}\t",),
    "replies nothing": ("",),
    "replies code": ('503 X\\r\\n\\r\\n{"health":"false","reason":"a[$(touch /tmp/PWNED)] NO LEADER"}',),
}  # fmt: skip


@pytest.mark.parametrize("who", STRANGERS)
def test_an_install_does_not_end_well_by_what_a_stranger_says(host: Sandbox, who: str) -> None:
    """He took the port after the preflight looked; for want of that moment, the check is ignored here."""
    listen(host, *STRANGERS[who])
    started = time.monotonic()
    done = host.install(Payload(members=THREE), "--ignore", "ports", "--wait", "6")
    assert done.returncode == 13, done.stdout
    assert "etcd did not become healthy" in done.stderr
    assert time.monotonic() - started < 60
    assert not host.path("/tmp/PWNED").exists()


@pytest.mark.parametrize("who", STRANGERS)
def test_health_names_the_stranger(host: Sandbox, who: str) -> None:
    host.stub("etcd-mode", "waiting")
    assert host.install(Payload(members=THREE)).returncode == 0
    host.stub("etcd-mode", "broken")
    assert host.execute("/usr/local/sbin/systemctl", "stop", "kubelet.service").returncode == 0
    host.execute("/bin/kill", "-9", host.stubbed("etcd-pid").strip())
    listen(host, *STRANGERS[who])
    done = host.execute(HEALTH)
    assert done.returncode == 14, done.stdout
    assert f"where a process of the user with the number {NOBODY} listens instead" in done.stdout
    assert "no etcd runs with --name=infra0" in done.stdout


def sealed(key: bytes) -> Payload:
    """A bundle whose server key is sealed so, and the others well."""
    payload = Payload()
    payload.conf["SEALED"] = "yes"
    for path in [name for name in payload.files if name.endswith(".key")]:
        payload.files[f"sealed{path}"] = ("0600", b"Salted__" + bytes(range(8)) + bytes(240))
    payload.files[f"sealed{PKI}/etcd/server.key"] = ("0600", key)
    return payload


BOXES = {
    "empty": b"", "one byte": b"S", "only the beginning": b"Salted__", "no data": b"Salted__" + bytes(8),
    "no whole block": b"Salted__" + bytes(8 + 31), "one byte more": b"Salted__" + bytes(8 + 33),
    "another beginning": b"salted__" + bytes(8 + 240), "noise": bytes(range(256)),
    "not sealed": b"-----BEGIN EC PRIVATE KEY-----\n" + bytes(209), "too long": b"Salted__" + bytes(8 + 16384),
    "text": b"x" * 256,
}  # fmt: skip


@pytest.mark.parametrize("what", BOXES)
def test_a_sealed_key_that_is_none_is_a_damaged_bundle(host: Sandbox, what: str) -> None:
    """Before a code is asked for, and before anything is touched."""
    before = host.tree(times=True)
    done = host.install(sealed(BOXES[what]))
    assert done.returncode == 12, done.stderr
    assert f"sealed{PKI}/etcd/server.key is no sealed key" in done.stderr
    assert host.tree(times=True) == before
