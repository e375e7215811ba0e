"""Each preflight check: a host on which it alone objects, and what it then says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.shell.payload import DAY, DROP_IN, KUBELET_CONFIG, PKI, POD, STATE, Payload
from tests.shell.sandbox import Sandbox

DROP_INS = DROP_IN.rsplit("/", 1)[0]


Arrange = Callable[[Sandbox, Payload], None]


@dataclass(frozen=True)
class Case:
    check: str
    says: str
    """In its text or in what it advises."""
    arrange: Arrange
    verdict: str = "failed"
    mode: str = "rendered"


def _stub(name: str, text: str) -> Arrange:
    return lambda host, payload: host.stub(name, text)


def _without(name: str) -> Arrange:
    return lambda host, payload: host.path(f"/var/stub/bin/{name}").unlink()


def _file(path: str, text: str = "x\n") -> Arrange:
    def arrange(host: Sandbox, payload: Payload) -> None:
        host.write(path, text)

    return arrange


def _conf(**values: str) -> Arrange:
    return lambda host, payload: payload.conf.update(values)


def _containerd(old: str, new: str) -> Arrange:
    def arrange(host: Sandbox, payload: Payload) -> None:
        file = host.path("/etc/containerd/config.toml")
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    return arrange


def _clock(seconds: int) -> Arrange:
    """A host whose clock is off by this much."""

    def arrange(host: Sandbox, payload: Payload) -> None:
        # as seen from that clock, all dates of the bundle are off the other way
        for key in ("ISSUED_AT", "NOT_BEFORE", "NOT_AFTER"):
            payload.conf[key] = str(int(payload.conf[key]) - seconds)

    return arrange


def _swap(host: Sandbox, payload: Payload) -> None:
    host.stub("swaps", "Filename Type Size Used Priority\n/dev/zram0 partition 1 0 100\n")


def _no_socket(host: Sandbox, payload: Payload) -> None:
    host.path("/run/containerd/containerd.sock").unlink()


def _busy_port(host: Sandbox, payload: Payload) -> None:
    listen = "import socket, time; s = socket.create_server(('10.0.0.6', 2380)); time.sleep(600)"
    host.spawn("python3", "-c", listen)
    host.until(lambda: "0600000A:094C" in host.execute("/bin/cat", "/proc/net/tcp").stdout)


def _small_disk(host: Sandbox, payload: Payload) -> None:
    host.execute("/bin/mount", "-o", "remount,size=100m", "/var")


def _data_folder(mode: int, *names: str) -> Arrange:
    def arrange(host: Sandbox, payload: Payload) -> None:
        for name in ("lost+found/x", *names):
            host.write(f"/var/lib/etcd/{name}", "x")
        host.path("/var/lib/etcd").chmod(mode)

    return arrange


def _no_systemd(host: Sandbox, payload: Payload) -> None:
    host.path("/run/systemd/system").rmdir()


def _no_sort(host: Sandbox, payload: Payload) -> None:
    host.execute("/bin/mount", "--bind", "/dev/null", "/usr/bin/sort")


def _old_kubelet(host: Sandbox, payload: Payload) -> None:
    host.stub("kubelet-version", "Kubernetes v1.26.3")
    payload.conf["KUBERNETES_VERSION"] = "v1.26.3"


def _selinux(host: Sandbox, payload: Payload) -> None:
    host.write("/sys/fs/selinux/enforce", "1")


def _cgroup_v1(host: Sandbox, payload: Payload) -> None:
    host.stub("kubelet-version", "Kubernetes v1.35.0")
    payload.conf |= {"KUBERNETES_VERSION": "v1.35.0", "KUBELET_FAIL_CGROUP_V1": "true"}


def _interrupted(host: Sandbox, payload: Payload) -> None:
    host.write(f"{STATE}/transaction/journal", f"begin install {'0' * 64} 1\n")


def _silent_peer(host: Sandbox, payload: Payload) -> None:
    payload.conf |= {"MEMBERS": "infra0=10.0.0.6 infra1=10.9.0.7"}


_FOREIGN = _data_folder(0o700, "notes", "b c", ".hidden")
SWITCH_OFF = 'disabled_plugins = ["cri"]'
CASES = [
    Case("tools", "these programs are missing: ", _no_sort),
    Case("architecture", "the images in the bundle are for z80", _conf(ARCHITECTURE="z80")),
    Case("systemd", "systemd does not run this machine", _no_systemd),
    Case("hostname", "this host is called infra0, the bundle is for other", lambda h, p: None, "warning"),
    Case("kubelet", "there is no /opt/kubelet", _conf(KUBELET_BINARY="/opt/kubelet")),
    Case("kubelet", "systemd knows no kubelet.service", _stub("load", "not-found")),
    Case("kubelet", "instead of a version", _stub("kubelet-version", "segmentation fault")),
    Case(
        "kubelet",
        "kubelet is v1.30.2, the bundle was made for v1.31.4",
        _stub("kubelet-version", "Kubernetes v1.30.2"),
        "warning",
    ),
    Case("kubelet-flags", "the runtime can be named in the configuration file only since 1.27", _old_kubelet),
    Case("kubeadm", "kubeadm is not installed", _without("kubeadm"), mode="kubeadm"),
    Case(
        "kubeadm",
        "kubeadm is v1.33.0 and cannot be used for v1.31.4",
        _stub("kubeadm-version", "v1.33.0"),
        mode="kubeadm",
    ),
    Case(
        "kubeadm",
        "kubeadm is v1.30.9 and cannot be used for v1.31.4",
        _stub("kubeadm-version", "v1.30.9"),
        mode="kubeadm",
    ),
    Case(
        "kubeadm",
        'does not accept /etc/kubernetes/kubeadmcfg.yaml: unknown field "x"',
        _stub("fail-validate", ""),
        mode="kubeadm",
    ),
    Case("runtime", "socket /run/containerd/containerd.sock is not there", _no_socket),
    Case("cri", "containerd's configuration disables CRI", _containerd("disabled_plugins = []", SWITCH_OFF)),
    Case(
        "cri",
        "disables CRI",
        _containerd("disabled_plugins = []", "disabled_plugins = [\n  'io.containerd.grpc.v1.cri',\n]"),
    ),
    Case(
        "cri",
        "kubelet needs since 1.26, and this one is 1.4.13",
        _stub("containerd-version", "1.4.13~ds1 1.4.13~ds1-1"),
    ),
    Case(
        "cgroup-driver",
        "uses the cgroup driver cgroupfs, kubelet would use systemd",
        _containerd("SystemdCgroup = true", "SystemdCgroup = false"),
    ),
    Case("cgroup-driver", "uses the cgroup driver cgroupfs", _containerd("SystemdCgroup = true", "")),
    Case(
        "cgroup-driver", "uses the cgroup driver systemd, kubelet would use cgroupfs", _conf(CGROUP_DRIVER="cgroupfs")
    ),
    Case("cgroup-version", "kubelet 1.35 refuses to start there", _cgroup_v1),
    Case("swap", "swap is on: /dev/zram0", _swap),
    Case("ports", "these ports are in use: 2380 by python", _busy_port),
    Case("clock", "the clock is behind", _clock(-3 * DAY)),
    Case("clock", "the clock is ahead", _clock(730 * DAY)),
    Case("clock", "behind the one that made the bundle", _clock(-DAY - 7200), "warning"),
    Case("images", "does not have registry.k8s.io/etcd:3.5.15-0", _stub("images", "registry.k8s.io/pause:3.10\n")),
    Case(
        "sandbox-image",
        "does not have registry.k8s.io/pause:3.9, which the runtime needs",
        _containerd("pause:3.10", "pause:3.9"),
    ),
    Case("disk", "too little disk space for /var/lib/etcd", _small_disk),
    Case("data-dir", "holds the data of another etcd member", _file("/var/lib/etcd/member/snap/db")),
    Case("data-dir", "/var/lib/etcd is not a folder", _file("/var/lib/etcd")),
    Case("data-dir", "/var/lib/etcd has the mode 0755", _data_folder(0o755), "warning"),
    Case("data-dir", "holds files of something else: b\\ c notes .hidden", _FOREIGN, "warning"),
    Case("disk", "may grow by 8192 MiB", _conf(QUOTA_BYTES=str(8 * 1024**3)), "warning"),
    Case("leftovers", f"{PKI}/etcd/ca.crt is not of this cluster", _file(f"{PKI}/etcd/ca.crt")),
    Case("leftovers", "is there already", _file(POD)),
    Case(
        "leftovers",
        "/etc/kubernetes/manifests/kube-apiserver.yaml is a static Pod of something else",
        _file("/etc/kubernetes/manifests/kube-apiserver.yaml"),
    ),
    Case("leftovers", "this host belongs to a Kubernetes cluster", _file("/etc/kubernetes/kubelet.conf")),
    Case(
        "drop-ins",
        f"would override ours: {DROP_INS}/99-local.conf",
        _file(f"{DROP_INS}/99-local.conf", "[Service]\nExecStart=/bin/true\n"),
    ),
    Case("unfinished", "a run of another bundle, of create, was interrupted here", _interrupted),
    Case("selinux", "SELinux is enforcing", _selinux, "warning"),
    Case("peers", "no answer from: infra1 (10.9.0.7:2380)", _silent_peer, "warning"),
]


def _payload(case: Case) -> Payload:
    if case.check == "hostname":
        return Payload(host="other", members={"other": "10.0.0.6"})
    return Payload(mode=case.mode)


def _unhappy(host: Sandbox, payload: Payload) -> tuple[int, list[dict[str, str]]]:
    done = host.install(payload, "preflight", "--json")
    report = json.loads(done.stdout)
    assert report["exitCode"] == done.returncode
    return done.returncode, [check for check in report["checks"] if check["verdict"] != "ok"]


@pytest.fixture(autouse=True)
def roomy(host: Sandbox) -> None:
    """Room enough that the disk check has not even a warning."""
    host.execute("/bin/mount", "-o", "remount,size=3g", "/var")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.check}: {case.says[:40]}")
def test_only_this_check_objects(host: Sandbox, case: Case) -> None:
    payload = _payload(case)
    case.arrange(host, payload)
    before = host.tree(times=True)
    code, unhappy = _unhappy(host, payload)
    assert [(check["name"], check["verdict"]) for check in unhappy] == [(case.check, case.verdict)], unhappy
    assert case.says in unhappy[0]["text"] + unhappy[0]["hint"]
    assert unhappy[0]["hint"]
    assert code == (11 if case.verdict == "failed" else 0)
    assert host.tree(times=True) == before


def test_every_check_has_a_case(host: Sandbox) -> None:
    done = host.install(Payload(mode="kubeadm"), "preflight", "--json")
    names = {check["name"] for check in json.loads(done.stdout)["checks"]}
    # in this file below, test_agree.py, test_history.py, test_quorum.py and test_runtime.py
    elsewhere = {"root", "destinations", "newcomer", "history", "quorum", "kubelet-files", "openssl"}
    assert names - {case.check for case in CASES} == elsewhere
    assert len(names) == 30


@pytest.mark.parametrize("mode", ["kubeadm", "rendered"])
def test_a_good_host_has_nothing_to_say(host: Sandbox, mode: str) -> None:
    assert _unhappy(host, Payload(mode=mode)) == (0, [])


def test_not_root(host: Sandbox) -> None:
    folder = host.unpack(Payload())
    host.execute("/bin/chown", "-R", "nobody", folder)
    as_nobody = ("/usr/bin/setpriv", "--reuid=nobody", "--clear-groups", "/bin/bash", "-p", f"{folder}/install.sh")
    done = host.execute(*as_nobody, "preflight", "--json")
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["root"]["verdict"] == "failed"
    assert "sudo" in checks["root"]["hint"]
    done = host.execute(*as_nobody)
    assert done.returncode == 11
    assert "not running as root" in done.stderr


def test_all_failures_are_reported_at_once(host: Sandbox) -> None:
    payload = Payload()
    _swap(host, payload)
    _small_disk(host, payload)
    _busy_port(host, payload)
    before = host.tree(times=True)
    done = host.install(payload)
    assert done.returncode == 11
    assert [word for word in ("swap", "disk", "ports") if f"error: {word}:" not in done.stderr] == []
    assert "3 preflight checks failed; nothing was changed" in done.stderr
    assert host.tree(times=True) == before


def test_ignored_checks_warn_and_are_in_the_receipt(host: Sandbox) -> None:
    payload = Payload()
    _swap(host, payload)
    done = host.install(payload, "install", "--ignore", "swap")
    assert done.returncode == 0
    assert "warning: swap: swap is on" in done.stderr
    receipt = json.loads(host.receipts()[-1].read_text())
    assert receipt["ignored"] == ["swap"]
    assert [check["verdict"] for check in receipt["checks"] if check["name"] == "swap"] == ["warning"]


@pytest.mark.parametrize(
    ("name", "says"), [("data-dir", "cannot be ignored"), ("nonsense", "knows no check"), ("host", "knows no check")]
)
def test_what_cannot_be_ignored(host: Sandbox, name: str, says: str) -> None:
    done = host.install(Payload(), "install", "--ignore", name)
    assert done.returncode == 2
    assert says in done.stderr


@pytest.mark.parametrize("days", [-3, 730])
def test_a_wrong_clock_stops_the_install(host: Sandbox, days: int) -> None:
    payload = Payload()
    _clock(days * DAY)(host, payload)
    before = host.tree(times=True)
    done = host.install(payload)
    assert done.returncode == 11
    assert "clock" in done.stderr
    assert host.tree(times=True) == before


def test_clock_behind_the_issue_by_a_day(host: Sandbox) -> None:
    """As a real bundle is: issued just now, back-dated by five minutes."""
    payload = Payload()
    now = int(time.time())
    payload.conf |= {"ISSUED_AT": str(now - 60), "NOT_BEFORE": str(now - 360)}
    _clock(-DAY)(host, payload)
    done = host.install(payload)
    assert done.returncode == 11
    assert "error: clock: this host's clock says" in done.stderr


def test_data_of_another_cluster_is_untouched(host: Sandbox) -> None:
    host.write("/var/lib/etcd/member/snap/db", "precious")
    before = host.tree(times=True)
    done = host.install(Payload())
    assert done.returncode == 11
    assert "holds the data of another etcd member" in done.stderr
    assert host.tree(times=True) == before


@pytest.mark.parametrize(
    ("ctr", "why"),
    [
        ('#!/bin/bash\n[[ " $* " != *" images "* ]]\n', "it does not say which images it has"),
        ("", "there is neither crictl nor ctr"),
    ],
)
def test_images_that_nobody_can_tell_of(host: Sandbox, ctr: str, why: str) -> None:
    place = "/run/containerd/containerd.sock"
    listen = f"import socket, time; s = socket.socket(socket.AF_UNIX); s.bind('{place}'); s.listen(); time.sleep(600)"
    host.path(place).unlink()
    host.spawn("containerd", "-c", listen)
    host.until(lambda: place in host.execute("/bin/cat", "/proc/net/unix").stdout)
    host.path("/var/stub/bin/ctr").unlink()
    if ctr:
        host.write("/var/stub/bin/ctr", ctr).chmod(0o755)
    code, unhappy = _unhappy(host, Payload())
    assert code == 0
    assert [(check["name"], check["verdict"]) for check in unhappy] == [
        ("images", "warning"),
        ("sandbox-image", "warning"),
    ]
    assert all(why in check["text"] for check in unhappy), unhappy


def test_images_in_the_bundle_will_do(host: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> None:
    host.stub("images", "registry.k8s.io/pause:3.10\n")
    payload = Payload()
    payload.add_image("images/etcd.tar", "registry.k8s.io/etcd:3.5.15-0")
    assert _unhappy(host, payload) == (0, [])


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("mirror/etcd:3.5.15-0", "docker.io/mirror/etcd:3.5.15-0"),
        ("docker.io/etcd:3.5.15-0", "docker.io/library/etcd:3.5.15-0"),
        ("localhost/etcd:3.5.15-0", "localhost/etcd:3.5.15-0"),
    ],
)
def test_images_without_a_registry_are_known_by_the_name_that_runtimes_keep(
    host: Sandbox, asked: str, kept: str
) -> None:
    made = Payload()
    made.conf.update(ETCD_IMAGE=asked, ETCD_IMAGE_EXACT="yes")
    host.stub("images", f"registry.k8s.io/pause:3.10\n{kept}\n")
    assert f"{asked} is in the runtime" in host.install(made, "preflight").stdout
    host.stub("images", "registry.k8s.io/pause:3.10\n")
    made.add_image("images/etcd.tar", kept)
    assert f"{asked} comes with this bundle" in host.install(made, "preflight").stdout


def test_kubelet_configuration_in_the_drop_in_folder_is_no_rival(host: Sandbox) -> None:
    host.write(KUBELET_CONFIG, "kind: KubeletConfiguration\nExecStart=: no\n")
    assert _unhappy(host, Payload())[1] == []
