"""Members leave, one because its host is gone, one that leads, while a client writes without a pause."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.clusters import Cluster, etcdctl, run_bundle
from tests.e2e.rig.writer import Writer
from tests.e2e.running import HEALTH, Running

PREFLIGHT_FAILED = 11
RECEIPTS = "/var/lib/bundlegen/shrunk/receipts"


@pytest.fixture(scope="module")
def running(run_three: Callable[[str], Running]) -> Running:
    return run_three("shrunk")


def ask(running: Running, *words: str) -> Any:
    found = etcdctl(
        running.session,
        running.cluster,
        *("--endpoints", running.cluster.endpoint(0), *words, "--write-out=json"),
        keys_of=running.hosts["infra0"],
    )
    return json.loads(found)


def members(running: Running) -> list[str]:
    return sorted(each["name"] for each in ask(running, "member", "list")["members"])


def lead(running: Running, name: str) -> None:
    """Its member leads from now on."""
    own = next(each["ID"] for each in ask(running, "member", "list")["members"] if each["name"] == name)
    if ask(running, "endpoint", "status")[0]["Status"]["leader"] != own:
        endpoints = ("--endpoints", running.cluster.endpoints)
        words = (*endpoints, "move-leader", f"{own:x}")
        etcdctl(running.session, running.cluster, *words, keys_of=running.hosts["infra0"], check=False)
    assert ask(running, "endpoint", "status")[0]["Status"]["leader"] == own


def without(running: Running, host: str, *words: str) -> Cluster:
    file: Path = running.cluster.folder / "cluster.yaml"
    spec = yaml.safe_load(file.read_text())
    spec["hosts"] = [each for each in spec["hosts"] if each["name"] != host]
    file.write_text(yaml.safe_dump(spec, sort_keys=False))
    return running.cluster.built(*words)


def test_a_host_that_is_gone(running: Running) -> None:
    """Another one takes its member out, and not while it answers; when it comes back it is harmless."""
    made = without(running, "infra2", "--by", "infra0")
    assert made.change_name == "2-remove"
    assert sorted(path.name for path in made.out.glob("*.run")) == ["infra0.run", "infra1.run"]
    refused = run_bundle(running.hosts["infra0"], made.bundle("infra0"), expect=PREFLIGHT_FAILED)
    assert "gone: these members answer, so they are not gone: infra2 (10.0.0.8)" in refused.stderr
    lead(running, "infra0")
    running.hosts["infra2"].power_off()
    pids = running.hosts["infra1"].exec(["pgrep", "-x", "etcd|kubelet"]).stdout
    endpoints = running.cluster.endpoints.split(",")[:2]
    with Writer(running.session, endpoints, running.credentials) as writer:
        done = run_bundle(running.hosts["infra0"], made.bundle("infra0"))
        assert "infra2 is no member any more" in done.stdout
        assert members(running) == ["infra0", "infra1"]
        told = running.hosts["infra1"].exec([HEALTH], check=False)
        assert "no longer members: infra2" in told.stdout
        run_bundle(running.hosts["infra1"], made.bundle("infra1"))
        running.hosts["infra2"].boot()
        running.hosts["infra2"].exec([HEALTH, "--wait", "3"], check=False)
        for name in ("infra0", "infra1"):
            running.hosts[name].exec([HEALTH, "--cluster", "--wait", "60"])
    print(f"a host that is gone: {writer.report}")
    assert writer.report.lost == [], writer.report
    # etcd, where it drops its connections to a host without power, may change its leader
    print(f"ticks without a taker: {len(writer.report.idle)}")
    assert members(running) == ["infra0", "infra1"]
    assert running.hosts["infra1"].exec(["pgrep", "-x", "etcd|kubelet"]).stdout == pids
    assert "Already installed; nothing changed." in run_bundle(running.hosts["infra0"], made.bundle("infra0")).stdout


def test_the_leader_leaves(running: Running) -> None:
    """Killed right after it has left, the same bundle ends what it began; the host is as before bundlegen."""
    made = without(running, "infra1")
    assert made.change_name == "3-remove"
    leaving = running.hosts["infra1"]
    lead(running, "infra1")
    inside = leaving.put(made.bundle("infra1"), "/root/stick/")
    with Writer(running.session, [running.cluster.endpoint(0)], running.credentials) as writer:
        script = (
            f"sh {inside} > /root/said 2>&1 & until grep -q 'is no member any more' /root/said; do sleep 0.02; done; "
            "pkill -9 -f install.sh; wait"
        )
        leaving.exec(["bash", "-c", script], check=False, timeout=120)
        assert members(running) == ["infra0"]
        done = run_bundle(leaving, made.bundle("infra1"))
        assert "Done: this host is as it was before." in done.stdout
        run_bundle(running.hosts["infra0"], made.bundle("infra0"))
    print(f"the leader leaves: {writer.report}")
    assert writer.report.lost == [], writer.report
    print(f"ticks without a taker: {len(writer.report.idle)}")
    running.hosts["infra0"].exec([HEALTH, "--cluster", "--wait", "60"])
    assert '"outcome": "removed"' in sorted(leaving.path(RECEIPTS).glob("*.json"))[-1].read_text()
    assert leaving.exec(["pgrep", "-x", "etcd"], check=False).returncode == 1
    assert not leaving.path("/etc/kubernetes/manifests/etcd.yaml").exists()
    again = run_bundle(leaving, made.bundle("infra1"))
    assert "Already removed; nothing changed" in again.stdout


def test_who_has_left_can_come_again(running: Running) -> None:
    """After the tests above; with new keys, as one that was never here."""
    replace(running.cluster, change_name="3-remove").take_in(
        {name: running.hosts[name] for name in ("infra0", "infra1")}
    )
    file = running.cluster.folder / "cluster.yaml"
    spec = yaml.safe_load(file.read_text())
    spec["hosts"].append({"name": "infra1", "address": "10.0.0.7"})
    file.write_text(yaml.safe_dump(spec, sort_keys=False))
    made = running.cluster.built()
    assert made.change_name == "4-add"
    run_bundle(running.hosts["infra1"], made.bundle("infra1"))
    assert members(running) == ["infra0", "infra1"]
