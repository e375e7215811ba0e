"""A cluster that was made by the guide's own commands is taken over: no etcd restarts, and nothing is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.clusters import Cluster, bundlegen, run_bundle
from tests.e2e.rig.host import Host
from tests.e2e.rig.session import Session
from tests.e2e.rig.tree import difference
from tests.e2e.rig.writer import keys_of
from tests.e2e.running import HEALTH, READY, Running

PREFLIGHT_FAILED = 11
DROP_INS = "/etc/systemd/system/kubelet.service.d"
FILES = {"certificate": "ca-certificate", "key": "ca-key"}
KEYS = {"encryptionAlgorithm": "ECDSA-P256"}
BORN = "initial-cluster-token"


def without_token(text: str) -> str:
    """kubeadm's configuration as the guide has it, which names no token."""
    documents = list(yaml.safe_load_all(text))
    for document in documents:
        local = document.get("etcd", {}).get("local", {})
        arguments = local.get("extraArgs", {})
        if isinstance(arguments, list):
            local["extraArgs"] = [each for each in arguments if each["name"] != BORN]
        else:
            arguments.pop(BORN, None)
    return yaml.safe_dump_all(documents)


def by_hand(host: Host, files: Path) -> None:
    """The guide: its certificates, its drop-in, and kubeadm's static Pod."""
    shutil.copytree(files / "etc/kubernetes/pki", host.path("/etc/kubernetes/pki"))
    host.write("/root/kubeadmcfg.yaml", without_token((files / "etc/kubernetes/kubeadmcfg.yaml").read_text()))
    host.exec(["mkdir", "-p", DROP_INS])
    for file in (files / DROP_INS[1:]).iterdir():
        lines = [line for line in file.read_text().splitlines(keepends=True) if "ExecStartPre" not in line]
        host.write(f"{DROP_INS}/{file.name}", "".join(lines))
    host.exec(["systemctl", "daemon-reload"])
    host.exec(["systemctl", "enable", "kubelet"])
    host.exec(["systemctl", "restart", "kubelet"])
    host.exec(["kubeadm", "init", "phase", "etcd", "local", "--config=/root/kubeadmcfg.yaml"])


@pytest.fixture(scope="module")
def running(
    make_cluster: Callable[..., Cluster],
    boot: Callable[..., list[Host]],
    session: Session,
    tmp_path_factory: pytest.TempPathFactory,
) -> Running:
    """Its keys are made by another store, which nobody has any more; the CA's pair is what is left."""
    made = make_cluster("adopted", pki=KEYS)
    hosts = {host.name: host for host in boot(made)}
    for name, host in hosts.items():
        folder = made.folder / f"files-{name}"
        bundlegen(["extract", str(made.bundle(name)), str(folder)], made.folder)
        by_hand(host, folder / "files")
    for host in hosts.values():
        host.exec(["bash", "-c", "until pgrep -x etcd; do sleep 0.5; done"])
    return Running(made, hosts, session, keys_of(hosts["infra0"], tmp_path_factory.mktemp("client")))


def adopting(running: Running, make_cluster: Callable[..., Cluster], **spec: Any) -> Cluster:
    """Its bundles, from a store that begins with it."""
    ca = {
        end: str(running.cluster.folder / f"pki/adopted/ca/ca.{suffix}")
        for end, suffix in (("certificate", "crt"), ("key", "key"))
    }

    def program(_words: Sequence[str], folder: Path) -> None:
        for end, path in ca.items():
            shutil.copyfile(path, folder / f"ca-{end}")
            (folder / f"ca-{end}").chmod(0o600)
        bundlegen(["adopt", "cluster.yaml"], folder)

    made = make_cluster("adopted", pki={**KEYS, "ca": FILES}, built_by=program, **spec)
    return made.named("1-adopt")


def etcd(running: Running) -> dict[str, str]:
    return {name: host.exec(["pgrep", "--exact", "etcd"]).stdout for name, host in running.hosts.items()}


def test_what_differs_is_refused(running: Running, make_cluster: Callable[..., Cluster]) -> None:
    """Each in its own sentence, and nothing is touched."""
    change = adopting(running, make_cluster, etcd={"extraArgs": {"heartbeat-interval": "200"}})
    before, pids = running.snapshot("infra0", times=False), running.pids()
    refused = run_bundle(running.hosts["infra0"], change.bundle("infra0"), expect=PREFLIGHT_FAILED)
    assert "etcd runs without --heartbeat-interval, and the specification asks for 200" in refused.stderr
    assert difference(before, running.snapshot("infra0", times=False)) == []
    assert running.pids() == pids


def test_taken_over_and_back_and_renewed(running: Running, make_cluster: Callable[..., Cluster]) -> None:
    """No etcd is another process; the way back is what was there; later it is a cluster like any other."""
    change = adopting(running, make_cluster)
    pids = etcd(running)
    before = running.snapshot("infra1", times=False)
    with running.writing() as writer:
        for name, host in running.hosts.items():
            done = run_bundle(host, change.bundle(name))
            assert "etcd shows the new certificates on ports 2379 and 2380, and accepts them" in done.stdout
        run_bundle(running.hosts["infra1"], change.bundle("infra1"), "rollback")
        found = difference(before, running.snapshot("infra1", times=False))
        # receipts stay; and folders of the layer below are of this one, too, once something was in them
        copied = ("/usr:", "/usr/local:", "/usr/local/sbin:", "/var/lib/bundlegen")
        assert [each for each in found if not each.startswith(copied)] == []
        run_bundle(running.hosts["infra1"], change.bundle("infra1"))
        for name, host in running.hosts.items():
            host.exec([HEALTH, "--cluster", "--wait", "60"])
            assert "Already installed; nothing changed." in run_bundle(host, change.bundle(name)).stdout
        renewed = change.renew()
        for name, host in running.hosts.items():
            run_bundle(host, renewed.bundle(name))
        assert etcd(running) == pids
    assert writer.report.harm() == "", writer.report
    configured = renewed.change(etcd={"extraArgs": {"snapshot-count": "9999"}})
    with running.writing() as writer:
        for name, host in running.hosts.items():
            assert "healthy: all 3 members answer" in run_bundle(host, configured.bundle(name)).stdout
    assert writer.report.harm() == "", writer.report
    assert "--snapshot-count=9999" in running.flags("infra2")
    turned(running, configured)


def turned(running: Running, change: Cluster) -> None:
    """The CA that was brought along gives way to one of bundlegen's; until then the specification names it."""
    change.edit(pki={**KEYS, "ca": {"previous": FILES}})
    first = change.rotate_ca()
    with running.writing() as writer:
        for name, host in running.hosts.items():
            run_bundle(host, first.bundle(name))
        running.give(first)
        second = first.rotate_ca()
        for name in running.led_last():
            run_bundle(running.hosts[name], second.bundle(name), READY)
    assert writer.report.harm() == "", writer.report
    change.edit(pki=KEYS)
    last = change.renew()
    with running.writing() as writer:
        for name, host in running.hosts.items():
            run_bundle(host, last.bundle(name))
            host.exec([HEALTH, "--cluster", "--wait", "60"])
    assert writer.report.harm() == "", writer.report
