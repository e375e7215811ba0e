"""Preflight on a real host: each thing that is wrong is found under its own name, and nothing is touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from bundlegen import kubernetes
from tests.e2e.clusters import STICK, Cluster, carry, run_bundle
from tests.e2e.rig.binaries import Binaries
from tests.e2e.rig.host import Host
from tests.e2e.rig.tree import difference
from tests.e2e.standins import versions

PREFLIGHT_FAILED = 11
CONTAINERD = "/etc/containerd/config.toml"


def _listen(host: Host, address: str, port: int) -> None:
    host.exec(["systemd-run", "--quiet", "socat", f"TCP-LISTEN:{port},bind={address},fork", "/dev/null"])
    host.exec(["timeout", "20", "sh", "-c", f"until ss -Hltn sport = :{port} | grep -q .; do sleep 0.1; done"])


def _edit(host: Host, path: str, old: str, new: str) -> None:
    text = host.read(path)
    assert old in text
    host.write(path, text.replace(old, new))


def _no_containerd(host: Host) -> None:
    host.exec(["systemctl", "stop", "containerd"])


def _no_cri(host: Host) -> None:
    _edit(host, CONTAINERD, "version = 2\n", 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
    host.exec(["systemctl", "restart", "containerd"])


def _other_cgroup_driver(host: Host) -> None:
    _edit(host, CONTAINERD, "SystemdCgroup = true", "SystemdCgroup = false")
    host.exec(["systemctl", "restart", "containerd"])


def _image_gone(kind: str) -> Callable[[Host], None]:
    def spoil(host: Host) -> None:
        listed = host.exec(["ctr", "-n", "k8s.io", "images", "list", "-q"]).stdout.split()
        host.exec(["ctr", "-n", "k8s.io", "images", "remove", *(name for name in listed if f"/{kind}:" in name)])

    return spoil


def _swap_on(host: Host) -> None:
    host.write("/root/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/zram0 partition 1048576 0 -2\n")
    host.exec(["mount", "--bind", "/root/swaps", "/proc/swaps"])


def _member_of_another_cluster(host: Host) -> None:
    host.exec(["mkdir", "-p", "-m", "700", "/var/lib/etcd/member/wal"])


def _small_disk(host: Host) -> None:
    host.exec(["mkdir", "-m", "700", "/var/lib/etcd"])
    host.exec(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/var/lib/etcd"])


def _other_drop_in(host: Host) -> None:
    text = "[Service]\nExecStart=\nExecStart=/usr/bin/kubelet --config=/somewhere/else\n"
    host.write("/etc/systemd/system/kubelet.service.d/99-site.conf", text)


def _no_openssl(host: Host) -> None:
    host.path("/usr/bin/openssl").unlink()


SPOILED: dict[str, tuple[str, Callable[[Host], Any]]] = {
    "containerd is not running": ("runtime", _no_containerd),
    "containerd without CRI": ("cri", _no_cri),
    "containerd with the cgroup driver cgroupfs": ("cgroup-driver", _other_cgroup_driver),
    "no etcd image": ("images", _image_gone("etcd")),
    "no pause image": ("sandbox-image", _image_gone("pause")),
    "no kubelet": ("kubelet", lambda host: host.path("/usr/bin/kubelet").unlink()),
    "no kubeadm": ("kubeadm", lambda host: host.path("/usr/bin/kubeadm").unlink()),
    "no openssl": ("tools", _no_openssl),
    "swap": ("swap", _swap_on),
    "the client port is taken": ("ports", lambda host: _listen(host, "10.0.0.6", 2379)),
    "the metrics port is taken": ("ports", lambda host: _listen(host, "127.0.0.1", 2381)),
    "the clock is behind": ("clock", lambda host: host.set_clock("-2d")),
    "the clock is ahead": ("clock", lambda host: host.set_clock("+400d")),
    "another member's data": ("data-dir", _member_of_another_cluster),
    "too little disk": ("disk", _small_disk),
    "certificates of another cluster": (
        "leftovers",
        lambda host: host.write("/etc/kubernetes/pki/etcd/ca.crt", "other"),
    ),
    "a static Pod of something else": ("leftovers", lambda host: host.write("/etc/kubernetes/manifests/a.yaml", "{}")),
    "a drop-in that would win": ("drop-ins", _other_drop_in),
}


# Spoiled together, since a host as new costs seconds; no two of a group fail the same check.
GROUPS = (
    ("containerd is not running",),
    ("no openssl",),
    ("containerd without CRI", "the clock is behind", "the metrics port is taken", "certificates of another cluster"),
    (
        "containerd with the cgroup driver cgroupfs",
        "no etcd image",
        "the clock is ahead",
        "a static Pod of something else",
    ),
    ("no kubelet", "no kubeadm", "no pause image", "too little disk"),
)
# What a missing part takes along: nobody knows a stopped containerd's images, or a switched-off CRI's configuration.
FOLLOWS = {
    "containerd is not running": {"cri", "images", "sandbox-image", "cgroup-driver"},
    "containerd without CRI": {"cgroup-driver"},
    "no openssl": {"clock"},
}


@pytest.mark.parametrize("group", GROUPS, ids=" + ".join)
def test_what_is_wrong_is_named(group: tuple[str, ...], single: Cluster, host: Host) -> None:
    for what in group:
        SPOILED[what][1](host)
    carry(host, single.bundle(0))
    before = _tree(host)
    done = run_bundle(host, single.bundle(0), "preflight", "--json", expect=PREFLIGHT_FAILED)
    failed = {check["name"]: check for check in json.loads(done.stdout)["checks"] if check["verdict"] == "failed"}
    expected = {SPOILED[what][0] for what in group}
    assert expected <= failed.keys() <= expected.union(*(FOLLOWS.get(what, set()) for what in group))
    assert all(check["text"] and check["hint"] for check in failed.values())
    assert difference(before, _tree(host)) == []


def test_every_way_to_spoil_a_host_is_tried() -> None:
    assert {what for group in (*GROUPS, AT_ONCE) for what in group} == set(SPOILED)


def test_a_good_host_passes_every_check(single: Cluster, host: Host) -> None:
    carry(host, single.bundle(0))
    before = _tree(host)
    done = run_bundle(host, single.bundle(0), "preflight", "--json")
    assert [check for check in json.loads(done.stdout)["checks"] if check["verdict"] != "ok"] == []
    assert difference(before, _tree(host)) == []


AT_ONCE = ("swap", "the client port is taken", "another member's data", "a drop-in that would win")


def test_all_that_is_wrong_is_reported_at_once_and_nothing_changes(single: Cluster, host: Host) -> None:
    for what in AT_ONCE:
        SPOILED[what][1](host)
    carry(host, single.bundle(0))
    before = _tree(host)
    done = run_bundle(host, single.bundle(0), expect=PREFLIGHT_FAILED)
    for what in AT_ONCE:
        assert f"{SPOILED[what][0]}: " in done.stderr
    assert f"{len(AT_ONCE)} preflight checks failed; nothing was changed" in done.stderr
    assert difference(before, _tree(host)) == []


def test_a_host_without_etcdctl_crictl_and_curl_gets_a_full_verdict(single: Cluster, host: Host) -> None:
    for tool in ("etcdctl", "crictl", "curl", "wget", "python3"):
        assert host.exec(["sh", "-c", f"command -v {tool}"], check=False).returncode != 0
    run_bundle(host, single.bundle(0))
    done = host.exec(["/usr/local/sbin/bundlegen-health", "--cluster", "--json", "--wait", "60"])
    report = json.loads(done.stdout)
    assert report["exitCode"] == 0
    unsure = [check for check in report["checks"] if check["verdict"] not in ("ok",)]
    assert unsure == []


def test_ignoring_a_check_is_recorded(single: Cluster, host: Host) -> None:
    SPOILED["a static Pod of something else"][1](host)
    run_bundle(host, single.bundle(0), "install", "--ignore", "leftovers")
    (receipt,) = host.path(f"/var/lib/bundlegen/{single.name}/receipts").iterdir()
    assert json.loads(receipt.read_text())["ignored"] == ["leftovers"]


def test_a_kubeadm_of_another_minor_version_is_refused(
    make_cluster: Callable[..., Cluster], host: Host, binaries: Binaries
) -> None:
    own = versions.Version.parse(binaries.version)
    minor = own.minor - 2 if own.minor - 2 in kubernetes.MINORS else own.minor + 2
    keys = {"encryptionAlgorithm": "ECDSA-P256"}
    other = make_cluster("other-minor", addresses=["10.0.0.6"], kubernetesVersion=f"v1.{minor}.0", pki=keys)
    done = run_bundle(host, other.bundle(0), "preflight", "--json", expect=PREFLIGHT_FAILED)
    verdicts = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert verdicts["kubeadm"]["verdict"] == "failed"
    assert binaries.version in verdicts["kubeadm"]["text"]


def _tree(host: Host) -> dict[str, Any]:
    return host.snapshot(without=[STICK])
