"""The verbs on a host that behaves: what they do, what they leave, what they say."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.shell.payload import DROP_IN, HEALTH, KUBEADM_CONFIG, KUBELET_CONFIG, PKI, POD, STATE, Payload
from tests.shell.sandbox import Sandbox

THREE = {"infra0": "10.0.0.6", "infra1": "10.0.0.7", "infra2": "10.0.0.8"}
OUTCOMES = {"install": "installed", "rollback": "rolled-back", "uninstall": "uninstalled"}


def without_state(host: Sandbox) -> dict[str, tuple[str, ...]]:
    """The tree but for what an uninstall may leave: receipts and data moved aside."""
    return {
        path: facts
        for path, facts in host.tree().items()
        if not path.startswith(("var/lib/bundlegen", "var/lib/etcd.bundlegen-"))
    }


@pytest.mark.parametrize("mode", ["kubeadm", "rendered"])
def test_everything_is_where_it_belongs(host: Sandbox, mode: str) -> None:
    payload = Payload(mode=mode)
    done = host.install(payload)
    assert done.returncode == 0, done.stderr
    assert "The cluster test is healthy: all 1 members answer." in done.stdout
    for path, (file_mode, data) in payload.files.items():
        place = host.path(path)
        assert place.read_bytes() == data
        assert f"0{place.stat().st_mode & 0o7777:o}" == file_mode
    assert host.path(POD).stat().st_mode & 0o7777 == 0o600
    assert host.path("/var/lib/etcd").stat().st_mode & 0o7777 == 0o700
    assert host.path("/etc/kubernetes/manifests").stat().st_mode & 0o7777 == 0o700
    assert host.path(PKI).stat().st_mode & 0o7777 == 0o755
    assert host.path(STATE).stat().st_mode & 0o7777 == 0o700
    assert host.settings().split("\n")[:2] == ["enabled", "active"]


@pytest.mark.parametrize("mode", ["kubeadm", "rendered"])
def test_a_second_run_changes_nothing(host: Sandbox, mode: str) -> None:
    folder = host.unpack(Payload(mode=mode))
    assert host.run(folder).returncode == 0
    before = host.tree(times=True, receipts=True)
    calls = host.stubbed("calls")
    kubeadm = host.stubbed("kubeadm-calls").count("init phase")
    done = host.run(folder)
    assert done.returncode == 0
    receipt = str(host.receipts()[0].relative_to(host.root))
    assert f"Already installed; nothing changed. Receipt: /{receipt}" in done.stdout
    assert host.tree(times=True, receipts=True) == before
    news = host.stubbed("calls").removeprefix(calls)
    assert [call for call in news.splitlines() if call.split()[0] not in ("is-enabled", "is-active", "show")] == []
    assert host.stubbed("kubeadm-calls").count("init phase") == kubeadm


def test_a_second_run_on_a_sick_member_says_so(host: Sandbox) -> None:
    folder = host.unpack(Payload())
    assert host.run(folder).returncode == 0
    host.stub("etcd-mode", "alarm")
    before = host.tree(times=True, receipts=True)
    done = host.run(folder, "install", "--wait", "1")
    assert done.returncode == 14
    assert "nothing changed, but not healthy: etcd reports: ALARM NOSPACE" in done.stderr
    assert host.tree(times=True, receipts=True) == before


def test_waiting_for_the_others_is_success(host: Sandbox) -> None:
    host.stub("etcd-mode", "waiting")
    done = host.install(Payload(members=THREE))
    assert done.returncode == 0, done.stderr
    assert "1 of 3 members run so far; etcd starts to serve when 2 do." in done.stdout
    assert "run infra1.run on infra1 (10.0.0.7) next" in done.stdout


def test_no_leader_although_enough_run_is_a_failure(host: Sandbox) -> None:
    host.execute("/bin/ip", "address", "add", "10.0.0.7/24", "dev", "lo")
    listen = "import socket, time; s = socket.create_server(('10.0.0.7', 2380)); time.sleep(600)"
    host.spawn("python3", "-c", listen)
    host.until(lambda: "0700000A:094C" in host.execute("/bin/cat", "/proc/net/tcp").stdout)
    host.stub("etcd-mode", "waiting")
    before = host.tree()
    done = host.install(Payload(members=THREE), "install", "--wait", "3")
    assert done.returncode == 13
    assert "enough of them run" in done.stderr
    remove_receipts(host)
    assert host.tree() | moved(host) == before | moved(host)


def moved(host: Sandbox) -> dict[str, tuple[str, ...]]:
    return {path: facts for path, facts in host.tree().items() if path.startswith("var/lib/etcd.bundlegen-")}


def remove_receipts(host: Sandbox) -> None:
    assert [path.name for path in host.path(STATE).iterdir()] == ["receipts"]
    shutil.rmtree(host.path(STATE).parent)


def test_every_bundle_on_every_host(tmp_path: Path) -> None:
    done = {}
    for name, address in THREE.items():
        with Sandbox(tmp_path / name, name, address) as host:
            host.stub("etcd-mode", "waiting")
            for bundle in sorted(THREE, key=lambda one: one == name):
                before = host.tree(times=True)
                result = host.install(Payload(host=bundle, members=THREE))
                done[bundle, name] = result.returncode
                if bundle != name:
                    assert host.tree(times=True) == before
                    assert f"this is not {bundle}: no interface here has its address" in result.stderr
    wrong = [code for (bundle, name), code in done.items() if bundle != name]
    print(f"{len(done)} pairs of bundle and host, {len(wrong)} refused")
    assert wrong == [10] * 6
    assert [done[name, name] for name in THREE] == [0, 0, 0]


def test_a_pinned_machine_id(host: Sandbox) -> None:
    payload = Payload(conf={"MACHINE_ID": "f" * 32})
    before = host.tree(times=True)
    done = host.install(payload)
    assert done.returncode == 10
    assert "its machine-id is 0123456789abcdef0123456789abcdef" in done.stderr
    assert host.tree(times=True) == before
    payload.conf["MACHINE_ID"] = "0123456789abcdef0123456789abcdef"
    assert host.install(payload).returncode == 0


def test_ipv6(tmp_path: Path) -> None:
    members = {"infra0": "fd00::6"}
    with Sandbox(tmp_path / "s", "infra0", "fd00::6") as host:
        done = host.install(Payload(members=members))
        assert done.returncode == 0, done.stderr
        done = host.run(f"{STATE}/bundle", "health", "--cluster")
        assert done.returncode == 0, done.stdout
        assert "this member serves at https://[fd00::6]:2379" in done.stdout
        other = host.install(Payload(members={"infra0": "fd00::7"}))
        assert other.returncode == 10


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: (f / "files/etc/kubernetes/pki/etcd/ca.crt").write_text("x"), "ca.crt was altered"),
        (lambda f: (f / "files/etc/kubernetes/pki/etcd/ca.crt").unlink(), "ca.crt is missing"),
        (lambda f: (f / "files/etc/passwd").write_text("x"), "/etc/passwd is not in MANIFEST"),
        (lambda f: (f / ".hidden").write_text("x"), ".hidden is not in MANIFEST"),
        (lambda f: (f / "bundle.conf").unlink(), "bundle.conf is missing"),
        (lambda f: (f / "MANIFEST").unlink(), "MANIFEST is missing"),
        (lambda f: append(f / "bundle.conf", "X='$(touch /etc/pwned)'; rm -rf /\n"), "is not KEY='value'"),
        (lambda f: append(f / "bundle.conf", "X=$(touch /etc/pwned)\n"), "is not KEY='value'"),
        (lambda f: append(f / "bundle.conf", "HOST='twice'\n"), "names HOST twice"),
        (lambda f: append(f / "bundle.conf", "Z='1'\n"), "bundle.conf was altered"),
        (lambda f: append(f / "MANIFEST", "0600 root:root x /etc/x\n"), "cannot be understood"),
        (lambda f: append(f / "MANIFEST", f"0600 root:root {'0' * 64} /etc/../x\n"), "not a plain path"),
        (lambda f: append(f / "MANIFEST", f"0600 root:root {'0' * 64} /etc/x\n"), "/etc/x is missing"),
    ],
    ids=range(13),
)
def test_a_damaged_bundle(host: Sandbox, spoil, says: str) -> None:
    folder = host.unpack(Payload())
    spoil(host.path(folder))
    before = host.tree(times=True)
    done = host.run(folder)
    assert done.returncode == 12, done.stderr
    assert says in done.stderr
    assert "Nothing was changed" in done.stderr
    assert host.tree(times=True) == before


def append(file: Path, text: str) -> None:
    with file.open("a") as stream:
        stream.write(text)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("FORMAT", "2"),
        ("DATA_DIR", "/"),
        ("DATA_DIR", "/var/lib/../.."),
        ("CLIENT_PORT", "2379;id"),
        ("MEMBERS", "x=1"),
        ("SEALED", "yes"),
    ],
)
def test_a_bundle_that_cannot_be(host: Sandbox, key: str, value: str) -> None:
    before = host.tree(times=True)
    done = host.install(Payload(conf={key: value}))
    assert done.returncode == 12, done.stderr
    assert host.tree(times=True) == before


def test_failed_health_brings_back_the_earlier_install(host: Sandbox) -> None:
    assert host.install(Payload()).returncode == 0
    before = host.tree()
    settings = host.settings()
    worse = Payload(etcd_argument="--broken=yes")
    worse.files[KUBELET_CONFIG] = ("0644", b"kind: KubeletConfiguration\nmaxPods: 1\n")
    done = host.install(worse, "install", "--wait", "4")
    assert done.returncode == 13, done.stdout
    assert "the install failed and was rolled back" in done.stderr
    assert host.tree() == before
    assert host.settings() == settings
    host.until(lambda: host.execute(HEALTH).returncode == 0)
    receipt = json.loads(host.receipts()[-1].read_text())
    assert (receipt["exitCode"], receipt["outcome"]) == (13, "rolled-back")


def test_an_update_and_back(host: Sandbox) -> None:
    assert host.install(Payload()).returncode == 0
    before = host.tree()
    newer = Payload(etcd_argument="--snapshot-count=5000")
    done = host.install(newer)
    assert done.returncode == 0, done.stderr
    assert b"5000" in host.path(POD).read_bytes()
    assert host.path("/var/lib/etcd/member").is_dir()
    assert host.run(f"{STATE}/bundle", "rollback").returncode == 0
    assert host.tree() == before
    assert host.path("/var/lib/etcd/member").is_dir()


def test_kubeadm_that_forgets_a_member(host: Sandbox) -> None:
    host.stub("forget---initial-cluster", "")
    before = host.tree()
    done = host.install(Payload(mode="kubeadm"))
    assert done.returncode == 13
    assert "the static Pod manifest lacks infra0=https://10.0.0.6:2380" in done.stderr
    remove_receipts(host)
    assert host.tree() == before


@pytest.mark.parametrize("what", ["kubeadm", "daemon-reload", "enable", "restart"])
def test_a_tool_that_fails(host: Sandbox, what: str) -> None:
    before = host.tree()
    settings = host.settings()
    payload = Payload(mode="kubeadm")
    if what == "kubeadm":
        # the preflight asks it as well
        payload.files[KUBEADM_CONFIG] = ("0600", b"# fail\n")
    else:
        host.stub(f"fail-{what}", "")
    done = host.install(payload)
    assert done.returncode == 13, done.stderr
    for name in ("daemon-reload", "restart"):
        host.path(f"/var/stub/fail-{name}").unlink(missing_ok=True)
    if what in ("daemon-reload", "restart"):
        # the same failure met the undoing as well, which says so and can be done again
        assert "FAILED PARTLY" in done.stderr or "while undoing" in done.stderr or what in done.stderr
        host.install(payload, "rollback")
    remove_receipts(host)
    assert host.tree() == before
    assert host.settings() == settings


def test_wrong_member_count_is_rolled_back(host: Sandbox) -> None:
    host.stub("etcd-mode", "wrong-count")
    done = host.install(Payload())
    assert done.returncode == 13
    assert "etcd lists 2 members instead of 1" in done.stderr
    assert not host.path(POD).exists()


def test_uninstall_leaves_receipts_and_data(host: Sandbox) -> None:
    host.write(DROP_IN, "[Service]\nExecStart=\nExecStart=/usr/local/sbin/kubelet --by-hand\n")
    host.execute("/usr/local/sbin/systemctl", "daemon-reload")
    before = without_state(host)
    settings = host.settings()
    for argument in ("--snapshot-count=10000", "--snapshot-count=5000"):
        assert host.install(Payload(etcd_argument=argument)).returncode == 0
    done = host.install(Payload(), "uninstall")
    assert done.returncode == 0, done.stderr
    assert without_state(host) == before
    assert host.settings() == settings
    assert [path.name for path in host.path(STATE).iterdir()] == ["receipts"]
    assert len(list(host.path("/var/lib").glob("etcd.bundlegen-*/member"))) == 1
    assert not host.path("/var/lib/etcd").exists()
    again = host.install(Payload(), "uninstall")
    assert (again.returncode, again.stdout.split(":")[0]) == (0, "Nothing to uninstall")


@pytest.mark.parametrize("mode", ["kubeadm", "rendered"])
def test_what_somebody_changed_afterwards_is_kept(host: Sandbox, mode: str) -> None:
    assert host.install(Payload(mode=mode)).returncode == 0
    for path in (KUBELET_CONFIG, POD):
        append(host.path(path), "# by hand\n")
    done = host.install(Payload(mode=mode), "uninstall")
    assert done.returncode == 0, done.stderr
    copies = {path.name for path in host.path(f"{STATE}/edited").rglob("*") if path.is_file()}
    assert copies == {"kubelet.conf", "etcd.yaml"}
    assert f"{POD} was changed after the install; a copy stays as" in done.stdout
    assert not host.path(POD).exists()


def test_a_new_ca_restarts_etcd(host: Sandbox) -> None:
    assert host.install(Payload()).returncode == 0
    pid = host.stubbed("etcd-pid")
    done = host.install(Payload(ca="two"))
    assert done.returncode == 0, done.stderr
    assert "restarted etcd, which reads its CA only when it starts" in done.stdout
    assert host.stubbed("etcd-pid") != pid
    assert host.execute(HEALTH, "--cluster", "--wait", "20").returncode == 0


def test_a_data_folder_that_was_there_stays(host: Sandbox) -> None:
    """A mount point, say: what is in it is moved aside within it."""
    host.path("/var/lib/etcd/lost+found").mkdir(parents=True)
    assert host.install(Payload()).returncode == 0
    assert host.install(Payload(), "uninstall").returncode == 0
    names = sorted(path.name.split("-")[0] for path in host.path("/var/lib/etcd").iterdir())
    assert names == ["lost+found", "member.bundlegen"]


def test_receipts(host: Sandbox) -> None:
    payload = Payload(mode="kubeadm")
    folder = host.unpack(payload)
    digest = hashlib.sha256(host.path(f"{folder}/MANIFEST").read_bytes()).hexdigest()
    previous = None
    for verb, outcome in OUTCOMES.items():
        if verb == "uninstall":
            assert host.run(folder, "install").returncode == 0
            previous = hashlib.sha256(host.receipts()[-1].read_bytes()).hexdigest()
        assert host.run(folder, verb).returncode == 0
        file = max(host.receipts(), key=lambda path: path.stat().st_mtime_ns)
        assert file.stat().st_mode & 0o7777 == 0o600
        receipt = json.loads(file.read_text())
        assert receipt["previousReceiptDigest"] == previous
        previous = hashlib.sha256(file.read_bytes()).hexdigest()
        assert (receipt["verb"], receipt["outcome"], receipt["exitCode"]) == (verb, outcome, 0)
        assert receipt["payloadDigest"] == digest
        assert (receipt["machineId"], receipt["hostname"]) == ("0123456789abcdef0123456789abcdef", "infra0")
        changed = {entry["path"]: entry for entry in receipt["changed"]}
        key = changed[f"{PKI}/etcd/server.key"]
        sum_ = hashlib.sha256(payload.files[f"{PKI}/etcd/server.key"][1]).hexdigest()
        expected = (None, sum_, "0600") if verb == "install" else (sum_, None, None)
        assert (key["before"], key["after"], key["mode"]) == expected
        assert "PRIVATE KEY" not in file.read_text()


def test_plan_shows_texts_as_a_diff_and_keys_as_fingerprints(host: Sandbox) -> None:
    assert host.install(Payload()).returncode == 0
    newer = Payload(etcd_argument="--snapshot-count=5000", days=100)
    before = host.tree(times=True)
    done = host.install(newer, "plan")
    assert done.returncode == 0
    assert host.tree(times=True) == before
    assert f"replace  {POD} (0600 root:root); the old one is kept" in done.stdout
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert "-     - --snapshot-count=10000" in lines
    assert "+     - --snapshot-count=5000" in lines
    assert len([line for line in lines if line.startswith("+ private key; its public key has SHA-256")]) >= 3
    assert "PRIVATE KEY" not in done.stdout + done.stderr
    for mode, data in newer.files.values():
        if mode == "0600" and b"PRIVATE KEY" in data:
            assert data.splitlines()[1].decode() not in done.stdout


def test_only_one_run_at_a_time(host: Sandbox) -> None:
    host.stub("etcd-mode", "broken")
    folder = host.unpack(Payload())
    first = subprocess.Popen(
        host.command(["/bin/bash", "-p", f"{folder}/install.sh", "--wait", "8"]),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    host.until(lambda: any(host.path("/run/bundlegen").glob("run.*")))
    for verb in ("install", "rollback", "uninstall"):
        done = host.run(folder, verb)
        assert done.returncode == 15
        assert "another run of this installer is busy on this host (process" in done.stderr
    assert first.wait() == 13
    assert not host.path("/run/bundlegen").exists()


def test_a_dead_runs_lock_is_no_obstacle(host: Sandbox) -> None:
    # process 1 lives, but started at another time: its number was used again
    for name in ("run.1.1", "run.999999.5"):
        host.write(f"/run/bundlegen/{name}")
    assert host.install(Payload()).returncode == 0
    assert not host.path("/run/bundlegen").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["install", "health"],
        ["--wait"],
        ["--wait", "x"],
        ["--root", "etc"],
        ["--cluster"],
        ["install", "--json"],
        ["--ignore"],
    ],
    ids=" ".join,
)
def test_wrong_usage(host: Sandbox, arguments: list[str]) -> None:
    before = host.tree(times=True)
    done = host.install(Payload(), *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert host.tree(times=True) == before


def test_help(host: Sandbox) -> None:
    done = host.install(Payload(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    for verb in ("install", "preflight", "plan", "health", "rollback", "uninstall"):
        assert f"\n  {verb} " in done.stdout


def test_the_installed_copy_installs_nothing(host: Sandbox) -> None:
    assert host.install(Payload()).returncode == 0
    done = host.run(f"{STATE}/bundle", "install")
    assert done.returncode == 2
    assert "run the bundle itself" in done.stderr
    assert host.run(f"{STATE}/bundle", "rollback").returncode == 0
    assert not host.path(f"{STATE}/bundle").exists()
