"""Every bundle on every host: only its own host takes it, and every other is left as it was."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from tests.e2e.clusters import STICK, Cluster, carry, run_bundle
from tests.e2e.rig.host import Host
from tests.e2e.rig.tree import Tree, difference

WRONG_HOST = 10


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


def _services(host: Host) -> str:
    """Everything that systemd runs or waits to run, and its state, but for kubelet's, which before an install is
    started again every ten seconds. Mounts are left out: those of services' credentials come and go while a host
    boots; the file tree tells what a bundle has mounted and left."""
    kinds = "service,timer,socket,path"
    units = host.exec(["systemctl", "list-units", "--all", f"--type={kinds}", "--plain", "--no-legend"]).stdout
    assert "containerd.service" in units
    return "\n".join(sorted(line for line in units.splitlines() if "kubelet" not in line))
