"""What is judged after a restart is the etcd that runs then, not the one from before."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from tests.shell.payload import KUBELET_CONFIG, POD, STATE, Payload
from tests.shell.sandbox import Sandbox

SLOW = "1 1"  # seconds until kubelet notices another manifest, and until it then starts the new Pod
WHILE_IT_SETTLES = "while-it-sleeps-5"  # the installer, once it has judged etcd: does that serve still, a moment later?


@dataclass
class Member:
    """A host whose member runs, with a kubelet that takes its time from now on."""

    host: Sandbox
    pid: str
    flags: str


@pytest.fixture
def member(host: Sandbox, request: pytest.FixtureRequest) -> Member:
    assert host.install(Payload(mode=getattr(request, "param", "rendered"))).returncode == 0
    host.stub("kubelet-pace", SLOW)
    return Member(host, host.stubbed("etcd-pid"), command_line(host))


def command_line(host: Sandbox) -> str:
    pid = host.stubbed("etcd-pid").strip()
    return host.execute("/bin/cat", f"/proc/{pid}/cmdline").stdout.replace("\0", " ")


@pytest.mark.parametrize(("member", "mode"), [("rendered", "rendered"), ("kubeadm", "kubeadm")], indirect=["member"])
def test_a_new_flag_is_judged_by_the_new_etcd(member: Member, mode: str) -> None:
    done = member.host.install(Payload(mode=mode, etcd_argument="--snapshot-count=5000"))
    assert done.returncode == 0, done.stderr
    assert member.host.stubbed("etcd-pid") != member.pid
    assert "--snapshot-count=5000" in command_line(member.host)
    assert "--snapshot-count=10000" not in command_line(member.host)


def test_the_numbers_of_a_pod_go_on(member: Member) -> None:
    """kubelet throws the logs of a Pod away with it, and gives those of one that comes back the next numbers."""
    words = """
    source <(sed '$d' "$1")
    HERE=${1%/*}
    load_bundle
    folder=/var/log/pods/kube-system_etcd-infra0_back/etcd
    note_etcd
    mkdir -p "$folder"
    touch "$folder/3.log"
    SEEN=" $(each_etcd) "
    ended
    touch "$folder/4.log" "$folder/5.log"
    printf ' '
    ended
    """
    done = member.host.execute("/bin/bash", "-p", "-c", words, "judge", f"{STATE}/bundle/install.sh")
    assert done.stdout == "0 2"


@pytest.mark.parametrize(("member", "mode"), [("rendered", "rendered"), ("kubeadm", "kubeadm")], indirect=["member"])
def test_a_flag_that_etcd_refuses_is_not_a_success(member: Member, mode: str) -> None:
    """The old etcd still answers for a second: that is not the one to be judged."""
    before = member.host.tree()
    done = member.host.install(Payload(mode=mode, etcd_argument="--broken=yes"))
    assert done.returncode == 13, done.stdout
    assert "it ends again and again: flag provided but not defined: -broken" in done.stderr
    assert "Usage" not in done.stdout + done.stderr
    assert "etcd runs again as before. The cluster test is healthy" in done.stdout
    assert "rolled back: this host is as it was before" in done.stderr
    # without waiting: it serves again when the run has ended
    assert command_line(member.host) == member.flags
    assert member.host.execute("/usr/local/bin/bundlegen-health").returncode == 0
    assert member.host.tree() == before


def test_waiting_ends_as_soon_as_etcd_ends_again_and_again(member: Member) -> None:
    done = member.host.install(Payload(etcd_argument="--broken=yes"), "install", "--wait", "3000")
    assert done.returncode == 13, done.stdout
    receipt = json.loads(member.host.receipts()[-1].read_text())
    assert "flag provided but not defined: -broken" in receipt["error"]


def test_without_logs_the_processes_are_counted(member: Member) -> None:
    member.host.path("/var/log/pods").rename(member.host.path("/var/log/elsewhere"))
    member.host.write("/var/log/pods", "in the way of every log\n")
    done = member.host.install(Payload(etcd_argument="--broken=later"), "install", "--wait", "3000")
    assert done.returncode == 13, done.stdout
    assert "it ends again and again: it left no message" in done.stderr


def test_an_etcd_that_does_not_come_back_is_said(host: Sandbox) -> None:
    """Undoing restores files at once; whether etcd serves again is another matter."""
    assert host.install(Payload()).returncode == 0
    host.stub("breaks-for-ever", "")
    done = host.install(Payload(etcd_argument="--broken=yes"))
    assert done.returncode == 13
    assert "AND ETCD DOES NOT SERVE AGAIN: it ends again and again" in done.stderr
    assert "Change no other host before this one is healthy" in done.stderr
    assert "as it was before" not in done.stdout + done.stderr


def test_a_rollback_waits_for_the_earlier_etcd(member: Member) -> None:
    before = member.host.tree()
    folder = member.host.unpack(Payload(etcd_argument="--snapshot-count=5000"))
    assert member.host.run(folder, "install").returncode == 0
    done = member.host.run(folder, "rollback")
    assert done.returncode == 0, done.stderr
    assert "etcd runs again as before" in done.stdout
    assert command_line(member.host) == member.flags
    assert member.host.tree() == before


def test_a_rollback_whose_etcd_does_not_come_back(host: Sandbox) -> None:
    assert host.install(Payload()).returncode == 0
    folder = host.unpack(Payload(etcd_argument="--snapshot-count=5000"))
    assert host.run(folder, "install").returncode == 0
    host.stub("breaks-for-ever", "")
    host.stub("etcd-mode", "broken")
    done = host.run(folder, "rollback")
    assert done.returncode == 14
    assert "etcd does not serve again: it ends again and again: stand-in: broken on purpose" in done.stderr
    assert "as it was before" not in done.stdout
    assert b"10000" in host.path(POD).read_bytes()
    receipt = json.loads(host.receipts()[-1].read_text())
    assert (receipt["outcome"], receipt["exitCode"]) == ("rolled-back", 14)


def test_a_rollback_of_another_ca_restarts_etcd_again(host: Sandbox) -> None:
    assert host.install(Payload()).returncode == 0
    folder = host.unpack(Payload(ca="two"))
    assert host.run(folder, "install").returncode == 0
    pid = host.stubbed("etcd-pid")
    done = host.run(folder, "rollback")
    assert done.returncode == 0, done.stderr
    assert "etcd runs again as before" in done.stdout
    assert host.stubbed("etcd-pid") != pid


def test_an_etcd_that_serves_for_a_moment_only(host: Sandbox) -> None:
    assert host.install(Payload()).returncode == 0
    host.stub(WHILE_IT_SETTLES, "kill -9 $(< /var/stub/etcd-pid)")
    done = host.install(Payload(etcd_argument="--snapshot-count=5000"))
    assert done.returncode == 13, done.stdout
    assert "it served for a moment, and then ended" in done.stderr


def test_a_kubelet_that_is_restarted_leaves_etcd_alone(member: Member) -> None:
    payload = Payload()
    payload.files[KUBELET_CONFIG] = ("0644", b"kind: KubeletConfiguration\nmaxPods: 10\n")
    done = member.host.install(payload)
    assert done.returncode == 0, done.stderr
    assert "restarted kubelet" in done.stdout
    assert member.host.stubbed("etcd-pid") == member.pid


@pytest.mark.parametrize("when", ["0.5", "1.5", "settling"])
def test_a_killed_run_is_gone_on_with(member: Member, when: str) -> None:
    """Before and after kubelet has noticed: the next run judges the right etcd, whichever runs by then."""
    folder = member.host.unpack(Payload(etcd_argument="--snapshot-count=5000"))
    words = f"/bin/bash -p {folder}/install.sh & "
    if when == "settling":
        member.host.stub(WHILE_IT_SETTLES, 'kill -9 "$PPID"')
        words += "wait"
    else:
        words += f"until grep -q 5000 {POD}; do sleep 0.05; done; sleep {when}; kill -9 $!"
    member.host.execute("/bin/bash", "-c", words)
    assert member.host.path(f"{STATE}/transaction").exists()
    done = member.host.run(folder, "install", "--wait", "60")
    assert done.returncode == 0, done.stderr
    assert "--snapshot-count=5000" in command_line(member.host)
    assert not member.host.path(f"{STATE}/transaction").exists()
