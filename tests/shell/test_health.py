"""The health report, level by level, on a host with neither etcdctl nor crictl nor curl."""

from __future__ import annotations

import json

import pytest

from tests.shell.payload import HEALTH, KUBELET_CONFIG, PKI, Payload
from tests.shell.sandbox import Sandbox

THREE = {"infra0": "10.0.0.6", "infra1": "10.0.0.7", "infra2": "10.0.0.8"}
LEVELS = ["files", "expiry", "kubelet", "container", "data", "member", "members"]
DEPTH = ["member-list", "alarms", "leader", "database", "past", "cluster-id", "one-leader", "voters", "hash"]
BETTER_TOOLS = ("etcdctl", "crictl", "curl", "wget", "python3", "grep", "sed", "awk", "find", "ip", "ss", "ps")


def report(host: Sandbox, *arguments: str) -> tuple[int, dict, dict[str, str]]:
    done = host.execute(HEALTH, "--json", *arguments)
    assert done.stderr == ""
    document = json.loads(done.stdout)
    assert document["exitCode"] == done.returncode
    return done.returncode, document, {check["name"]: check["verdict"] for check in document["checks"]}


def metrics(host: Sandbox, *arguments: str) -> dict[str, str]:
    """What the file for node-exporter says; every line of it is a number of this host."""
    host.execute(HEALTH, "--metrics", "/srv/etcd.prom", *arguments)
    lines = host.path("/srv/etcd.prom").read_text().splitlines()
    values = [line.removeprefix("bundlegen_health_").split(" ") for line in lines if not line.startswith("#")]
    names = [name.removesuffix('{cluster="test",host="infra0"}') for name, _ in values]
    for word in ("HELP", "TYPE"):
        assert [line.split()[2] for line in lines if line.startswith(f"# {word} ")] == [
            f"bundlegen_health_{n}" for n in names
        ]
    return dict(zip(names, (value for _, value in values), strict=True))


@pytest.fixture
def member(host: Sandbox) -> Sandbox:
    """A host with a healthy cluster of one."""
    assert host.install(Payload()).returncode == 0
    return host


def test_all_is_well_without_any_better_tool(member: Sandbox) -> None:
    for name in BETTER_TOOLS:
        member.stub(f"bin/{name}", f"#!/bin/bash\necho {name} >> /var/stub/better\nexit 1\n")
        member.path(f"/var/stub/bin/{name}").chmod(0o755)
    code, document, verdicts = report(member, "--cluster")
    assert code == 0
    assert document["level"] == "cluster"
    assert document["members"] == {"infra0": "healthy"}
    assert verdicts == dict.fromkeys(LEVELS + DEPTH, "ok")
    assert member.stubbed("better") == ""


def test_it_says_what_etcd_says(member: Sandbox) -> None:
    text = member.execute(HEALTH).stdout
    assert "etcd lists 1 members, as expected" in text
    assert "the cluster has a leader (member 4d2); etcd 3.5.15" in text
    assert "the database holds 20 KiB" in text
    assert "the first certificate to expire does so in 364 days" in text


def test_waiting_is_well_enough_unless_the_cluster_is_asked_for(host: Sandbox) -> None:
    host.stub("etcd-mode", "waiting")
    assert host.install(Payload(members=THREE)).returncode == 0
    code, document, verdicts = report(host)
    assert (code, document["level"], verdicts["member"]) == (0, "waiting", "warning")
    assert document["members"]["infra1"] == "silent"
    code, document, verdicts = report(host, "--cluster")
    assert (code, document["level"], verdicts["members"]) == (14, "waiting", "failed")


def test_a_member_without_all_the_others(host: Sandbox) -> None:
    assert host.install(Payload(members=THREE)).returncode == 0
    code, document, verdicts = report(host)
    assert (code, document["level"], verdicts["members"]) == (0, "member", "warning")
    assert report(host, "--cluster")[0] == 14
    assert "1 of 3 members answer so far" in host.execute(HEALTH).stdout


def _alarm(host: Sandbox) -> None:
    host.stub("etcd-mode", "alarm")


def _stopped(host: Sandbox) -> None:
    host.execute("/usr/local/sbin/systemctl", "stop", "kubelet")
    host.execute("/bin/bash", "-c", "kill -9 $(< /var/stub/etcd-pid)")


def _open_key(host: Sandbox) -> None:
    host.path(f"{PKI}/etcd/server.key").chmod(0o644)


def _no_key(host: Sandbox) -> None:
    host.path(f"{PKI}/etcd/peer.key").unlink()


def _edited(host: Sandbox) -> None:
    host.write(KUBELET_CONFIG, "edited\n")


def _other_drop_in(host: Sandbox) -> None:
    host.stub("exec-start", "/usr/local/sbin/kubelet --config=/other")


def _other_ca(host: Sandbox) -> None:
    """The server shows a certificate that this host's CA has not signed."""
    host.write(f"{PKI}/etcd/ca.crt", Payload(ca="two").files[f"{PKI}/etcd/ca.crt"][1].decode())


@pytest.mark.parametrize(
    ("spoil", "name", "verdict", "says"),
    [
        (_alarm, "member", "failed", "etcd reports: ALARM NOSPACE"),
        (_stopped, "kubelet", "failed", "kubelet is inactive"),
        (_stopped, "container", "failed", "no etcd runs with --name=infra0"),
        (_stopped, "member", "failed", "etcd does not answer on http://127.0.0.1:2381"),
        (_open_key, "files", "failed", f"private keys that others can read: {PKI}/etcd/server.key"),
        (_no_key, "files", "failed", f"missing: {PKI}/etcd/peer.key"),
        (_edited, "files", "warning", f"changed since the install: {KUBELET_CONFIG}"),
        (_other_drop_in, "kubelet", "failed", "kubelet runs with another configuration"),
        (_other_ca, "member", "failed", "verify error"),
    ],
)
def test_what_is_wrong_is_named(member: Sandbox, spoil, name: str, verdict: str, says: str) -> None:
    spoil(member)
    code, document, verdicts = report(member)
    check = next(check for check in document["checks"] if check["name"] == name)
    assert check["verdict"] == verdict, document
    assert says in check["text"]
    assert check["hint"]
    assert code == (14 if "failed" in verdicts.values() else 0)


@pytest.mark.parametrize(("days", "verdict"), [(20, "warning"), (0.00001, "failed")])
def test_expiry(host: Sandbox, days: float, verdict: str) -> None:
    if verdict == "failed":
        # etcd would not start with it: what counts here is what the report says
        host.install(Payload(days=days), "install", "--wait", "1")
        host.install(Payload(days=days), "rollback")
        payload = Payload(days=days)
        for path, (_, data) in payload.files.items():
            host.path(path).parent.mkdir(parents=True, exist_ok=True)
            host.path(path).write_bytes(data)
        done = host.install(payload, "health", "--json")
    else:
        assert host.install(Payload(days=days)).returncode == 0
        done = host.execute(HEALTH, "--json")
    check = next(check for check in json.loads(done.stdout)["checks"] if check["name"] == "expiry")
    assert check["verdict"] == verdict
    assert "bundlegen renew SPEC" in check["hint"]


def test_it_waits_for_health(member: Sandbox) -> None:
    _stopped(member)
    assert member.execute(HEALTH, "--wait", "1").returncode == 14
    member.execute("/usr/local/sbin/systemctl", "restart", "kubelet")
    assert member.execute(HEALTH, "--wait", "30").returncode == 0


def test_help_reads_like_a_manual_page(member: Sandbox) -> None:
    done = member.execute(HEALTH, "--help")
    assert done.returncode == 0
    for heading in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "FILES"):
        assert f"\n{heading}\n" in f"\n{done.stdout}"


def test_only_root_may_ask(member: Sandbox) -> None:
    done = member.execute("/usr/bin/setpriv", "--reuid=nobody", "--clear-groups", HEALTH)
    assert done.returncode == 2
    assert "run it as root" in done.stderr


def test_the_timer_is_off_and_goes_with_an_uninstall(member: Sandbox) -> None:
    unit = member.path("/etc/systemd/system/bundlegen-health.timer")
    assert "OnCalendar=daily" in unit.read_text()
    assert "timer" not in member.stubbed("calls")
    assert member.run("/var/lib/bundlegen/test/bundle", "uninstall").returncode == 0
    assert "disable --now bundlegen-health.timer" in member.stubbed("calls")
    assert not unit.exists()


def test_metrics_say_what_the_report_says(member: Sandbox) -> None:
    member.path("/srv").mkdir(exist_ok=True)
    found = metrics(member)
    moments = {name: int(found.pop(name)) for name in ("certificate_not_after_seconds", "written_down_seconds")}
    assert 360 * 86400 < moments["certificate_not_after_seconds"] - moments["written_down_seconds"] < 366 * 86400
    assert found == {
        "member_serves": "1",
        "members_healthy": "1",
        "members": "1",
        "has_leader": "1",
        "database_bytes": "20480",
        "quota_bytes": "2147483648",
        "alarms": "0",
        "checks_failed": "0",
    }
    assert member.path("/srv/etcd.prom").stat().st_mode & 0o777 == 0o644
    _stopped(member)
    found = metrics(member)
    assert (found["member_serves"], found["members_healthy"]) == ("0", "0")
    assert int(found["checks_failed"]) > 1
    assert not {"has_leader", "database_bytes", "alarms"} & found.keys()


def test_metrics_while_it_waits(host: Sandbox) -> None:
    host.stub("etcd-mode", "waiting")
    host.path("/srv").mkdir(exist_ok=True)
    assert host.install(Payload(members=THREE)).returncode == 0
    found = metrics(host)
    assert (found["member_serves"], found["has_leader"], found["members"]) == ("0", "0", "3")


def test_metrics_appear_in_one_step_and_lead_nowhere_else(member: Sandbox) -> None:
    folder = member.path("/srv")
    folder.mkdir(exist_ok=True)
    for name in (".etcd.prom.999999999", ".etcd.prom.swp", "elsewhere"):
        (folder / name).write_text("theirs")
    (folder / "etcd.prom").symlink_to("elsewhere")
    assert metrics(member)["member_serves"] == "1"
    assert not (folder / "etcd.prom").is_symlink()
    assert (folder / "elsewhere").read_text() == "theirs"
    assert sorted(path.name for path in folder.iterdir()) == [".etcd.prom.swp", "elsewhere", "etcd.prom"]


def test_metrics_that_cannot_be_written_are_a_warning(member: Sandbox) -> None:
    code, _, verdicts = report(member, "--metrics", "/nowhere/etcd.prom")
    assert (code, verdicts["metrics"]) == (0, "warning")
    member.path("/srv/etcd.prom").mkdir(parents=True)
    assert report(member, "--metrics", "/srv/etcd.prom")[2]["metrics"] == "warning"
    assert [path.name for path in member.path("/srv").iterdir()] == ["etcd.prom"]
