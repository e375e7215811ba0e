"""Every bundle on every host: only its own host takes it, and every other is left as it was."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from tests.e2e.clusters import STICK, Cluster, carry, run_bundle
from tests.e2e.rig.host import Host
from tests.e2e.rig.tree import Tree, difference

WRONG_HOST = 10
KINDS = ("*.service", "*.timer", "*.socket", "*.path")


@pytest.fixture(scope="module")
def hosts(guide: Cluster, boot: Callable[..., list[Host]]) -> list[Host]:
    return boot(guide)


def test_every_bundle_on_every_host(guide: Cluster, hosts: list[Host], capsys: pytest.CaptureFixture[str]) -> None:
    refused = installed = 0
    # The wrong ones first, so that they meet hosts in their first state; then each on its own host.
    pairs = sorted(itertools.product(hosts, guide.hosts), key=lambda pair: pair[0].name == pair[1].name)
    for host, member in pairs:
        bundle = guide.bundle(member.name)
        if host.name == member.name:
            run_bundle(host, bundle)
            installed += 1
            continue
        carry(host, bundle)
        before, services = _tree(host), _services(host)
        done = run_bundle(host, bundle, expect=WRONG_HOST)
        assert f"this is not {member.name}" in done.stderr
        assert difference(before, _tree(host)) == []
        assert _services(host) == services
        refused += 1
    for host, member in pairs[: refused // 2]:  # and on hosts that run etcd, a wrong bundle is refused all the same
        before, services = _tree(host), _services(host)
        run_bundle(host, guide.bundle(member.name), expect=WRONG_HOST)
        assert difference(before, _tree(host)) == []
        assert _services(host) == services
    with capsys.disabled():
        print(
            f"\n{len(pairs)} pairs of bundle and host: {installed} installed, {refused} refused, nothing changed there"
        )
    assert (installed, refused) == (3, 6)


def test_a_pinned_machine_id_is_the_last_word(
    make_cluster: Callable[..., Cluster], boot: Callable[..., list[Host]], guide: Cluster
) -> None:
    members = [
        {"name": host.name, "address": host.address, "machineID": f"{number:032x}"}
        for number, host in enumerate(guide.hosts, 1)
    ]
    cluster = make_cluster("pinned", hosts=members)
    (host, *_) = boot(cluster)
    carry(host, cluster.bundle(0))
    before = _tree(host)
    done = run_bundle(host, cluster.bundle(0), expect=WRONG_HOST)
    assert host.spec.machine_id in done.stderr
    assert difference(before, _tree(host)) == []


def _tree(host: Host) -> Tree:
    return host.snapshot(without=["/var/lib/etcd", STICK])


def _services(host: Host) -> dict[str, str]:
    """What systemd knows, by unit: whether it is enabled, the process of each daemon, which timers and the like wait.

    Left out is what changes by itself: jobs that end, and kubelet's process, which before an install is another every
    ten seconds. Mounts are left out as well; the file tree tells what a bundle has mounted and left.
    """
    listed = host.exec(["systemctl", "list-unit-files", "--plain", "--no-legend"]).stdout
    facts = {name: state for name, state, *_ in map(str.split, listed.splitlines())}
    assert facts["kubelet.service"] == "enabled"
    shown = host.exec(["systemctl", "show", "--property=Id,Type,MainPID,ActiveState", *KINDS]).stdout
    for block in shown.split("\n\n"):
        unit = dict(line.split("=", 1) for line in block.splitlines())
        if unit["Id"] == "kubelet.service" or unit.get("Type") == "oneshot":
            continue
        if unit.get("MainPID", "0") != "0":
            facts[f"{unit['Id']} runs"] = unit["MainPID"]
        elif unit["ActiveState"] == "active":
            facts[f"{unit['Id']} waits"] = "yes"
    assert "containerd.service runs" in facts
    return facts
