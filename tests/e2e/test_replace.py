"""A member whose disk is lost comes back, and one with another address keeps what it is, while a client writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml

from tests.e2e.clusters import etcdctl, run_bundle
from tests.e2e.rig.writer import Writer
from tests.e2e.running import HEALTH, Running

PREFLIGHT_FAILED = 11
DATA = "/var/lib/etcd"


@pytest.fixture(scope="module")
def running(run_three: Callable[[str], Running]) -> Running:
    return run_three("replaced")


def members(running: Running, through: int = 0) -> dict[str, dict[str, Any]]:
    words = ("--endpoints", running.cluster.endpoint(through), "member", "list", "--write-out=json")
    told = etcdctl(running.session, running.cluster, *words, keys_of=running.hosts["infra0"])
    return {each.get("name", "unborn"): each for each in json.loads(told)["members"]}


def well(running: Running) -> None:
    for host in running.hosts.values():
        host.exec([HEALTH, "--cluster", "--wait", "90"], timeout=120)


def test_a_lost_disk(running: Running) -> None:
    """Refused while it answers; killed between the removal and the addition, the same bundle goes on."""
    lost = running.hosts["infra1"]
    made = running.cluster.replace_member("infra1")
    assert made.change_name == "2-replace"
    assert sorted(path.name for path in made.out.glob("*.run")) == ["infra1.run"]
    refused = run_bundle(lost, made.bundle("infra1"), expect=PREFLIGHT_FAILED)
    assert "replaceable: infra1 (10.0.0.7) answers, so it is not lost" in refused.stderr
    old, led = members(running)["infra1"]["ID"], running.leader() == "infra1"
    with running.writing() as writer:
        lost.exec(["sh", "-c", f"rm -rf {DATA}/member; kill -9 $(pgrep -x etcd)"])
        said = lost.exec([HEALTH], check=False)
        assert "replace the member: bundlegen replace SPEC HOST" in said.stdout
        inside = lost.put(made.bundle("infra1"), "/root/stick/")
        script = (
            f"sh {inside} > /root/said 2>&1 & until grep -q 'is out of the member list' /root/said; do sleep 0.02; "
            "done; pkill -9 -f install.sh; wait"
        )
        lost.exec(["bash", "-c", script], check=False, timeout=120)
        done = run_bundle(lost, made.bundle("infra1"))
        assert "going on from there" in done.stdout
        assert "infra1 has a vote" in done.stdout
    print(f"a lost disk, {'of the leader' if led else 'of a follower'}: {writer.report}")
    assert writer.report.lost == [], writer.report
    # another leader is elected first
    assert len(writer.report.idle) <= (50 if led else 0), writer.report
    there = members(running)
    assert sorted(there) == ["infra0", "infra1", "infra2"]
    assert there["infra1"]["ID"] != old
    well(running)
    assert "Already installed; nothing changed." in run_bundle(lost, made.bundle("infra1")).stdout


def test_another_address_with_its_data(running: Running) -> None:
    """It keeps its identity; the others are told by bundles that restart nothing."""
    moving = running.hosts["infra2"]
    before = members(running)["infra2"]["ID"]
    file = running.cluster.folder / "cluster.yaml"
    spec = yaml.safe_load(file.read_text())
    spec["hosts"][2]["address"] = "10.0.0.18"
    file.write_text(yaml.safe_dump(spec, sort_keys=False))
    made = running.cluster.replace_member("infra2")
    assert sorted(path.name for path in made.out.glob("*.run")) == ["infra0.run", "infra1.run", "infra2.run"]
    pids = {name: running.pids()[name] for name in ("infra0", "infra1")}
    # what is at the old address cannot be read back from there
    with Writer(running.session, running.cluster.endpoints.split(",")[:2], running.credentials) as writer:
        script = (
            "d=$(ip -o -4 addr show to 10.0.0.8 | awk '{ print $2 }'); "
            "ip addr del 10.0.0.8/24 dev $d; ip addr add 10.0.0.18/24 dev $d"
        )
        moving.exec(["sh", "-c", script])
        done = run_bundle(moving, made.bundle("infra2"))
        assert "etcd knows infra2 at https://10.0.0.18:2380" in done.stdout
        for name in ("infra0", "infra1"):
            run_bundle(running.hosts[name], made.bundle(name))
    print(f"another address: {writer.report}")
    assert writer.report.harm() == "", writer.report
    there = members(running)
    assert (there["infra2"]["ID"], there["infra2"]["peerURLs"]) == (before, ["https://10.0.0.18:2380"])
    assert {name: running.pids()[name] for name in ("infra0", "infra1")} == pids
    well(replace(running, cluster=made))
