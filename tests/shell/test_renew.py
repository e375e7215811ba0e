"""Keys and certificates are replaced under an etcd that runs on, and it is proven that it shows the new ones."""

from __future__ import annotations

import json

import pytest
from cryptography import x509

from tests.shell.changes import THREE, as_version_0_1_left_it, configure, renew
from tests.shell.payload import PKI, POD, STATE, Payload
from tests.shell.sandbox import Sandbox, Tree

PAIRS = ("etcd/server", "etcd/peer", "etcd/healthcheck-client", "apiserver-etcd-client")
PROOF = "etcd shows the new certificates on ports 2379 and 2380, and accepts them"


def serial(pem: bytes) -> int:
    return x509.load_pem_x509_certificate(pem).serial_number


def in_bytes(number: int) -> str:
    """As openssl writes serial numbers: byte by byte."""
    return number.to_bytes((number.bit_length() + 7) // 8).hex().upper()


def shown(host: Sandbox, port: int) -> int:
    """The serial number of what is shown on this port."""
    words = f"openssl s_client -connect 10.0.0.6:{port} -cert {PKI}/etcd/peer.crt -key {PKI}/etcd/peer.key </dev/null"
    done = host.execute("/bin/bash", "-c", f"{words} 2>/dev/null | openssl x509")
    return serial(done.stdout.encode())


def on_disk(host: Sandbox, base: str) -> int:
    return serial(host.path(f"{PKI}/{base}.crt").read_bytes())


def others(host: Sandbox) -> Tree:
    """Everything but the pairs, the folders that they are in, and what is ours."""
    folders = {"etc/kubernetes/pki", "etc/kubernetes/pki/etcd", "var/lib/bundlegen"}
    kept = tuple(f"{PKI}/{base}".lstrip("/") for base in PAIRS)
    found = host.tree(times=True).items()
    return {
        path: facts for path, facts in found if path not in folders and not path.startswith((*kept, STATE.lstrip("/")))
    }


def refused(host: Sandbox, payload: Payload, *arguments: str) -> str:
    """Nothing is touched; what is said."""
    folder = host.unpack(payload)
    before, pid = host.tree(times=True, receipts=True), host.stubbed("etcd-pid")
    done = host.run(folder, "install", *arguments)
    assert done.returncode == 11, done.stdout + done.stderr
    assert host.tree(times=True, receipts=True) == before
    assert host.stubbed("etcd-pid") == pid
    return done.stderr


@pytest.fixture
def member(host: Sandbox) -> Sandbox:
    assert host.install(Payload()).returncode == 0
    return host


@pytest.fixture
def three(host: Sandbox) -> Sandbox:
    for name, address in list(THREE.items())[1:]:
        host.neighbour(name, address)
    assert host.install(Payload(members=THREE)).returncode == 0
    return host


def expire(host: Sandbox, *names: str) -> None:
    """These members' certificates have expired, and were made again by nobody."""
    for name in names:
        certificate, key = Payload(host=name, members=THREE, days=-1).files[f"{PKI}/etcd/server.crt"][1], None
        key = Payload(host=name, members=THREE, days=-1).files[f"{PKI}/etcd/server.key"][1]
        folder = "/etc/kubernetes/pki/etcd" if name == host.name else f"/var/stub/{name}"
        host.path(f"{folder}/server.crt").write_bytes(certificate)
        host.path(f"{folder}/server.key").write_bytes(key)


@pytest.mark.parametrize("mode", ["rendered", "kubeadm"])
def test_new_pairs_under_an_etcd_that_runs_on(host: Sandbox, mode: str) -> None:
    assert host.install(Payload(mode=mode)).returncode == 0
    before, pid, kubelet = others(host), host.stubbed("etcd-pid"), host.stubbed("kubelet-pid")
    old = {base: on_disk(host, base) for base in PAIRS}
    folder = host.unpack(renew(mode=mode))
    done = host.run(folder, "install")
    assert done.returncode == 0, done.stdout + done.stderr
    assert PROOF in done.stdout
    assert "The cluster test is healthy: all 1 members answer." in done.stdout
    assert "makes up for" not in done.stdout
    assert others(host) == before
    assert (host.stubbed("etcd-pid"), host.stubbed("kubelet-pid")) == (pid, kubelet)
    assert all(on_disk(host, base) != old[base] for base in PAIRS)
    assert (shown(host, 2379), shown(host, 2380)) == (on_disk(host, "etcd/server"), on_disk(host, "etcd/peer"))
    assert "CHANGE='2-renew'" in host.path(f"{STATE}/bundle/bundle.conf").read_text()
    receipt = json.loads(host.receipts()[-1].read_text())
    assert {each["path"].removeprefix(f"{PKI}/") for each in receipt["changed"] if each["path"].startswith(PKI)} == {
        f"{base}.{end}" for base in PAIRS for end in ("crt", "key")
    }
    assert host.execute("/usr/local/bin/bundlegen-health").returncode == 0
    again = host.tree(times=True, receipts=True)
    done = host.run(folder, "install")
    assert (done.returncode, "Already installed; nothing changed." in done.stdout) == (0, True)
    assert host.tree(times=True, receipts=True) == again


def test_the_way_back(member: Sandbox) -> None:
    before, pid = member.tree(), member.stubbed("etcd-pid")
    folder = member.unpack(renew())
    assert member.run(folder, "install").returncode == 0
    done = member.run(folder, "rollback")
    assert (done.returncode, done.stderr) == (0, "")
    assert member.tree() == before
    assert member.stubbed("etcd-pid") == pid
    assert shown(member, 2379) == on_disk(member, "etcd/server")


def test_what_comes_back_and_has_expired_is_said(host: Sandbox) -> None:
    assert host.install(Payload()).returncode == 0
    expire(host, "infra0")
    folder = host.unpack(renew())
    assert host.run(folder, "install", "--ignore", "leftovers").returncode == 0
    done = host.run(folder, "rollback")
    assert done.returncode == 0
    assert f"these certificates come back, and have expired: {PKI}/etcd/server.crt (" in done.stderr
    assert "No new connection to this member will succeed." in done.stderr


def test_an_etcd_that_goes_on_showing_the_old_ones(member: Sandbox) -> None:
    member.stub("stale", "")
    before = member.tree()
    done = member.install(renew())
    assert done.returncode == 13, done.stdout + done.stderr
    old, new = (in_bytes(serial(made.files[f"{PKI}/etcd/peer.crt"][1])) for made in (Payload(), renew()))
    said = f"etcd does not use the new certificates: on port 2380 it shows serial {old}, and not {new}"
    assert said in done.stderr
    assert "rolled back: this host is as it was before" in done.stderr
    assert member.tree() == before


def test_another_ca(member: Sandbox) -> None:
    said = refused(member, renew(ca="two"))
    assert f"ca: {PKI}/etcd/ca.crt is another CA than this bundle's" in said
    done = member.install(renew(ca="two"), "--ignore", "ca")
    assert done.returncode == 2


def test_nothing_to_be_renewed(host: Sandbox) -> None:
    said = refused(host, renew())
    assert "history: create must run on this host before 2-renew, and no change is installed here" in said
    assert "ca: /etc/kubernetes/pki/etcd/ca.crt is missing" in said


def test_older_and_newer(member: Sandbox) -> None:
    assert member.install(renew("3-renew")).returncode == 0
    assert "this bundle is of 2-renew, and the newer 3-renew is installed here" in refused(member, renew())
    # what it skipped it makes up for
    done = member.install(renew("5-renew", after="4-renew"))
    assert done.returncode == 0, done.stderr
    assert "4-renew did not run here; this run makes up for it." in done.stdout


def test_a_skipped_change_of_another_kind_comes_first(member: Sandbox) -> None:
    later = renew("3-renew", after="2-configure", etcd_argument="--snapshot-count=2000")
    said = refused(member, later)
    assert "configuration: a change before this one did not run here (the last one is 2-configure)" in said
    assert f":{' ' + POD}" in said
    pid, pod = member.stubbed("etcd-pid"), member.path(POD).read_bytes()
    done = member.install(later, "--ignore", "configuration")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "makes up for" not in done.stdout
    assert (member.stubbed("etcd-pid"), member.path(POD).read_bytes()) == (pid, pod)
    assert shown(member, 2379) == on_disk(member, "etcd/server")
    done = member.install(configure("4-configure", after="3-renew", issue=3))
    assert done.returncode == 0, done.stdout + done.stderr
    assert b"--snapshot-count=4000" in member.path(POD).read_bytes()


def test_what_was_edited_on_the_host_is_left(member: Sandbox) -> None:
    path = "/etc/systemd/system/kubelet.service.d/kubelet.conf"
    member.path(path).write_text("kind: KubeletConfiguration\nmaxPods: 7\n")
    folder = member.unpack(renew())
    done = member.run(folder, "install")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"these files are not as this bundle has them, and are left as they are: {path}" in done.stderr
    assert "maxPods: 7" in member.path(path).read_text()
    assert "Already installed" in member.run(folder, "install").stdout


def test_a_host_of_version_0_1(host: Sandbox) -> None:
    assert host.install(Payload(mode="kubeadm")).returncode == 0
    as_version_0_1_left_it(host)
    before, pid = others(host), host.stubbed("etcd-pid")
    folder = host.unpack(renew(mode="kubeadm"))
    done = host.run(folder, "install")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (others(host), host.stubbed("etcd-pid")) == (before, pid)
    assert shown(host, 2380) == on_disk(host, "etcd/peer")
    assert "Already installed" in host.run(folder, "install").stdout


def test_what_it_would_change(member: Sandbox) -> None:
    done = member.install(renew(), "plan")
    assert done.returncode == 0
    assert done.stdout.count("replace  ") == 8
    assert done.stdout.count("; no restart") == 8, done.stdout
    assert "8 changes in all. Nothing has been changed now." in done.stdout


def test_a_clock_that_is_behind(member: Sandbox) -> None:
    ahead = renew(conf={"NOT_BEFORE": "4000000000", "NOT_AFTER": "4100000000"})
    assert "clock: this host's clock says" in refused(member, ahead)


def test_the_first_hosts_after_everything_expired_wait(three: Sandbox) -> None:
    """No leader; the others run and show certificates that have expired: one of three is no quorum, two are."""
    for name in ("etcd-mode", "infra1/mode", "infra2/mode"):
        three.stub(name, "mute" if name == "etcd-mode" else "waiting")
    expire(three, "infra0", "infra1", "infra2")
    pid = three.stubbed("etcd-pid")
    folder = three.unpack(renew(members=THREE))
    done = three.run(folder, "install", "--ignore", "leftovers")
    assert done.returncode == 0, done.stdout + done.stderr
    said = (
        "1 of 3 members run with valid certificates so far; etcd serves when 2 do. "
        "The certificates of infra1 (10.0.0.7) have expired: run its newest bundle there next"
    )
    assert said in done.stdout
    assert three.stubbed("etcd-pid") == pid
    again = three.run(folder, "install")
    assert (again.returncode, said in again.stdout, "nothing changed" in again.stdout) == (0, True, True)
    # with a second one renewed, there must be a leader
    certificate, key = Payload(host="infra1", members=THREE), "/var/stub/infra1/server"
    three.path(f"{key}.crt").write_bytes(certificate.files[f"{PKI}/etcd/server.crt"][1])
    three.path(f"{key}.key").write_bytes(certificate.files[f"{PKI}/etcd/server.key"][1])
    assert three.run(folder, "install", "--wait", "3").returncode == 14
    three.stub("etcd-mode", "healthy")
    three.stub("infra1/mode", "healthy")
    done = three.run(folder, "install")
    assert done.returncode == 0
    assert "This member is healthy; 2 of 3 members answer so far. The certificates of infra2 (10.0.0.8)" in done.stdout


def test_a_member_that_is_unwell_for_another_reason_is_renewed(member: Sandbox) -> None:
    member.stub("etcd-mode", "alarm")
    done = member.install(renew(), "--wait", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "it did not serve before this run, and does not now: etcd reports: ALARM NOSPACE" in done.stderr
    assert shown(member, 2379) == on_disk(member, "etcd/server")


def test_one_that_served_and_does_not_any_more_goes_back(member: Sandbox) -> None:
    """The new client pair is of another CA, which etcd does not take: seen by asking with it."""
    before, payload = member.tree(), renew()
    stranger = Payload(ca="two", issue=9)
    for end in ("crt", "key"):
        path = f"{PKI}/etcd/healthcheck-client.{end}"
        payload.files[path] = stranger.files[path]
    done = member.install(payload, "--wait", "3")
    assert done.returncode == 13, done.stdout + done.stderr
    assert member.tree() == before
