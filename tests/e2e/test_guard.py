"""A member that has lived never starts on an empty directory: three hosts, disks that are gone, and the way out."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests import figures
from tests.e2e.clusters import Cluster, etcdctl, run_bundle
from tests.e2e.rig import images
from tests.e2e.rig.host import Host
from tests.e2e.rig.session import Session

HEALTH = "/usr/local/sbin/bundlegen-health"
DATA, AWAY = "/var/lib/etcd", "/var/lib/etcd.away"
FSTAB = "/dev/disk/by-label/etcd /var/lib/etcd ext4 defaults,nofail,noauto 0 2\n"
REFUSED = "etcd must not start: a member has lived here, and "


@dataclass
class Lived:
    """A cluster that has served, and how many keys it holds."""

    cluster: Cluster
    hosts: list[Host]
    session: Session
    keys: int = 0

    def ask(self, member: int, *words: str, check: bool = True) -> str:
        endpoint = f"--endpoints={self.cluster.endpoint(member)}"
        return etcdctl(self.session, self.cluster, endpoint, *words, keys_of=self.hosts[member], check=check)

    def put(self, through: int, count: int) -> None:
        for _ in range(count):
            self.keys += 1
            self.ask(through, "put", f"k{self.keys}", "v")

    def agree(self) -> None:
        """Every member is healthy, says so, and holds every key."""
        for host in self.hosts:
            done = host.exec([HEALTH, "--cluster", "--wait", "90"], check=False, timeout=150)
            assert done.returncode == 0, f"{host.name}\n{done.stdout}{done.stderr}"
        counts = [len(self.ask(number, "get", "--prefix", "--keys-only", "k").split()) for number in range(3)]
        assert counts == [self.keys] * 3


@pytest.fixture(scope="module")
def lived(make_cluster: Callable[..., Cluster], boot: Callable[..., list[Host]], session: Session) -> Lived:
    cluster = make_cluster("guarded", pki={"encryptionAlgorithm": "ECDSA-P256"})
    hosts = boot(cluster)
    for host in hosts:
        host.write("/etc/standin-pace", "0.2\n")
        host.exec(["systemctl", "restart", "kubelet"], check=False)
        run_bundle(host, cluster.bundle(host.name))
    made = Lived(cluster, hosts, session)
    made.put(0, 30)
    made.agree()
    return made


def take_disk(host: Host, kind: str) -> None:
    """The data of a host, which is about to lose its power, is not there when it boots again."""
    lost = {
        "fresh folder": f"mkdir -m 0700 {DATA}",
        "dangling link": f"ln -s /data/etcd {DATA}",
        "absent mount": f"mkdir -m 0700 {DATA}; printf '{FSTAB}' >> /etc/fstab",
    }[kind]
    host.exec(["sh", "-c", f"mv {DATA} {AWAY}; {lost}; sync"])


def give_disk_back(host: Host) -> None:
    host.exec(["sh", "-c", f"rm -rf {DATA}; mv {AWAY} {DATA}; sed -i '/label.etcd/d' /etc/fstab"])


def logs(host: Host) -> list[str]:
    return host.exec(["sh", "-c", f"ls {DATA}/member/wal/ 2> /dev/null | grep 'wal$' || true"]).stdout.split()


def has_refused(host: Host) -> str:
    """What the guard says on a host that has just booted without its data."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        said = host.exec(["journalctl", "--boot", "--unit", "kubelet", "--no-pager", "--output", "cat"]).stdout
        if REFUSED in said:
            return said
        time.sleep(0.5)
    raise AssertionError(f"{host.name} has not refused:\n{said}")


# Which disks are gone, in which way, and in which order the hosts come back: a choice of all that there are.
GONE = {"one": (1,), "two": (0, 1), "three": (0, 1, 2)}
ORDERS = {
    "together": ((0, 1, 2),),
    "one after the other": ((0,), (1,), (2,)),
    "the old one last": ((0, 1), (2,)),
}
KINDS = ("fresh folder", "dangling link", "absent mount")
SCENES = figures.of(
    [
        ("two", "fresh folder", "the old one last"),
        ("two", "absent mount", "together"),
        ("three", "dangling link", "one after the other"),
        ("one", "fresh folder", "together"),
    ],
    [(gone, kind, order) for gone in GONE for kind in KINDS for order in ORDERS],
)


@pytest.mark.parametrize(("disks", "kind", "back"), SCENES)
def test_no_second_history(lived: Lived, disks: str, kind: str, back: str) -> None:
    gone, order = GONE[disks], ORDERS[back]
    for number in gone:
        take_disk(lived.hosts[number], kind)
    for host in lived.hosts:
        host.power_off()
    for group in order:
        for number in group:
            lived.hosts[number].boot()
        for number in set(group) & set(gone):
            has_refused(lived.hosts[number])
            assert logs(lived.hosts[number]) == []
            done = lived.hosts[number].exec([HEALTH], check=False)
            assert done.returncode == 14
            assert "etcd must not start here: a member has lived here" in done.stdout
            assert "replace the member" in done.stdout
    time.sleep(3)
    assert [logs(lived.hosts[number]) for number in gone] == [[] for _ in gone]
    for number in gone:
        give_disk_back(lived.hosts[number])
    lived.agree()
    lived.put(gone[0], 5)
    lived.agree()


@pytest.mark.parametrize("emptied", [f"{DATA}/member", f"{DATA}/member/wal"])
def test_data_emptied_under_a_running_member(lived: Lived, emptied: str) -> None:
    """Moved away and not copied: a copy of files that are being written is older than what the member has promised."""
    host = lived.hosts[0]
    host.exec(["sh", "-c", f"mv {emptied} /var/lib/kept; kill -9 $(pgrep -x etcd)"])
    deadline = time.monotonic() + 12
    while time.monotonic() < deadline:
        assert logs(host) == []
        time.sleep(0.5)
    done = host.exec([HEALTH], check=False)
    assert done.returncode == 14
    assert "etcd must not start here: a member has lived here" in done.stdout
    host.exec(["sh", "-c", f"rm -rf {emptied}; mv /var/lib/kept {emptied}"])
    lived.put(1, 2)
    lived.agree()


def test_swapped_disks(lived: Lived) -> None:
    """Each with the data of the other."""
    first, second = lived.hosts[:2]
    for host in (first, second):
        host.exec(["sh", "-c", f"sync; tar -C {DATA} -cf /root/data.tar ."])
        host.power_off()
    first.boot()
    second.boot()
    for host, other in ((first, second), (second, first)):
        host.exec(["sh", "-c", "systemctl stop kubelet; pkill -x etcd; sleep 1; true"])
        host.put(other.path("/root/data.tar"), "/root/other.tar")
    for host in (first, second):
        host.exec(["sh", "-c", f"mv {DATA} {AWAY}; mkdir -m 0700 {DATA}; tar -C {DATA} -xf /root/other.tar"])
        host.exec(["systemctl", "start", "kubelet"], check=False)
        time.sleep(1)
        said = host.exec(["journalctl", "--boot", "--unit", "kubelet", "--no-pager", "--output", "cat"]).stdout
        assert "holds the data of another member" in said
        assert host.exec(["pgrep", "-x", "etcd"], check=False).returncode == 1
        give_disk_back(host)
    lived.agree()


def test_ordinary_starts_are_never_refused(lived: Lived) -> None:
    """Power cuts, and kubelets that are started again."""
    starts = 0
    for round_ in range(figures.of(3, 20)):
        host = lived.hosts[round_ % 3]
        host.power_off()
        host.boot()
        starts += 11
        for _ in range(10):
            host.exec(["systemctl", "restart", "kubelet"])
        said = host.exec(["journalctl", "--boot", "--unit", "kubelet", "--no-pager", "--output", "cat"]).stdout
        assert "must not start" not in said
    print(f"{starts} starts of kubelet after power cuts and restarts, none refused")
    lived.agree()
    took = lived.hosts[0].exec(["bash", "-c", "time for i in {1..50}; do /usr/local/sbin/bundlegen-guard; done"])
    seconds = float(took.stderr.split("real\t0m")[1].split("s")[0])
    assert seconds / 50 < 0.25


def test_own_data_is_recognised(lived: Lived) -> None:
    """Moved aside by a rollback and put back by hand; and with all that bundlegen had written down of it lost."""
    host = lived.hosts[1]
    run_bundle(host, lived.cluster.bundle(host.name), "rollback")
    host.exec(["sh", "-c", f"mv {DATA}.bundlegen-* {DATA}"])
    run_bundle(host, lived.cluster.bundle(host.name))
    lived.agree()
    etcd = host.exec(["pgrep", "-x", "etcd"]).stdout
    host.exec(["rm", "-r", f"/var/lib/bundlegen/{lived.cluster.name}"])
    run_bundle(host, lived.cluster.bundle(host.name))
    assert host.exec(["pgrep", "-x", "etcd"]).stdout == etcd
    lived.agree()


def test_members_that_hold_different_data_are_named(lived: Lived) -> None:
    """60 MB of data; then one member's database is edited while it is stopped. The hash tells, and in time."""
    program = images.etcd_programs() / "usr/bin/etcdctl"
    pki = lived.hosts[0].shared_path("/etc/kubernetes/pki/etcd")
    client = f"{pki}/healthcheck-client"
    put = (
        f"for i in $(seq 60); do head -c 750000 /dev/urandom | base64 -w 0 | {program} --cacert {pki}/ca.crt "
        f"--cert {client}.crt --key {client}.key --endpoints {lived.cluster.endpoint(0)} put large$i > /dev/null; done"
    )
    lived.session.run(["sh", "-c", put], timeout=120)
    lived.ask(0, "put", "edited", "as-it-was-written")
    began = time.monotonic()
    lived.hosts[0].exec([HEALTH, "--cluster"])
    size = lived.hosts[0].exec(["stat", "-c", "%s", f"{DATA}/member/snap/db"]).stdout.strip()
    print(f"bundlegen-health --cluster over databases of {int(size) / 1e6:.0f} MB: {time.monotonic() - began:.1f} s")
    edited = lived.hosts[2]
    edited.exec(["sh", "-c", "systemctl stop kubelet; pkill -x etcd; sleep 2; pgrep -x etcd; true"])
    edited.exec(["sed", "-i", "s/as-it-was-written/as-it-was-changed/g", f"{DATA}/member/snap/db"])
    edited.exec(["systemctl", "start", "kubelet"])
    edited.exec([HEALTH, "--wait", "60"], timeout=90)
    done = lived.hosts[0].exec([HEALTH, "--cluster"], check=False)
    assert done.returncode == 14
    found = re.search(r"THE MEMBERS HOLD DIFFERENT DATA at revision \d+: (.*)", done.stdout)
    assert found, done.stdout
    assert sorted(each.split(" on ")[1] for each in found[1].split("; ")) == ["infra0 infra1", "infra2"]
    assert "DIVERGED: the members of guarded do not hold the same data" in done.stdout
