"""Failures are rolled back, rollback and uninstall bring the host back, and data is never deleted."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.shell.payload import DROP_IN, HEALTH, KUBEADM_CONFIG, KUBELET_CONFIG, POD, STATE, Payload, script
from tests.shell.sandbox import Sandbox

THREE = {"infra0": "10.0.0.6", "infra1": "10.0.0.7", "infra2": "10.0.0.8"}


def without_state(host: Sandbox) -> dict[str, tuple[str, ...]]:
    """The tree but for what an uninstall may leave: receipts and data moved aside."""
    return {
        path: facts
        for path, facts in host.tree().items()
        if not path.startswith(("var/lib/bundlegen", "var/lib/etcd.bundlegen-"))
    }


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


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_waits_for_an_answer(host: Sandbox, number: signal.Signals) -> None:
    """bash runs the trap inside of `IFS= read`, where words are not split."""
    host.stub("etcd-mode", "silent")
    before = host.tree()
    folder = host.unpack(Payload())
    start = f'echo $$ > /var/stub/group; exec /bin/bash -p "{folder}/install.sh" install'
    # the group has its own session: an interrupt must not be ignored there, as in the background of a shell
    words = host.command(["/usr/bin/setsid", "--wait", "/bin/bash", "-c", start])
    running = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    host.until(lambda: host.path("/var/stub/asked").exists())
    host.execute("/bin/kill", f"-{number.name.removeprefix('SIG')}", "--", f"-{host.stubbed('group').strip()}")
    said, _ = running.communicate(timeout=60)
    assert running.returncode == 13, said
    assert "rolled back: this host is as it was before" in said
    remove_receipts(host)
    assert host.tree() | moved(host) == before | moved(host)


def test_a_damaged_journal_is_not_taken_for_an_empty_one(host: Sandbox) -> None:
    assert host.install(Payload()).returncode == 0
    journal = host.path(f"{STATE}/generations/0001/journal")
    whole = journal.read_text()
    before = host.tree()
    journal.write_text(whole.replace("absent ", "absent", 1))
    done = host.run(f"{STATE}/bundle", "uninstall")
    assert done.returncode == 13
    assert "generations/0001/journal is damaged" in done.stderr
    assert {path: facts for path, facts in host.tree().items() if not path.endswith("journal")} == {
        path: facts for path, facts in before.items() if not path.endswith("journal")
    }
    journal.write_text(whole)
    assert host.run(f"{STATE}/bundle", "uninstall").returncode == 0


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


def test_its_data_is_not_touched_before_etcd_has_ended(host: Sandbox) -> None:
    assert host.install(Payload()).returncode == 0
    pid = host.stubbed("etcd-pid").strip()
    host.stub("kubelet-pace", "2 0")
    done = host.install(Payload(), "uninstall")
    assert done.returncode == 0, done.stderr
    assert "waiting for etcd to stop" in done.stdout
    assert not host.path(f"/proc/{pid}").exists()


def test_a_data_folder_that_was_there_stays(host: Sandbox) -> None:
    """A mount point, say: what is in it is moved aside within it."""
    host.path("/var/lib/etcd/lost+found").mkdir(parents=True)
    assert host.install(Payload()).returncode == 0
    assert host.install(Payload(), "uninstall").returncode == 0
    names = sorted(path.name.split("-")[0] for path in host.path("/var/lib/etcd").iterdir())
    assert names == ["lost+found", "member.bundlegen"]


def append(file: Path, text: str) -> None:
    with file.open("a") as stream:
        stream.write(text)


@pytest.mark.parametrize("before", ["", "infra0=10.0.0.6"])
@pytest.mark.parametrize(("removes", "turn"), [("", "1"), ("infra0", "2"), ("infra1", "now")])
def test_every_operation_and_every_word_of_the_journal_has_its_functions(before: str, removes: str, turn: str) -> None:
    """What is read from bundle.conf or a journal is called by name: none may lead nowhere, whatever a host does."""
    asked = f"""
        CONF=([HOST]=infra0 [ADDRESS]=10.0.0.6 [MEMBERS_BEFORE]='{before}' [REMOVES]='{removes}' [OPERATION]=remove
          [REPLACED]='{removes}' [INITIAL_STATE]=existing [CA_ROUND]='{turn}')
    """
    asked += """
        wanted=$(
          for one in "${OPERATIONS[@]}"; do
            echo "${one}_checks" "${one}_steps" "${one}_healthy"
            "${one}_checks" | sed 's/^/check_/; s/-/_/g'
            "${one}_steps" | sed 's/.* //'
          done
          for one in "${!JOURNAL_SHAPES[@]}"; do echo "undo_${one}"; done
        )
        for one in ${wanted}; do declare -F "${one}"; done
        wc -w <<< "${wanted}"
        """
    asked = script().removesuffix('\nmain "$@"\n') + asked
    done = subprocess.run(["/bin/bash", "-s"], input=asked, capture_output=True, text=True, check=False)
    *found, count = done.stdout.split()
    assert {"create_healthy", "place_pod", "check_kubelet_flags", "undo_emptydata"} <= set(found)
    assert len(found) == int(count), done.stderr


@pytest.mark.parametrize("line", ["rm -rf /", "undone /x", "absent relative", "file 0 0600 x /y", "commit now", ""])
def test_a_journal_with_a_line_that_is_none_is_not_undone(host: Sandbox, line: str) -> None:
    assert host.install(Payload()).returncode == 0
    with host.path(f"{STATE}/generations/0001/journal").open("a") as journal:
        journal.write(f"{line}\n")
    done = host.run(f"{STATE}/bundle", "uninstall")
    assert done.returncode == 13
    assert "generations/0001/journal is damaged" in done.stderr
    assert host.path(POD).exists()


def test_a_journal_of_version_0_1(host: Sandbox) -> None:
    """It calls a data directory without a member in it `member`."""
    host.path("/var/lib/etcd").mkdir(mode=0o700)
    assert host.install(Payload()).returncode == 0
    journal = host.path(f"{STATE}/generations/0001/journal")
    assert "\nemptydata /var/lib/etcd\n" in journal.read_text()
    journal.write_text(journal.read_text().replace("\nemptydata ", "\nmember "))
    done = host.run(f"{STATE}/bundle", "uninstall")
    assert done.returncode == 0, done.stderr
    assert [path.name[:16] for path in host.path("/var/lib/etcd").iterdir()] == ["member.bundlegen"]
