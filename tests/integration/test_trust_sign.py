"""Signatures: by ssh-keygen, demanded or not; and the documented commands, where there is no bundlegen."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from bundlegen import layout
from bundlegen.errors import ConflictError, ToolError, UsageError
from tests.building import BUNDLEGEN, main
from tests.trust_cases import SPEC, findings, make, sentences, sum_up

DOCUMENTS = [Path(__file__).parents[2] / name for name in ("README.md", "docs/trust.md")]
SIGNER = "ops@example.net"


def key(folder: Path, name: str, kind: str = "ed25519") -> Path:
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", path], check=True)
    return path


def allow(path: Path, public: Path) -> Path:
    path.write_text(f"{SIGNER} {public.read_text()}")
    return path


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with allowed_signers, a key, and a signed change."""
    folder = tmp_path_factory.mktemp("signed")
    mine = key(folder, "key")
    allow(folder / "allowed_signers", folder / "key.pub")
    make(folder, sign_key=mine)
    return folder


@pytest.fixture
def change(signed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(signed / "out/prod/create", tmp_path / "change"))


def asked(signed: Path, signer: str = SIGNER) -> dict:
    return {"allowed": signed / "allowed_signers", "signer": signer}


def test_a_good_signature(signed: Path, change: Path) -> None:
    assert findings(change, **asked(signed)) == []
    assert findings(change / "infra0.run", **asked(signed)) == []
    assert findings(change) == []
    words = ["--allowed-signers", str(signed / "allowed_signers"), "--signer"]
    assert main(["verify", str(change), *words, SIGNER]) == 0
    assert main(["verify", str(change), *words, "eve@example.net"]) == 6


def test_a_missing_signature_is_a_failure_where_one_is_demanded(signed: Path, change: Path) -> None:
    (change / layout.SIGNATURE).unlink()
    missing = f"{layout.SIGNATURE}: is missing: {SIGNER} has not signed this change"
    assert missing in sentences(change, **asked(signed))
    assert missing in sentences(change / "infra1.run", **asked(signed))
    assert f"{layout.SIGNATURE}: is missing, though {layout.RECORD} says that the change is signed" in sentences(change)


def test_bad_signatures(signed: Path, change: Path, tmp_path: Path) -> None:
    other = key(tmp_path, "other")
    not_mine = allow(tmp_path / "allowed_signers", other.with_suffix(".pub"))
    wrong = f"{layout.SIGNATURE}: the signature is not a good one of {SIGNER}, by {not_mine}"
    assert sentences(change, allowed=not_mine, signer=SIGNER) == [wrong]
    (change / "change.json").write_text((change / "change.json").read_text() + " ")
    sum_up(change)
    assert f"{layout.SIGNATURE}: the signature is not a good one of this {layout.SUMS}" in sentences(change)
    assert findings(change, **asked(signed))


def test_a_demand_is_whole_or_an_error(signed: Path, change: Path) -> None:
    for half in ({"allowed": signed / "allowed_signers"}, {"signer": SIGNER}):
        with pytest.raises(UsageError, match="belong together"):
            findings(change, **half)
    with pytest.raises(UsageError, match="no such file"):
        findings(change, allowed=change / "nowhere", signer=SIGNER)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_building_again_keeps_the_signature(tmp_path: Path, kind: str) -> None:
    mine = key(tmp_path, "key", kind)
    first = make(tmp_path, sign_key=mine)
    before = (first.folder / layout.SIGNATURE).read_bytes()
    again = make(tmp_path, sign_key=mine)
    assert (first.written, again.written) == (True, False)
    assert (first.folder / layout.SIGNATURE).read_bytes() == before
    with pytest.raises(ConflictError, match="would come out different"):
        make(tmp_path, sign_key=key(tmp_path, "another", kind))


def test_what_is_no_key_is_not_for_want_of_a_program(tmp_path: Path) -> None:
    (tmp_path / "no-key").write_text("hello\n")
    with pytest.raises(ToolError) as caught:
        make(tmp_path, sign_key=tmp_path / "no-key")
    assert "--sign-key names an SSH private key" in caught.value.hint
    assert list((tmp_path / "out").iterdir()) == []


def test_a_key_that_an_agent_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = key(tmp_path, "key")
    socket = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL) as agent:
        try:
            monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
            for _ in range(200):
                if socket.exists():
                    break
                time.sleep(0.05)
            subprocess.run(["ssh-add", "-q", mine], check=True, capture_output=True)
            mine.unlink()
            change = make(tmp_path, sign_key=mine.with_suffix(".pub")).folder
        finally:
            agent.terminate()
    allowed = allow(tmp_path / "allowed_signers", mine.with_suffix(".pub"))
    assert findings(change, allowed=allowed, signer=SIGNER) == []


def test_the_passphrase_is_asked_for_on_the_terminal(tmp_path: Path) -> None:
    """By ssh-keygen itself: bundlegen never sees it."""
    mine = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "open sesame", "-f", mine], check=True)
    (tmp_path / "cluster.yaml").write_text(yaml.safe_dump(SPEC))
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        words = ["build", "cluster.yaml", "--sign-key", str(mine)]
        os.execv(BUNDLEGEN[0], [*BUNDLEGEN, *words])
    said = b""
    with suppress(OSError):  # the terminal is gone with its last program
        while block := os.read(terminal, 65536):
            said += block
            if said.endswith(b"key: ") or b"passphrase" in block:
                os.write(terminal, b"open sesame\n")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, said
    assert b"open sesame" not in said
    allowed = allow(tmp_path / "allowed_signers", mine.with_suffix(".pub"))
    assert findings(tmp_path / "out/prod/create", allowed=allowed, signer=SIGNER) == []


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        make(tmp_path, sign_key=tmp_path / "nowhere")
    assert not list(tmp_path.rglob("*.run"))


def commands() -> str:
    """The commands for a host, as README.md and docs/trust.md have them."""
    found = [
        re.sub(r"^ +", "", each, flags=re.MULTILINE)
        for document in DOCUMENTS
        for each in re.findall(
            r"^ *```sh\n(.*?)^ *```$", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        )
        if "ssh-keygen" in each
    ]
    assert len(found) == len(DOCUMENTS)
    assert len(set(found)) == 1
    return found[0]


def on_a_host(change: Path, signed: Path, tmp_path: Path) -> int:
    """Runs them where there is a shell, cat, sha256sum and ssh-keygen, and nothing else."""
    programs = tmp_path / "bin"
    programs.mkdir(exist_ok=True)
    for name in ("cat", "sha256sum", "ssh-keygen"):
        if not (programs / name).exists():
            (programs / name).symlink_to(str(shutil.which(name)))
    shutil.copy(signed / "allowed_signers", change / "allowed_signers")
    done = subprocess.run(
        ["/bin/sh", "-c", commands()], cwd=change, env={"PATH": str(programs)}, capture_output=True, check=False
    )
    (change / "allowed_signers").unlink()
    return done.returncode


def test_the_documented_commands(signed: Path, change: Path, tmp_path: Path) -> None:
    assert on_a_host(change, signed, tmp_path) == 0
    bundle = (change / "infra1.run").read_bytes()
    (change / "infra1.run").write_bytes(bundle.replace(b"umask", b"umasc", 1))
    assert on_a_host(change, signed, tmp_path) != 0
    sum_up(change)
    assert on_a_host(change, signed, tmp_path) != 0
    (change / "infra1.run").write_bytes(bundle)
    sum_up(change)
    assert on_a_host(change, signed, tmp_path) == 0
    (change / layout.SIGNATURE).unlink()
    assert on_a_host(change, signed, tmp_path) != 0
