"""Hosts and images that demand a signature: what the specification and the options make of it, and what is refused."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bundlegen import layout
from tests.building import contents, main, read, specification, write
from tests.building import run_here as run
from tests.trust_cases import put, repack, replace_bundle

SIGNER = "ops@example.net"
OPTIONS = ("--base", "--require-signer", SIGNER, "--allowed-signers", "allowed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a list of allowed signers beside the specification."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", tmp_path / "key"], check=True)
    public = (tmp_path / "key.pub").read_text().strip()
    (tmp_path / "allowed").write_text(f"# who may\n\n{SIGNER},*@corp.example  {public} a comment\n")
    return tmp_path


def demand(folder: Path, **trust: object) -> None:
    write(folder, {**specification(), "trust": {"signer": SIGNER, "allowedSigners": "allowed", **trust}})


def good(made: Path, folder: Path) -> None:
    """Verified, and made anew from the store the same, byte for byte."""
    assert main(["verify", str(made)]) == 0
    before = contents(made)
    shutil.rmtree(made)
    done = run(folder, "build", "cluster.yaml", "--change", made.name, "--sign-key", "key")
    assert done.returncode == 0, done.stderr
    assert contents(made) == before


def test_hosts_and_images(folder: Path) -> None:
    demand(folder)
    assert run(folder, "build", "cluster.yaml", "--base", "--sign-key", "key").returncode == 0
    made = folder / "out/prod/create"
    for name in ("infra0", "infra2", "base"):
        bundle = read(made, name)
        lines = (bundle.content(layout.ALLOWED_SIGNERS) or b"").decode().splitlines()
        assert [line.split(" ")[0] for line in lines] == [f"{SIGNER},*@corp.example"]
        assert f"readonly SIGNER='{SIGNER}' CLUSTER='prod'" in (bundle.content(layout.APPLY_COMMAND) or b"").decode()
    record = (made / "CHANGE.md").read_text()
    assert f"These hosts demand the signature of {SIGNER}." in record
    assert "It runs no bundle that is not signed" in record
    good(made, folder)
    # Where the list lies is nobody's business later, and that it is gone changes nothing but the next build.
    write(folder, {**specification(), "trust": {"signer": SIGNER, "signers": lines}})
    again = run(folder, "build", "cluster.yaml", "--base", "--sign-key", "key")
    assert "byte for byte" in again.stderr
    write(folder, specification())
    assert run(folder, "build", "cluster.yaml").stdout.startswith("Change 2-configure of prod, after create:\n")
    assert layout.APPLY_COMMAND not in read(folder / "out/prod/2-configure").destinations


def test_images_alone(folder: Path) -> None:
    write(folder, specification())
    assert run(folder, "build", "cluster.yaml", *OPTIONS, "--sign-key", "key").returncode == 0
    made = folder / "out/prod/create"
    assert layout.APPLY_COMMAND in read(made, "base").destinations
    assert layout.APPLY_COMMAND not in read(made, "infra0").destinations
    good(made, folder)


def test_an_image_that_demands_nothing_says_so(folder: Path) -> None:
    write(folder, specification())
    assert run(folder, "build", "cluster.yaml", "--base").returncode == 0
    assert "It demands no signature: who can attach that medium" in (folder / "out/prod/create/CHANGE.md").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--require-signer", SIGNER), "--require-signer and --allowed-signers belong together"),
        (("--base", "--allowed-signers", "allowed"), "--require-signer and --allowed-signers belong together"),
        (("--require-signer", SIGNER, "--allowed-signers", "allowed"), "--require-signer is of images"),
        (("--base", "--require-signer", "bob", "--allowed-signers", "allowed"), "is about bob"),
        (("--base", "--require-signer", "a b", "--allowed-signers", "allowed"), "is no name of a signer"),
        (("--base", "--require-signer", SIGNER, "--allowed-signers", "no"), "does not exist"),
        (("--base", "--require-signer", SIGNER, "--allowed-signers", "key"), "allows nobody to sign"),
    ],
)
def test_options_that_cannot_be(folder: Path, words: tuple[str, ...], said: str) -> None:
    write(folder, specification())
    done = run(folder, "build", "cluster.yaml", *words)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert not (folder / "pki").exists()


def test_twice(folder: Path) -> None:
    demand(folder)
    done = run(folder, "build", "cluster.yaml", *OPTIONS)
    assert (done.returncode, "says by trust whose signature is demanded" in done.stderr) == (2, True)


LINE = "ops@example.net ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM/XSPCdk9ehMZSpfTVKEw0GSNCZ1rDYxXbsxuJvVfR/"


@pytest.mark.parametrize(
    ("trust", "said"),
    [
        ({"signer": SIGNER}, "trust: names nobody's key"),
        ({"signer": "eve", "allowedSigners": "allowed"}, "trust.allowedSigners: no line of"),
        ({"signer": "eve", "signers": [LINE]}, "trust.signer: no line of signers is about eve"),
        ({"signer": SIGNER, "signers": [LINE], "allowedSigners": "allowed"}, "trust.signers: is there twice"),
        ({"signer": SIGNER, "signers": ["$(id) ssh-ed25519 AAAA"]}, "trust.signers[0]: "),
        ({"signer": SIGNER, "signers": [f"{LINE}\nroot ssh-ed25519 AAAA"]}, "trust.signers[0]: "),
        ({"signer": "x' ; id; '", "signers": [LINE]}, "trust.signer: "),
        ({"signer": SIGNER, "allowedSigners": "no"}, "trust.allowedSigners: "),
        ({"allowedSigners": "allowed"}, "trust.signer: is missing"),
        ("yes", "trust: must be a mapping"),
    ],
)
def test_a_specification_that_cannot_be(folder: Path, trust: object, said: str) -> None:
    write(folder, {**specification(), "trust": trust})
    done = run(folder, "build", "cluster.yaml")
    assert (done.returncode, said in done.stderr) == (3, True), done.stderr


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("SIGNER='ops@example.net'", "SIGNER='eve@example.net'"),
        lambda text: text.replace("-n bundlegen ", "-n file "),
        lambda text: text + "\n",
    ],
)
def test_a_program_that_was_changed_is_found(
    folder: Path, spoil: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What demands a signature follows from the specification, byte for byte."""
    demand(folder)
    assert run(folder, "build", "cluster.yaml").returncode == 0
    made = folder / "out/prod/create"
    text = (read(made).content(layout.APPLY_COMMAND) or b"").decode()
    changed = spoil(text)
    assert changed != text
    replace_bundle(
        made,
        "infra0.run",
        repack(made / "infra0.run", lambda entries: put(entries, layout.APPLY_COMMAND, changed.encode(), 0o755)),
    )
    monkeypatch.chdir(folder)
    assert main(["verify", str(made)]) == 6
    assert f"{layout.APPLY_COMMAND} is not what bundlegen" in capsys.readouterr().out
