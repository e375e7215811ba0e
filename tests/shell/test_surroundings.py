"""Hostile surroundings: environment, terminal, folders, other people's rights; and --root."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.shell.payload import HEALTH, PKI, POD, STATE, Payload
from tests.shell.sandbox import Sandbox

HOSTILE = {
    "CDPATH": "/:/etc",
    "BASH_ENV": "/etc/evil",
    "ENV": "/etc/evil",
    "IFS": "e/",
    "LC_ALL": "tr_TR.UTF-8",
    "PATH": "/nonexistent",
    "POSIXLY_CORRECT": "1",
    "SHELLOPTS": "noglob:noclobber",
    "BASHOPTS": "failglob",
    "TMPDIR": "/nonexistent",
    "TZ": "Pacific/Kiritimati",
    "OPENSSL_CONF": "/etc/evil",
    "http_proxy": "http://192.0.2.1:1",
    "BASH_FUNC_cp%%": "() { touch /etc/pwned; }",
    "ROOT": "/nonexistent",
    "JSON": "yes",
    "VERB": "uninstall",
    "CONF": "x",
    "NOTED": "x",
    "IGNORED": "x",
    "JOURNAL": "/nonexistent",
    "FAILED": "1",
}


def test_a_hostile_environment(host: Sandbox) -> None:
    host.write("/etc/evil", "touch /etc/pwned\n")
    folder = host.unpack(Payload(), "/run/bundlegen-unpack.1.a folder; $(touch pwned) 'n")
    script = 'umask 0; cd /; exec /bin/bash -p "$0/install.sh"'
    done = host.execute(
        "/usr/bin/env", "-i", *(f"{k}={v}" for k, v in HOSTILE.items()), "/bin/bash", "-pc", script, folder
    )
    assert done.returncode == 0, done.stderr
    assert not host.path("/etc/pwned").exists()
    assert host.path(f"{PKI}/etcd/server.key").stat().st_mode & 0o7777 == 0o600
    assert host.path(PKI).stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("options", ["ro", "size=4k", "noexec"])
def test_temporary_folders_are_not_needed(host: Sandbox, options: str) -> None:
    host.execute("/bin/mount", "-o", f"remount,{options}", "/tmp")
    assert host.install(Payload()).returncode == 0


def test_from_a_noexec_folder(host: Sandbox) -> None:
    host.execute("/bin/mount", "-o", "remount,noexec,nosuid,nodev", "/run")
    assert host.install(Payload()).returncode == 0


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_nobody_reads_or_writes(host: Sandbox, closed: str) -> None:
    folder = host.unpack(Payload())
    done = host.execute("/bin/bash", "-c", f'exec /bin/bash -p "$0/install.sh" {closed}', folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert host.execute(HEALTH).returncode == 0


def test_a_reader_that_goes_away(host: Sandbox) -> None:
    folder = host.unpack(Payload())
    script = 'set -o pipefail; /bin/bash -p "$0/install.sh" | head -n 1'
    done = host.execute("/bin/bash", "-c", script, folder)
    assert done.returncode == 0, done.stderr
    assert host.execute(HEALTH).returncode == 0


def test_no_key_is_ever_readable_by_others(host: Sandbox) -> None:
    """Every file with a key's name is made under umask 077, and no mode but 0600 is ever set on it.

    With --root, which places files in the same way and leaves no process behind for strace to wait for.
    """
    host.path("/media/tree/etc").mkdir(parents=True)
    folder = host.unpack(Payload())
    trace = host.folder / "trace"
    calls = "openat,open,creat,umask,chmod,fchmod,fchmodat,rename,renameat,renameat2,link,linkat"
    subprocess.run(
        ["strace", "-f", "-qq", "-s", "256", "-o", trace, "-e", f"trace={calls}",
         *host.command(["/bin/bash", "-p", f"{folder}/install.sh", "--root", "/media/tree"])],
        check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip
    lines = trace.read_text(errors="replace").splitlines()
    made = [line for line in lines if "O_CREAT" in line and ".key" in line]
    modes = [line for line in lines if "chmod" in line and ".key" in line]
    print(f"{len(made)} keys made, {len(modes)} modes set")
    assert len(made) == len(modes) == 5
    assert all("/." in line and ".bundlegen" in line for line in made)
    assert [line for line in modes if not re.search(r", 0600[,)]", line)] == []
    # a process that makes one has its umask from the script, which sets it once
    main = next(line.split()[0] for line in lines if "umask(077)" in line)
    assert [line for line in lines if line.startswith(f"{main} ") and "umask(" in line][-1].split("(")[1][:3] == "077"
    makers = {line.split()[0] for line in made}
    assert [line for line in lines if "umask(" in line and line.split()[0] in makers] == []


def test_a_file_tree(tmp_path: Path, host: Sandbox) -> None:
    """--root: files and records, and nothing of the running system."""
    host.path("/media/tree/etc").mkdir(parents=True)
    host.write("/media/tree/etc/machine-id", "f" * 32 + "\n")
    before, settings, calls = host.tree(times=True), host.settings(), host.stubbed("calls")
    payload = Payload(conf={"MACHINE_ID": "f" * 32, "ADDRESS": "10.0.0.99", "MEMBERS": "infra0=10.0.0.99"})
    folder = host.unpack(payload)
    done = host.run(folder, "install", "--root", "/media/tree")
    assert done.returncode == 0, done.stderr
    assert "Nothing was started." in done.stdout
    assert host.path(f"/media/tree{POD}").is_file()
    assert host.path(f"/media/tree{STATE}/bundle/install.sh").is_file()
    again = host.run(folder, "install", "--root", "/media/tree")
    assert "Already installed; nothing changed" in again.stdout
    assert "Nothing would change" in host.run(folder, "plan", "--root", "/media/tree").stdout
    assert host.run(folder, "uninstall", "--root", "/media/tree/").returncode == 0
    left = {
        str(path.relative_to(host.path("/media/tree")))
        for path in host.path("/media/tree").rglob("*")
        if path.is_file()
    }
    assert {path for path in left if not path.startswith("var/lib/bundlegen/test/receipts/")} == {"etc/machine-id"}
    assert (host.tree(times=True), host.settings(), host.stubbed("calls")) == (before, settings, calls)
    host.write("/media/tree/etc/machine-id", "e" * 32 + "\n")
    assert host.run(folder, "install", "--root", "/media/tree").returncode == 10
