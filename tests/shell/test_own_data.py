"""Data that is this member's own is known as such, whatever bundlegen had written down of it; other data is not."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.shell.changes import THREE
from tests.shell.payload import STATE, Payload
from tests.shell.sandbox import Sandbox

DATA = "/var/lib/etcd"
IDENTITY = str(int.from_bytes(hashlib.sha1(b"https://10.0.0.6:2380token-1").digest()[:8], "big"))


def put_back(host: Sandbox) -> None:
    """As it was before it was moved aside, by hand."""
    (aside,) = host.path("/var/lib").glob("etcd.bundlegen-*")
    host.execute("/bin/mv", "-T", f"/var/lib/{aside.name}", DATA)


def listed(identity: str, cluster: str = "77") -> str:
    member = {"ID": identity, "name": "infra0", "peerURLs": ["https://10.0.0.6:2380"], "clientURLs": ["x"]}
    return json.dumps({"header": {"cluster_id": cluster}, "members": [member]}, separators=(",", ":"))


def verdict(host: Sandbox, payload: Payload) -> tuple[str, str]:
    done = host.install(payload, "preflight", "--json")
    (found,) = [each for each in json.loads(done.stdout)["checks"] if each["name"] == "data-dir"]
    return found["verdict"], found["text"]


def test_data_moved_aside_can_be_put_back(host: Sandbox) -> None:
    assert host.install(Payload()).returncode == 0
    host.write(f"{DATA}/member/snap/mine", "x")
    assert host.install(Payload(), "rollback").returncode == 0
    put_back(host)
    assert verdict(host, Payload(token="token-2"))[0] == "failed"
    assert verdict(host, Payload()) == ("ok", f"{DATA} holds this member's own data, which stays")
    done = host.install(Payload())
    assert done.returncode == 0, done.stderr
    assert host.path(f"{DATA}/member/snap/mine").exists()
    assert f"MEMBER_ID='{IDENTITY}'" in host.path(f"{STATE}/member").read_text()


def test_a_lost_state_folder(host: Sandbox) -> None:
    """The member runs on; the manifest is its own, and takes the form that it has anyway."""
    assert host.install(Payload()).returncode == 0
    pid = host.stubbed("etcd-pid")
    host.execute("/bin/rm", "-r", STATE)
    done = host.install(Payload())
    assert done.returncode == 0, done.stderr
    assert host.stubbed("etcd-pid") == pid
    assert host.path(f"{STATE}/member").exists()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (listed(IDENTITY), ""),
        (listed("8"), ": infra1 knows infra0 under another identity"),
        (listed(IDENTITY, "78"), ": it is of another cluster than that of infra1"),
        (listed(IDENTITY).replace("10.0.0.6", "10.0.0.99"), ": infra1 knows infra0 as no member"),
    ],
)
def test_the_others_know(host: Sandbox, answer: str, said: str) -> None:
    """A member that was removed, or replaced, has data that nobody wants any more."""
    for name in ("infra1", "infra2"):
        host.neighbour(name, THREE[name])
    assert host.install(Payload(members=THREE)).returncode == 0
    assert host.install(Payload(members=THREE), "rollback").returncode == 0
    put_back(host)
    host.stub("members", answer)
    found, text = verdict(host, Payload(members=THREE))
    assert found == ("failed" if said else "ok")
    assert not said or text == f"{DATA} holds the data of another etcd member{said}"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("tmpfs", "data-dir: /var/lib/etcd is on a tmpfs, which every reboot empties"),
        ("ext4\nnfs4", "data-dir: /var/lib/etcd is not on a disk of this host (nfs4)"),
        ("nfs4\nxfs", ""),
    ],
)
def test_the_file_system_is_looked_at(host: Sandbox, kind: str, said: str) -> None:
    host.stub("fstype", f"{kind}\n")
    done = host.install(Payload())
    assert done.returncode == 0, done.stderr
    assert said in done.stderr if said else "data-dir" not in done.stderr
