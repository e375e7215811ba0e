"""Members come, are replaced, and leave, while a client writes, and while every run is struck down again and again.

Only with --long: see conftest.py.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clusters import Cluster, Member, bundlegen, carry, etcdctl, run_bundle
from tests.e2e.rig.host import Host, HostSpec
from tests.e2e.rig.session import Session
from tests.e2e.rig.writer import Report, Writer, keys_of
from tests.e2e.running import HEALTH
from tests.e2e.struck import SAID, STRIKES, Strike, kill, run_struck

PREFLIGHT_FAILED = 11
ENDED = {0, PREFLIGHT_FAILED}
ADDRESSES = {f"infra{number}": f"10.0.0.{6 + number}" for number in range(5)}
DATA = "/var/lib/etcd"
ELECTION = 50  # ticks: another leader is elected


@dataclass
class Life:
    """Five hosts, some of them members of a cluster."""

    cluster: Cluster
    hosts: dict[str, Host]
    session: Session
    credentials: Path

    def specify(self, members: dict[str, str]) -> None:
        """The specification has these hosts, with their addresses."""
        self.cluster.edit(hosts=[{"name": name, "address": address} for name, address in members.items()])
        self.cluster = Cluster(
            self.cluster.name,
            self.cluster.folder,
            tuple(Member(name, address) for name, address in members.items()),
            self.cluster.client_port,
            self.cluster.change_name,
        )

    def specified(self) -> dict[str, str]:
        return {each.name: each.address for each in self.cluster.hosts}

    def ask(self, through: str, *words: str) -> Any:
        """What etcd says to etcdctl with the keys of this host."""
        endpoint = f"https://{self.specified()[through]}:2379"
        told = etcdctl(self.session, self.cluster, "--endpoints", endpoint, *words, "--write-out=json",
                       keys_of=self.hosts[through])  # fmt: skip
        return json.loads(told)

    def members(self, through: str) -> dict[str, dict[str, Any]]:
        """By name; none is there twice, none is a learner."""
        listed = self.ask(through, "member", "list")["members"]
        found = {each.get("name", "unborn"): each for each in listed}
        assert len(found) == len(listed), listed
        assert not any(each.get("isLearner") for each in listed), listed
        return found

    def leader(self, through: str) -> str:
        own = self.ask(through, "endpoint", "status")[0]["Status"]["leader"]
        return next(name for name, each in self.members(through).items() if each["ID"] == own)

    @contextmanager
    def writing(self, what: str, through: list[str], idle: int = 0) -> Iterator[None]:
        """A writer meanwhile, through these hosts: nothing it was told is lost, and this many ticks may be without."""
        endpoints = [f"https://{self.specified()[name]}:2379" for name in through]
        with Writer(self.session, endpoints, self.credentials) as writer:
            yield
        report: Report = writer.report
        print(f"{what}: {report.acknowledged} acknowledged, {len(report.lost)} lost, {len(report.idle)} idle ticks, "
              f"slowest {report.slowest} s")  # fmt: skip
        assert report.lost == [], report
        assert len(report.idle) <= idle, report

    def well(self) -> None:
        """Every host of the specification says so, and they are the members."""
        for name in self.specified():
            self.hosts[name].exec([HEALTH, "--cluster", "--wait", "120"], timeout=150)
        assert set(self.members(next(iter(self.specified())))) == set(self.specified())

    def end(self) -> None:
        """All bundles of the change are run, those too that have run already; then its receipts are taken in."""
        bundles = sorted(self.cluster.out.glob("*.run"))
        for bundle in bundles:
            run_bundle(self.hosts[bundle.stem], bundle)
        self.cluster.take_in({bundle.stem: self.hosts[bundle.stem] for bundle in bundles})
        self.well()

    def struck(self, name: str, *strikes: Strike) -> None:
        """The run of this host's bundle, struck down again and again until it has got through."""
        points = run_struck(self.hosts[name], self.cluster.bundle(name), strikes=strikes or STRIKES)
        print(f"{self.cluster.change_name} on {name}: struck {len(points)} times\n  " + "\n  ".join(points))
        assert points

    def at_once(self, *names: str) -> dict[str, int]:
        """The bundles of these hosts are started in the same second; the exit codes."""
        runs = {}
        for name in names:
            inside = carry(self.hosts[name], self.cluster.bundle(name))
            words = ["sh", "-c", f"exec sh {inside} > {SAID} 2>&1 < /dev/null"]
            runs[name] = self.hosts[name].start(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        codes = {name: run.wait(timeout=400) for name, run in runs.items()}
        print(f"{self.cluster.change_name} at once: {codes}")
        said = "\n".join(self.hosts[name].read(SAID) for name in names)
        assert set(codes.values()) <= ENDED, said
        assert 0 in codes.values(), said
        return codes


@pytest.fixture(scope="module")
def life(
    session: Session,
    layers: tuple[Path, ...],
    archives: tuple[Path, ...],
    kubernetes_version: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Life]:
    specs = [HostSpec(name, (f"{address}/24",)) for name, address in ADDRESSES.items()]
    booted = session.boot(specs, layers, archives)
    hosts = {host.name: host for host in booted}
    pki = {"encryptionAlgorithm": "ECDSA-P256"}
    folder = tmp_path_factory.mktemp("life")
    cluster = Cluster.make(folder, "life", kubernetes_version, [ADDRESSES["infra0"]], pki=pki)
    run_bundle(hosts["infra0"], cluster.bundle(0))
    yield Life(cluster, hosts, session, keys_of(hosts["infra0"], tmp_path_factory.mktemp("client")))
    session.discard(booted)


def grow(life: Life, *names: str) -> None:
    """These are added; all but the last at the same second, whichever of them must wait."""
    before = list(life.specified())
    life.specify(life.specified() | {name: ADDRESSES[name] for name in names})
    life.cluster = life.cluster.built()
    with life.writing(f"{len(before)} become {len(before) + len(names)}", before):
        codes = life.at_once(*names)
        for name, code in codes.items():
            if code:
                life.struck(name)
        life.end()


def test_one_becomes_three(life: Life) -> None:
    grow(life, "infra1", "infra2")


def test_three_become_five(life: Life) -> None:
    """After the test above."""
    grow(life, "infra3", "infra4")


def test_two_dead_of_five(life: Life) -> None:
    """After the test above. etcd takes in nobody while another one is dead: both leave, then they come again."""
    ids = {name: each["ID"] for name, each in life.members("infra0").items()}
    stay = ["infra0", "infra1", "infra2"]
    with life.writing("two dead of five", stay, ELECTION):
        for name in ("infra3", "infra4"):
            life.hosts[name].power_off()
        early = life.cluster.replace_member("infra3")
        life.hosts["infra3"].reset()
        refused = run_bundle(life.hosts["infra3"], early.bundle("infra3"), expect=PREFLIGHT_FAILED)
        assert "infra4 (10.0.0.10) is silent" in refused.stderr
        assert "build with --by HOST" in refused.stderr
        bundlegen(["withdraw", "cluster.yaml"], life.cluster.folder)
        life.specify({name: ADDRESSES[name] for name in stay})
        life.cluster = life.cluster.built("--by", "infra0")
        life.struck("infra0", kill)
        assert {name: each["ID"] for name, each in life.members("infra0").items()} == {name: ids[name] for name in stay}
        life.end()
    life.hosts["infra4"].reset()
    grow(life, "infra3", "infra4")


def test_five_become_three(life: Life) -> None:
    """After the test above: the leader leaves, and another one."""
    led = life.leader("infra0")
    if led not in ("infra3", "infra4"):
        to = life.members("infra0")["infra4"]["ID"]
        etcdctl(life.session, life.cluster, "--endpoints", f"https://{ADDRESSES[led]}:2379", "move-leader", f"{to:x}",
                keys_of=life.hosts["infra0"])  # fmt: skip
        led = "infra4"
    assert life.leader("infra0") == led
    stay = ["infra0", "infra1", "infra2"]
    life.specify({name: ADDRESSES[name] for name in stay})
    life.cluster = life.cluster.built()
    with life.writing("five become three, the leader leaves", stay, ELECTION):
        life.struck("infra3")
        life.struck("infra4")
        life.end()


def test_who_was_removed_is_harmless(life: Life) -> None:
    """After the test above: its old data is started again as it was; then its old bundle is run again."""
    past = life.hosts["infra4"]
    added = [path.name for path in life.cluster.out.parent.glob("*-add")][-1]
    # every folder of data that was moved aside, and the first manifest that named it
    aside = past.exec(["sh", "-c", f"ls -d {DATA}.bundlegen-*"]).stdout.split()
    assert aside
    with life.writing("old data started again", list(life.specified())):
        past.exec(["sh", "-c", f"rm -rf {DATA} && cp -a {aside[-1]} {DATA}"])
        old = life.cluster.named(added).bundle("infra4")
        refused = run_bundle(past, old, expect=None)
        assert refused.returncode not in (0, 1), refused.stdout + refused.stderr
        print(refused.stderr.splitlines()[-3:])
        assert past.exec(["pgrep", "-x", "etcd"], check=False).returncode == 1
        past.exec(["rm", "-rf", DATA])
        life.well()


@pytest.mark.parametrize(
    ("name", "how"), [("infra0", "disk"), ("infra1", "machine"), ("infra2", "moved"), ("infra2", "back, without data")]
)
def test_each_is_replaced(life: Life, name: str, how: str) -> None:
    """After the tests above."""
    host, rest = life.hosts[name], [each for each in life.specified() if each != name]
    identity, led = life.members(rest[0])[name]["ID"], life.leader(rest[0]) == name
    address = {"moved": "10.0.0.30", "back, without data": ADDRESSES[name]}.get(how, life.specified()[name])
    with life.writing(f"{name}, {how}, {'the leader' if led else 'a follower'}", rest, ELECTION):
        if address != life.specified()[name]:
            before = life.specified()[name]
            life.specify(life.specified() | {name: address})
            host.spec = HostSpec(name, (f"{address}/24",), host.spec.machine)
            host.exec(["ip", "address", "delete", f"{before}/24", "dev", "host0"])
            host.power_off()
            host.boot()
        if how == "disk":
            host.exec(["sh", "-c", f"rm -rf {DATA}/member; kill -9 $(pgrep -x etcd)"])
        elif how == "back, without data":
            host.exec(["sh", "-c", f"kill -9 $(pgrep -x etcd); rm -rf {DATA}/member"])
        elif how == "machine":
            host.spec = HostSpec(name, host.spec.addresses, "another")
            host.reset()
        life.cluster = life.cluster.replace_member(name)
        life.struck(name)
        life.end()
    there = life.members(rest[0])[name]
    assert (there["ID"] == identity) == (how == "moved")
    assert there["peerURLs"] == [f"https://{address}:2380"]


def test_a_member_that_hangs_is_not_taken_for_one_that_lives(life: Life) -> None:
    """After the tests above: with one lost and one that hangs, a removal would cost quorum; it waits or refuses."""
    life.hosts["infra2"].exec(["sh", "-c", f"rm -rf {DATA}/member; kill -9 $(pgrep -x etcd)"])
    life.cluster = life.cluster.replace_member("infra2")
    before = life.members("infra0")
    hung = life.hosts["infra1"]
    hung.exec(["pkill", "-STOP", "-x", "etcd"])
    try:
        refused = run_bundle(life.hosts["infra2"], life.cluster.bundle("infra2"), expect=PREFLIGHT_FAILED)
    finally:
        hung.exec(["pkill", "-CONT", "-x", "etcd"])
    print(refused.stderr[-600:])
    assert "infra1" in refused.stderr
    assert life.members("infra0") == before
    # Slow, and restarting, but there: nobody is mistaken for gone, and the right one goes.
    slow = "while :; do pkill -STOP -x etcd; sleep 0.3; pkill -CONT -x etcd; sleep 0.3; done"
    process = hung.start(["timeout", "--foreground", "300", "sh", "-c", slow])
    try:
        done = run_bundle(life.hosts["infra2"], life.cluster.bundle("infra2"), expect=None)
        assert done.returncode in ENDED, done.stdout + done.stderr
        print(f"with a slow member: exit {done.returncode}")
    finally:
        process.kill()
        process.wait()
        hung.exec(["pkill", "-CONT", "-x", "etcd"], check=False)
    there = life.ask("infra0", "member", "list")["members"]
    assert {each.get("name"): each["ID"] for each in there}["infra1"] == before["infra1"]["ID"]
    # where it was refused meanwhile, it goes through now
    life.end()
