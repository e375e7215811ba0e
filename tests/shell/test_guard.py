"""A member that has lived never starts on an empty directory."""

from __future__ import annotations

import hashlib
import re
import shutil

import pytest

from tests.shell.payload import GUARD, POD, STATE, Payload
from tests.shell.sandbox import Sandbox

DATA = "/var/lib/etcd"
WRITTEN = f"{STATE}/member"
IDENTITY = int.from_bytes(hashlib.sha1(b"https://10.0.0.6:2380token-1").digest()[:8], "big")


@pytest.fixture
def lived(host: Sandbox) -> Sandbox:
    """A host whose member has served."""
    done = host.install(Payload())
    assert done.returncode == 0, done.stderr
    return host


def empty(host: Sandbox) -> None:
    """As a host comes back whose data disk is not there."""
    host.execute("/bin/bash", "-c", "kill -9 $(cat /var/stub/etcd-pid /var/stub/pid); rm -f /var/stub/pid")
    shutil.rmtree(host.path(f"{DATA}/member"))


def guard(host: Sandbox) -> tuple[int, str]:
    done = host.execute("/bin/bash", "-p", GUARD)
    return done.returncode, done.stderr


def written(host: Sandbox) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z_]+)='([^']*)'$", host.path(WRITTEN).read_text(), re.MULTILINE))


def test_what_it_was_is_written_down(lived: Sandbox) -> None:
    assert written(lived) | {"TIME": ""} == {
        "CLUSTER_ID": "77",
        "MEMBER_ID": str(IDENTITY),
        "REVISION": "42",
        "RAFT_INDEX": "70",
        "NAME": "infra0",
        "DATA_DIR": DATA,
        "WAL_DIR": "",
        "TIME": "",
    }
    assert lived.path(WRITTEN).stat().st_mode & 0o7777 == 0o600
    assert guard(lived) == (0, "")


def test_the_numbers_only_rise(lived: Sandbox) -> None:
    text = lived.path(WRITTEN).read_text()
    lived.path(WRITTEN).write_text(text.replace("REVISION='42'", "REVISION='18446744073709551615'"))
    assert lived.execute("/usr/local/bin/bundlegen-health").returncode == 14
    assert written(lived)["REVISION"] == "18446744073709551615"


@pytest.mark.parametrize("mode", ["kubeadm", "rendered"])
def test_after_its_birth_a_manifest_names_only_itself(host: Sandbox, mode: str) -> None:
    members = {"infra0": "10.0.0.6", "infra1": "10.0.0.7", "infra2": "10.0.0.8"}
    payload = Payload(mode=mode, members=members)
    assert host.install(payload).returncode == 0
    pod = host.path(POD).read_text()
    assert "--initial-cluster=infra0=https://10.0.0.6:2380\n" in pod
    assert "--initial-cluster-state=existing\n" in pod
    again = host.install(payload)
    assert "nothing changed" in again.stdout


def starts(host: Sandbox) -> int:
    """How often kubelet has started an etcd; it keeps a log of each start."""
    return len(list(host.path("/var/log/pods").glob("kube-system_etcd-*/etcd/*.log")))


@pytest.mark.parametrize("mode", ["kubeadm", "rendered"])
def test_a_changed_manifest_keeps_that_form(host: Sandbox, mode: str) -> None:
    """And kubelet sees it in that form alone, however long kubeadm takes to write its own."""
    host.stub("slow-kubeadm", "")
    assert host.install(Payload(mode=mode)).returncode == 0
    before = starts(host)
    changed = host.install(Payload(mode=mode, etcd_argument="--snapshot-count=5000"))
    assert changed.returncode == 0, changed.stderr
    pod = host.path(POD).read_text()
    assert "--snapshot-count=5000" in pod
    assert "--initial-cluster-state=existing\n" in pod
    assert starts(host) == before + 1
    assert host.path(POD).stat().st_mode & 0o777 == 0o600
    assert not list(host.path(STATE).rglob("manifest.apart"))


def test_data_emptied_while_kubelet_runs(lived: Sandbox) -> None:
    shutil.rmtree(lived.path(f"{DATA}/member"))
    lived.execute("/bin/bash", "-c", "kill -9 $(cat /var/stub/etcd-pid)")
    lived.until(lambda: lived.path(f"{DATA}/member/snap/db").exists())
    assert not list(lived.path(DATA).rglob("*.wal"))
    done = lived.execute("/usr/local/bin/bundlegen-health")
    assert done.returncode == 14
    assert "etcd must not start here: a member has lived here, and its log is not in" in done.stdout
    assert "replace the member" in done.stdout


@pytest.mark.parametrize("state", ["fresh folder", "only snap", "dangling link", "absent mount", "no folder"])
def test_kubelet_does_not_start_without_the_log(lived: Sandbox, state: str) -> None:
    empty(lived)
    why = "/var/lib/etcd holds no log of etcd"
    if state == "only snap":
        lived.write(f"{DATA}/member/snap/db")
    elif state == "dangling link":
        lived.path(DATA).rmdir()
        lived.path(DATA).symlink_to("/data/etcd")
        why = "/var/lib/etcd is a link to /data/etcd, which is not there"
    elif state == "absent mount":
        lived.write("/etc/fstab", "# disks\n/dev/disk/by-label/etcd /var/lib/etcd ext4 defaults,nofail 0 2\n")
        why = "/var/lib/etcd of /etc/fstab is not mounted"
    elif state == "no folder":
        lived.path(DATA).rmdir()
    code, said = guard(lived)
    assert (code, f"<2>etcd must not start: a member has lived here, and {why}\n" in said) == (1, True)
    assert "replace the member" in said
    lived.execute("/usr/local/sbin/systemctl", "restart", "kubelet.service")
    assert lived.stubbed("active").strip() == "activating"
    assert not list(lived.path("/var/lib").rglob("*.wal"))
    done = lived.install(Payload(), "preflight")
    assert done.returncode == 11
    assert re.search(r"failed +data-dir", done.stdout)


def test_the_disk_of_another_member(lived: Sandbox) -> None:
    log = next(lived.path(f"{DATA}/member/wal").iterdir())
    first = IDENTITY % 128 + 128
    content = log.read_bytes()
    assert bytes([8, first]) in content
    log.write_bytes(content.replace(bytes([8, first]), bytes([8, first ^ 1]), 1))
    code, said = guard(lived)
    assert code == 1
    assert "holds the data of another member" in said


def test_where_nobody_has_lived_the_guard_lets_kubelet_start(host: Sandbox) -> None:
    host.path(STATE).mkdir(parents=True)
    host.write(GUARD, Payload().files[GUARD][1].decode())
    assert guard(host) == (0, "")
    host.write(WRITTEN, "torn")
    assert guard(host) == (0, "")


def test_a_log_that_begins_otherwise_is_not_refused(lived: Sandbox) -> None:
    next(lived.path(f"{DATA}/member/wal").iterdir()).write_bytes(b"\xff" * 4096)
    assert guard(lived) == (0, "")


def test_an_uninstall_forgets_the_member(lived: Sandbox) -> None:
    assert lived.install(Payload(), "uninstall").returncode == 0
    assert not lived.path(WRITTEN).exists()


@pytest.mark.parametrize("verb", ["uninstall", "rollback"])
def test_wal_dir_is_moved_aside_too(host: Sandbox, verb: str) -> None:
    host.path(DATA).mkdir(mode=0o700)
    payload = Payload(etcd_argument=f"--wal-dir={DATA}/wal", conf={"WAL_DIR": f"{DATA}/wal"})
    assert host.install(payload).returncode == 0
    assert list(host.path(f"{DATA}/wal").glob("*.wal"))
    assert written(host)["WAL_DIR"] == f"{DATA}/wal"
    assert guard(host) == (0, "")
    assert host.install(payload, verb).returncode == 0
    left = sorted(path.name.split(".")[0] for path in host.path(DATA).iterdir() if ".bundlegen-" in path.name)
    assert left == ["member", "wal"]
    assert [path for path in host.path(DATA).iterdir() if ".bundlegen-" not in path.name] == []


def test_a_log_in_wal_dir_is_data(host: Sandbox) -> None:
    host.write(f"{DATA}/wal/0000000000000000-0000000000000000.wal", "a log")
    done = host.install(Payload(etcd_argument=f"--wal-dir={DATA}/wal", conf={"WAL_DIR": f"{DATA}/wal"}), "preflight")
    assert re.search(r"failed +data-dir +/var/lib/etcd holds the data of another etcd member", done.stdout)
