"""A tree that somebody else made, for --root, and a state that looks like ours: the machine's own files stay apart."""

from __future__ import annotations

import pytest

from tests.shell.payload import DROP_IN, GOLDEN, KUBEADM_CONFIG, PKI, STATE, Base, Payload
from tests.shell.sandbox import Sandbox

IMAGE = "/tmp/img"
UP = "/../../../../.."
BEGIN = f"begin install {'0' * 64} 0\n"
PATHS = (
    f"{UP}/etc/victim", f"/etc/kubernetes/..{UP}/etc/victim", "/etc/./victim", "//etc/victim", "/etc/../etc/victim",
    "/tmp/img/../../etc/victim", "/..", "/etc/victim/..", "/etc/kubernetes/../../../../etc/victim", "/etc/victim/",
)  # fmt: skip
LINES = {
    "absent": "absent {}", "file": "file 0 0644 link {}", "folder": "folder {}", "data": "data {}",
    "emptylog": "emptylog {}", "emptydata": "emptydata {}", "member": "member {}",
}  # fmt: skip

RUNS = [
    (f"{BEGIN}undo\n", "install"),
    (BEGIN, "rollback"),
    (BEGIN, "uninstall"),
    (BEGIN.replace("install", "bake"), "bake"),
]


def image(host: Sandbox, state: str = STATE, journal: str = "") -> None:
    """A tree with what a run of ours has left; root's and private, as it must be."""
    for folder in ("etc", "run", "usr/local/lib"):
        host.path(f"{IMAGE}/{folder}").mkdir(parents=True, exist_ok=True)
    host.write("/etc/victim", "victim\n")
    if journal:
        kept = host.path(f"{IMAGE}{state}/transaction/kept")
        host.execute("/bin/bash", "-c", f"umask 077; mkdir -p {IMAGE}{state}/transaction/kept")
        (kept / "0").write_text("evil\n")
        (kept.parent / "journal").write_text(journal)
        host.execute("/bin/chmod", "-R", "go=", IMAGE + state)


def outside(host: Sandbox) -> tuple[list[str], str]:
    """What a planted path or link would have changed."""
    return sorted(path.name for path in host.path("/etc").iterdir()), host.path("/etc/victim").read_text()


@pytest.mark.parametrize("word", LINES)
def test_a_journal_names_no_path_out_of_the_tree(host: Sandbox, word: str) -> None:
    own = host.install(Payload(), "identify").stdout.split()[-1]
    mine = BEGIN.replace("0" * 64, own)
    for path, (begin, verb) in zip(PATHS, 3 * RUNS, strict=False):
        line = LINES[word].format(path)
        host.execute("/bin/rm", "-rf", IMAGE)
        image(host, GOLDEN if verb == "bake" else STATE, f"{begin.replace(BEGIN, mine)}{line}\n")
        before = outside(host)
        done = host.install(Base() if verb == "bake" else Payload(), verb, "--root", IMAGE)
        assert done.returncode in {11, 13}, (line, verb, done.stdout, done.stderr)
        assert "is damaged, and says what there was before" in done.stderr
        assert outside(host) == before


def test_a_journal_of_a_finished_run_is_read_the_same_way(host: Sandbox) -> None:
    image(host, STATE, f"{BEGIN}absent {PATHS[0]}\ncommit\n")
    done = host.install(Payload(), "install", "--root", IMAGE)
    assert done.returncode == 11
    assert "is damaged" in done.stderr


LINKS = {
    "the receipts": (f"{STATE}/receipts", "/etc/out"),
    "the open transaction": (f"{STATE}/transaction", "/etc/out"),
    "the generations": (f"{STATE}/generations", "/etc/out"),
    "a generation": (f"{STATE}/generations/0001", "/etc/out"),
    "what is being undone": (f"{STATE}/undone", "/etc/out"),
    "what was edited": (f"{STATE}/edited", "/etc/out"),
    "the copy of the bundle": (f"{STATE}/bundle", "/etc/out"),
    "a file of that copy": (f"{STATE}/bundle/bundle.conf", "/etc/victim"),
    "the state": (STATE, "/etc/out"),
    "the journal": (f"{STATE}/transaction/journal", "/etc/victim"),
    "the journal being mended": (f"{STATE}/transaction/journal.mended", "/etc/victim"),
    "what is kept": (f"{STATE}/transaction/kept", "/etc/out"),
    "the manifest's record": (f"{STATE}/transaction/manifest.record", "/etc/victim"),
    "what was written down": (f"{STATE}/member", "/etc/victim"),
    "what is being written down": (f"{STATE}/.member.1", "/etc/victim"),
    "a receipt being written": (f"{STATE}/receipts/.new", "/etc/victim"),
    "a receipt": (f"{STATE}/receipts/20260101T000000Z-infra0-install.json", "/etc/victim"),
    "the journal of a generation": (f"{STATE}/generations/0001/journal", "/etc/victim"),
    "the machine-id": ("/etc/machine-id", "/etc/secret"),
    "the host name": ("/etc/hostname", "/etc/secret"),
    "the lock": ("/run/bundlegen/lock", "/etc/victim"),
    "the lock's folder": ("/run/bundlegen", "/etc/out"),
    "a file": (KUBEADM_CONFIG, "/etc/secret"),
    "a folder of files": (PKI, "/etc/out"),
    "a drop-in": (f"{DROP_IN.rpartition('/')[0]}/99-other.conf", "/etc/secret"),
    "a static Pod": ("/etc/kubernetes/manifests/other.yaml", "/etc/secret"),
    "the images": (f"{GOLDEN}/images.tar.gz", "/etc/secret"),
    "the data": ("/var/lib/etcd", "/etc/out"),
    "the member in the data": ("/var/lib/etcd/member", "/etc/out"),
}  # fmt: skip


@pytest.mark.parametrize("what", LINKS)
def test_a_link_leads_nowhere_out_of_the_tree(host: Sandbox, what: str) -> None:
    at, to = LINKS[what]
    pinned = Payload()
    pinned.conf["MACHINE_ID"] = "0" * 32
    for verb, payload in (("install", Payload()), ("plan", Payload()), ("identify", pinned), ("bake", Payload())):
        host.execute("/bin/rm", "-rf", IMAGE, "/etc/out")
        image(host)
        host.write("/etc/secret", "SECRET-OF-THE-MACHINE\n")
        host.path("/etc/out").mkdir()
        host.execute("/bin/bash", "-c", f"umask 077; mkdir -p {IMAGE}{at.rpartition('/')[0]}; ln -s {to} {IMAGE}{at}")
        before = outside(host)
        done = host.install(payload, verb, "--root", IMAGE)
        print(verb, done.returncode, done.stderr)
        assert outside(host) == before
        assert list(host.path("/etc/out").iterdir()) == []
        found = host.execute("/bin/grep", "-r", "SECRET", IMAGE).stdout
        assert "SECRET" not in found + done.stdout + done.stderr
        if verb == "install":
            assert done.returncode == 11, done.stdout + done.stderr
            assert "nothing was changed" in done.stderr
            assert done.stderr.count("error:") == 1


STRANGE = {
    "a journal that is a pipe": ("mkfifo {}/transaction/journal", "is neither a file nor a folder"),
    "a receipt that is a pipe": ("mkdir {0}/receipts; mkfifo {0}/receipts/.new", "is neither a file nor a folder"),
    "a state of another user": ("chown 1000 {}", "is not root's"),
    "a transaction of another user": ("chown 1000 {}/transaction", "is not root's"),
    "a state that others may write to": ("chmod 0770 {}", "can be used by others than root"),
    "a transaction that all may write to": ("chmod 0777 {}/transaction", "can be used by others than root"),
    "receipts that others may read": ("mkdir -m 0755 {}/receipts", "can be used by others than root"),
    "a generation that others may read": ("mkdir -p {0}/generations/1; chmod g+r {0}/generations/1", "can be used"),
    "a transaction that is a file": ("rm -r {0}/transaction; : > {0}/transaction", "is no folder"),
    "a state that is a file": ("rm -r {0}; : > {0}", "is no folder"),
}  # fmt: skip


@pytest.mark.parametrize("what", STRANGE)
def test_a_state_that_is_not_roots_alone_is_refused(host: Sandbox, what: str) -> None:
    """In one sentence, on the running system as well."""
    script, words = STRANGE[what]
    host.execute("/bin/bash", "-c", f"umask 077; mkdir -p {STATE}/transaction; {script.format(STATE)}")
    before = host.tree()
    for verb in ("install", "rollback", "uninstall"):
        done = host.install(Payload(), verb)
        assert done.returncode == 11, done.stdout + done.stderr
        assert words in done.stderr
        assert "nothing was changed" in done.stderr
        assert done.stderr.count("error:") == 1
    assert host.tree() == before


NAMES = (
    "0+BASH_VERSINFO[$(>$HOME.PWNED)]", "0a[$(>PWNED)]", "1$(>PWNED)", "0001 ", "08", "9999999999999999999999", "0x10",
    "0001\n0002", "1-1", "0*", "00001a",
)  # fmt: skip


def test_a_generations_name_is_no_number_because_it_begins_like_one(host: Sandbox) -> None:
    for name in NAMES:
        (host.path(f"{STATE}/generations") / name).mkdir(parents=True, mode=0o700)
    host.execute("/bin/chmod", "-R", "0700", "/var/lib/bundlegen")
    done = host.install(Payload())
    assert done.returncode == 0, done.stderr
    assert host.path(f"{STATE}/generations/0001/journal").is_file()
    assert host.execute("/usr/bin/find", "/", "-xdev", "-name", "*PWNED").stdout == ""
    done = host.install(Payload(), "rollback")
    assert done.returncode == 0, done.stderr
