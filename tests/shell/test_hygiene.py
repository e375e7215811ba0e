"""hygiene: each thing that must not be in an image that is shared fails by its name; what is baked passes."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bundlegen.bundle import stub
from bundlegen.pki import sealing
from tests.shell.payload import GOLDEN, KUBEADM_CONFIG, PKI, POD, STATE, Authority, Base, Payload, private
from tests.shell.sandbox import Sandbox
from tests.shell.test_bake import bake, image, tree

CHECKS = [
    "private-keys", "ssh-host-keys", "certificates", "etcd-data", "machine-id", "receipts", "unlock-codes", "bundles",
    "identity", "authorized-keys", "identities", "cloud-init", "signature",
]  # fmt: skip
KEY = private(Authority().key).decode()
CODE = sealing.code(0x1234567890ABCDEF1234567890ABCDEF1)
LABEL = f'#!/bin/sh\nlabel="{stub.label("prod", "create", "infra0")}"\n'
OPENSSH = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
ID = "0123456789abcdef0123456789abcdef"


def encoded(kind: str) -> str:
    """A key as a kubeconfig has it."""
    text = base64.b64encode(f"-----BEGIN {kind}PRIVATE KEY-----\nAAAA\n".encode()).decode()
    return f"users:\n- user:\n    client-key-data: {text}\n"


PLANTED = [
    ("private-keys", "/root/notes.txt", KEY),
    ("private-keys", "/home/user/.ssh/id_ed25519", OPENSSH),
    (
        "private-keys",
        "/opt/app/config.yaml",
        "tls:\n  key: |\n" + "".join(f"    {line}\n" for line in KEY.splitlines()),
    ),
    ("private-keys", "/srv/account.json", json.dumps({"private_key": KEY})),
    ("private-keys", "/var/lib/cloud/a file with spaces", KEY.replace("\n", "\r\n")),
    ("private-keys", "/usr/local/share/binary", "\0\1\2" + KEY),
    ("private-keys", f"{PKI}/etcd/server.key", KEY),
    *(
        ("private-keys", f"/root/.kube/{kind.strip() or 'plain'}", encoded(kind))
        for kind in ("", "EC ", "RSA ", "DSA ", "OPENSSH ", "ENCRYPTED ")
    ),
    ("private-keys", "/etc/default/in-one-line", f'TLS_KEY="{KEY.replace(chr(10), " ")}"\n'),
    ("private-keys", "/etc/default/joined", f"TLS_KEY={KEY.replace(chr(10), '')}\n"),
    ("private-keys", "/var/lib/state.json", json.dumps(json.dumps(KEY))),
    ("private-keys", "/etc/ssh/ssh_host_ed25519_key.old", OPENSSH),
    ("private-keys", "/etc/ssh/ssh_host_keys.d/my_key", OPENSSH),
    ("private-keys", "/key.pem", KEY),
    ("private-keys", "/.hidden/key.pem", KEY),
    ("private-keys", "/data/backup/key.pem", KEY),
    ("private-keys", "/boot/key.pem", KEY),
    ("ssh-host-keys", "/etc/ssh/ssh_host_ed25519_key", OPENSSH),
    ("certificates", f"{PKI}/etcd/server.crt", "x"),
    ("certificates", f"{PKI}/apiserver-etcd-client.crt", "x"),
    ("certificates", "/var/lib/kubelet/pki/kubelet.crt", "x"),
    ("etcd-data", "/var/lib/etcd/member/snap/db", "x"),
    ("etcd-data", "/var/lib/etcd/.hidden", "x"),
    ("etcd-data", "/var/lib/etcd.bundlegen-20260101T000000Z/member/wal/0.wal", "x"),
    ("etcd-data", "/srv/elsewhere/member/snap/db", "x"),
    ("machine-id", "/etc/machine-id", f"{ID}\n"),
    ("machine-id", "/var/lib/dbus/machine-id", f"{ID}\n"),
    ("receipts", f"{STATE}/receipts/20260101T000000Z-install.json", "{}"),
    ("receipts", f"{STATE}/generations/0001/journal", "x"),
    ("receipts", f"{GOLDEN}/transaction/journal", "x"),
    ("unlock-codes", "/root/codes", f"HOST    UNLOCK CODE\ninfra0  {CODE}\n"),
    ("bundles", "/root/infra0.run", LABEL),
    ("bundles", "/var/lib/bundlegen-firstboot/infra0.run.txt", LABEL),
    ("bundles", "/root/renamed", LABEL),
    ("bundles", "/root/large", LABEL + "\0" * (3 << 20)),
    ("bundles", "/tmp/infra0.run.002", "x"),
    ("bundles", "/tmp/bundlegen-unpack.99.x/MANIFEST", "x"),
    ("identity", KUBEADM_CONFIG, "x"),
    ("identity", POD, "x"),
    ("identity", f"{STATE}/bundle/bundle.conf", "x"),
    ("authorized-keys", "/root/.ssh/authorized_keys", "ssh-ed25519 AAAA me\n"),
    ("authorized-keys", "/home/user/.ssh/authorized_keys2", "ssh-ed25519 AAAA me\n"),
    ("identities", "/etc/ssh/ssh_host_ed25519_key-cert.pub", "ssh-ed25519-cert-v01@openssh.com AAAA\n"),
    ("identities", "/etc/iscsi/initiatorname.iscsi", "InitiatorName=iqn.1993-08.org.debian:01:1\n"),
    ("identities", "/etc/nvme/hostid", f"{ID}\n"),
    ("identities", "/etc/nvme/hostnqn", f"nqn.2014-08.org.nvmexpress:uuid:{ID}\n"),
    ("identities", "/var/lib/systemd/random-seed", "x" * 32),
    ("identities", "/var/lib/systemd/credential.secret", "x" * 32),
    ("identities", "/var/lib/NetworkManager/secret_key", "x" * 32),
    ("identities", "/var/lib/dhcp/dhclient.eth0.leases", "lease {}\n"),
    ("cloud-init", "/var/lib/cloud/instances/i-1/obj.pkl", "x"),
    ("cloud-init", "/var/lib/cloud/data/instance-id", "i-1\n"),
]


@pytest.fixture
def baked(tmp_path: Path) -> Path:
    if os.geteuid() != 0:
        pytest.skip("baking needs root")
    root = image(tmp_path / "image")
    assert bake(root, Base(), work=tmp_path / "work").returncode == 0
    return root


def hygiene(root: Path, work: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return bake(root, Base(), *(words or ("hygiene",)), work=work)


def verdicts(root: Path, work: Path, *words: str) -> dict[str, str]:
    done = hygiene(root, work, "hygiene", "--json", *words)
    found = json.loads(done.stdout)
    assert done.returncode == found["exitCode"]
    return {check["name"]: check["verdict"] for check in found["checks"]}


def test_what_was_baked_passes(baked: Path, tmp_path: Path) -> None:
    before = tree(baked)
    for words in (("hygiene",), ("bake", "--check")):
        done = hygiene(baked, tmp_path / "work", *words)
        assert done.returncode == 0, done.stdout
        assert done.stdout.splitlines()[-1] == "This image may be shared: nothing of one host was found in it."
        assert [line.split()[1] for line in done.stdout.splitlines()[:-1]] == CHECKS
    assert verdicts(baked, tmp_path / "work") == dict.fromkeys(CHECKS, "ok")
    assert tree(baked) == before


@pytest.mark.parametrize("content", ["", "uninitialized\n", None])
def test_machine_ids_that_are_none(baked: Path, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (baked / "etc/machine-id").write_text(content)
    (baked / "var/lib/dbus").mkdir()
    (baked / "var/lib/dbus/machine-id").symlink_to("/etc/machine-id")
    assert hygiene(baked, tmp_path / "work").returncode == 0


def test_what_is_no_secret_passes(baked: Path, tmp_path: Path) -> None:
    """What speaks of keys, public keys, the bundle for images, an empty data folder, other programs' archives."""
    for path, content in {
        "usr/local/lib/tool.py": 'if b"-----BEGIN PRIVATE KEY-----" in text:\n    pass\n',
        "etc/ssh/ssh_host_ed25519_key.pub": "ssh-ed25519 AAAA\n",
        "root/base.run": f'#!/bin/sh\nlabel="{stub.label("prod", "create", "")}"\n',
        "opt/driver.run": '#!/bin/sh\nlabel="some driver: 1.0"\n',
        "var/lib/etcd/lost+found/.keep": "",
        "usr/local/lib/tables.so": f"\0x{CODE}\0{CODE}0\0",
        "root/.ssh/authorized_keys": "",
        "etc/nvme/hostid": "",
        "etc/iscsi/initiatorname.iscsi": "# drawn at the first boot\nGenerateName=yes\n",
        "var/lib/cloud/seed/nocloud/meta-data": "",
        "home/user/words": f"{CODE[:-1]}{'0' if CODE[-1] != '0' else '1'}\n",
    }.items():
        (baked / path).parent.mkdir(parents=True, exist_ok=True)
        (baked / path).write_text(content)
    done = hygiene(baked, tmp_path / "work")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("name", "path", "content"), PLANTED, ids=[f"{name}:{path}" for name, path, _ in PLANTED])
def test_what_is_planted_fails_by_its_name(baked: Path, tmp_path: Path, name: str, path: str, content: str) -> None:
    place = baked / path[1:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(content)
    found = verdicts(baked, tmp_path / "work")
    assert found[name] == "failed"
    others = {"private-keys"} if path.endswith("server.key") else set()
    assert {check for check, verdict in found.items() if verdict != "ok"} == {name} | others
    done = hygiene(baked, tmp_path / "work")
    assert done.returncode == 11
    [line] = [line for line in done.stdout.splitlines() if line.split()[:2] == ["failed", name]]
    named = line.rpartition(": ")[2]
    assert named.startswith("/")
    assert path == named or path.startswith(f"{named}/")
    assert "must not be shared as it is" in done.stdout
    ignored = hygiene(baked, tmp_path / "work", "hygiene", "--ignore", name)
    assert ignored.returncode == 0
    assert "(ignored as asked)" in ignored.stdout


@pytest.mark.parametrize("target", ["data/home", "/data/home", "var/home"])
def test_a_place_that_is_a_link_is_searched(baked: Path, tmp_path: Path, target: str) -> None:
    (baked / "home").symlink_to(target)
    place = baked / target.lstrip("/") / "user"
    place.mkdir(parents=True)
    (place / "key").write_text(KEY)
    assert verdicts(baked, tmp_path / "work")["private-keys"] == "failed"


@pytest.mark.parametrize("target", ["../var/lib/id", "/var/lib/id"])
def test_a_machine_id_behind_a_link_is_found(baked: Path, tmp_path: Path, target: str) -> None:
    (baked / "var/lib/id").write_text(f"{ID}\n")
    (baked / "etc/machine-id").unlink(missing_ok=True)
    (baked / "etc/machine-id").symlink_to(target)
    assert verdicts(baked, tmp_path / "work")["machine-id"] == "failed"


def test_odd_trees_are_walked_through(baked: Path, tmp_path: Path) -> None:
    """What would never end, or cannot be opened, and a name that looks like one of our own lines."""
    (baked / "root/endless.run").touch()
    os.truncate(baked / "root/endless.run", 1 << 40)
    os.mkfifo(baked / "root/pipe.run")
    (baked / "root/loop").symlink_to("loop")
    (baked / "loop").symlink_to("/loop")
    (baked / "root/nowhere").symlink_to("/nowhere")
    assert hygiene(baked, tmp_path / "work").returncode == 0
    (baked / "root/a\n  ok       private-keys   none\x1b[2J").write_text(KEY)
    lines = hygiene(baked, tmp_path / "work").stdout.splitlines()
    assert [line for line in lines if "private-keys" in line] == [
        r"  failed   private-keys   private keys are in this image: $'/root/a\n  ok       private-keys   none\E[2J'"
    ]


def test_an_image_of_one_host_is_not_to_be_shared(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("baking needs root")
    root = image(tmp_path / "image")
    assert bake(root, Payload(), work=tmp_path / "work").returncode == 0
    found = verdicts(root, tmp_path / "work")
    assert {check for check, verdict in found.items() if verdict != "ok"} == {
        "private-keys",
        "certificates",
        "identity",
    }


def test_many_files_are_named_in_part(baked: Path, tmp_path: Path) -> None:
    for number in range(14):
        (baked / f"root/key{number:02d}").write_text(KEY)
    done = hygiene(baked, tmp_path / "work")
    assert " and 4 more\n" in done.stdout
    assert done.stdout.count("/root/key") == 10


def test_an_unknown_name_is_refused(baked: Path, tmp_path: Path) -> None:
    done = hygiene(baked, tmp_path / "work", "hygiene", "--ignore", "swap")
    assert done.returncode == 2
    assert 'knows no check "swap"' in done.stderr


def test_by_the_copy_that_is_left(host: Sandbox) -> None:
    """In the builder machine itself, where the bundle has gone; and from outside, on a tree."""
    assert host.run(host.unpack(Base()), "bake").returncode == 0
    shutil.rmtree(host.path("/run/bundlegen-unpack.1.x"))
    host.path("/etc/machine-id").write_text("")
    host.without_interpreter()
    done = host.run(f"{GOLDEN}/bundle", "hygiene")
    assert done.returncode == 0, done.stdout
    host.write("/root/key", KEY)
    assert host.run(f"{GOLDEN}/bundle", "hygiene").returncode == 11
    assert host.stubbed("calls") == ""


def test_what_cannot_be_told_is_not_good(host: Sandbox) -> None:
    """Without find, xargs and grep nobody knows."""
    assert host.run(host.unpack(Base()), "bake").returncode == 0
    host.path("/etc/machine-id").write_text("")
    host.write("/var/stub/nothing")
    host.execute("/usr/bin/mount", "--bind", "/var/stub/nothing", "/usr/bin/find")
    done = host.run(f"{GOLDEN}/bundle", "hygiene", "--json")
    found = {check["name"]: check["verdict"] for check in json.loads(done.stdout)["checks"]}
    assert {name for name, verdict in found.items() if verdict == "failed"} == {
        "private-keys",
        "unlock-codes",
        "bundles",
    }


def test_other_disks_are_searched_and_what_is_no_disk_is_not(host: Sandbox) -> None:
    """A disk of its own below /var belongs to the image; a share, another tree's /proc or memory does not."""
    assert host.run(host.unpack(Base()), "bake").returncode == 0
    host.path("/etc/machine-id").write_text("")
    host.without_interpreter()
    host.path("/srv/memory").mkdir(parents=True)
    host.execute("/usr/bin/mount", "-t", "tmpfs", "tmpfs", "/srv/memory")
    host.write("/srv/memory/key", KEY)
    done = host.run(f"{GOLDEN}/bundle", "hygiene")
    assert done.returncode == 0, done.stdout
