"""bundlegen packer: what it writes where, and what its scripts do on a builder machine."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import building
from tests.packer_cases import check, offer, script, sums, written

CONFLICT = 4


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("packer"))


def test_the_printed_commands_find_the_change(tmp_path: Path) -> None:
    """With another folder for the output too: the templates look for the change beside them."""
    building.write(tmp_path, building.specification(1))
    done = building.run_here(tmp_path, "packer", "cluster.yaml", "--output", "my media")
    (build,) = (line for line in done.stdout.splitlines() if "bundlegen build" in line)
    (folder,) = (line for line in done.stdout.splitlines() if line.strip().startswith("cd "))
    made = building.run_here(tmp_path, *shlex.split(build)[1:])
    assert made.returncode == 0, made.stderr
    assert list((tmp_path / shlex.split(folder)[1] / "../..").glob("*/base.run"))


def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    templates = written(tmp_path)
    before = building.contents(templates)
    done = building.run_here(tmp_path, "packer", "cluster.yaml")
    assert done.returncode == 0
    assert "is there already, byte for byte" in done.stderr
    assert building.contents(templates) == before
    other = tmp_path / "other"
    other.mkdir()
    assert building.contents(written(other)) == before


def test_what_was_changed_is_not_overwritten_unasked(tmp_path: Path) -> None:
    templates = written(tmp_path)
    before = building.contents(templates)
    (templates / "qemu/source.pkr.hcl").write_text("mine\n")
    (templates / "qemu/mine.pkrvars.hcl").write_text("mine too\n")
    (templates / "null/scripts/bake.sh").unlink()
    done = building.run_here(tmp_path, "packer", "cluster.yaml")
    assert done.returncode == CONFLICT
    assert "would come out different: qemu/source.pkr.hcl differs (" in done.stderr
    assert (templates / "qemu/source.pkr.hcl").read_text() == "mine\n"
    assert not (templates / "null/scripts/bake.sh").exists()
    assert building.run_here(tmp_path, "packer", "cluster.yaml", "--replace").returncode == 0
    assert building.contents(templates) == {**before, "qemu/mine.pkrvars.hcl": b"mine too\n"}
    assert [path.name for path in templates.parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(("place", "kind"), [("null/scripts", "file"), ("null/scripts/check.sh", "folder")])
def test_what_is_in_the_way_is_named_and_nothing_is_written(tmp_path: Path, place: str, kind: str) -> None:
    templates = written(tmp_path)
    shutil.rmtree(templates / "null/scripts")
    if kind == "file":
        (templates / place).write_text("")
    else:
        (templates / place).mkdir(parents=True)
    (templates / "amazon-ebs/bundlegen.pkr.hcl").unlink()
    before = building.contents(templates)
    for words in ((), ("--replace",)):
        done = building.run_here(tmp_path, "packer", "cluster.yaml", *words)
        assert done.returncode == CONFLICT
        if words or kind == "file":
            assert f"out/prod/packer/{place} is a {kind}, and where null/scripts/" in done.stderr
        assert building.contents(templates) == before


def test_a_file_in_the_way(tmp_path: Path) -> None:
    building.write(tmp_path, building.specification())
    (tmp_path / "out/prod").mkdir(parents=True)
    (tmp_path / "out/prod/packer").write_text("")
    done = building.run_here(tmp_path, "packer", "cluster.yaml", "--replace")
    assert done.returncode == CONFLICT
    assert "is not a folder" in done.stderr


def test_a_wrong_specification_writes_nothing(tmp_path: Path) -> None:
    building.write(tmp_path, building.specification(name="A b"))
    assert building.run_here(tmp_path, "packer", "cluster.yaml").returncode == 3
    assert not (tmp_path / "out").exists()


def test_the_example_is_what_is_written(tmp_path: Path) -> None:
    shutil.copy(building.ROOT / "examples/three-hosts.yaml", tmp_path)
    assert building.run_here(tmp_path, "packer", "three-hosts.yaml").returncode == 0
    assert building.contents(building.ROOT / "examples/packer") == {
        name: content
        for name, content in building.contents(tmp_path / "out/prod-etcd/packer").items()
        if name.startswith("qemu/")
    }


@pytest.fixture
def change(guide: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "the change"
    offer(folder, {"base.run": b'echo "baked: $*"\n', "images.tar.gz": b"images"})
    return folder


def test_what_is_there_is_uploaded(guide: Path, change: Path) -> None:
    done = check(guide, change)
    assert (done.returncode, done.stdout) == (0, "base.run: OK\nimages.tar.gz: OK\n")


@pytest.mark.parametrize("name", ["base.run", "images.tar.gz"])
def test_what_is_not_what_was_built_is_not_uploaded(guide: Path, change: Path, name: str) -> None:
    (change / name).write_bytes(b"something else")
    done = check(guide, change)
    assert done.returncode == 1
    assert f"{name} is not what was asked for" in done.stderr
    (change / name).unlink()
    assert f"has no {name}" in check(guide, change).stderr


def test_a_signature_is_checked_where_one_is_demanded(guide: Path, change: Path, tmp_path: Path) -> None:
    signers = tmp_path / "signers"
    for name in ("us", "them"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    signers.write_text(f"us@example.net {(tmp_path / 'us.pub').read_text()}")
    demanded = {"ALLOWED_SIGNERS": str(signers), "SIGNER": "us@example.net"}
    assert "is not signed" in check(guide, change, **demanded).stderr
    assert "set signer as well" in check(guide, change, ALLOWED_SIGNERS=str(signers)).stderr
    for name, code in (("them", 1), ("us", 0)):
        (change / "SHA256SUMS.sig").unlink(missing_ok=True)
        sign = ["ssh-keygen", "-q", "-Y", "sign", "-n", "bundlegen", "-f", f"{tmp_path}/{name}"]
        subprocess.run([*sign, str(change / "SHA256SUMS")], check=True, capture_output=True)
        assert check(guide, change, **demanded).returncode == code
    (change / "SHA256SUMS").write_text((change / "SHA256SUMS").read_text() + f"{64 * '0'}  more\n")
    assert "is not a good one of us@example.net" in check(guide, change, **demanded).stderr


@pytest.mark.parametrize("name", ["base.run", "images.tar.gz"])
def test_what_is_compared_is_what_was_signed(guide: Path, change: Path, name: str) -> None:
    """Packer reads the sums before; who can write there may have put others in their place for that moment."""
    signed = (change / "SHA256SUMS").read_text()
    (change / name).write_bytes(b"evil")
    told = sums(change)
    good = hashlib.sha256(b'echo "baked: $*"\n' if name == "base.run" else b"images").hexdigest()
    told["SUMS"] = told["SUMS"].replace(good, hashlib.sha256(b"evil").hexdigest())
    assert (change / "SHA256SUMS").read_text() == signed
    done = check(guide, change, **told)
    assert done.returncode == 1
    assert f"SHA256SUMS does not list {name} as it was asked for" in done.stderr


@pytest.mark.parametrize(("answer", "code"), [(0, 0), (2, 0), (1, 1)])
def test_what_cloud_init_does_is_waited_for(guide: Path, tmp_path: Path, answer: int, code: int) -> None:
    (tmp_path / "cloud-init").write_text(f'#!/bin/sh\necho "asked: $*"\nexit {answer}\n')
    (tmp_path / "cloud-init").chmod(0o755)
    done = script(guide, "wait.sh", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (done.returncode, done.stdout) == (code, "asked: status --wait\n")
    assert ("cloud-init failed on the builder" in done.stderr) == (code == 1)


def test_what_arrives_is_baked(guide: Path, change: Path) -> None:
    done = script(guide, "bake.sh", UPLOAD=str(change), **sums(change))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "baked: -- bake"
    assert change.exists()


def test_what_arrives_damaged_is_not_run_and_removed(guide: Path, change: Path) -> None:
    expected = sums(change)
    (change / "base.run").write_bytes(b"echo run anyway\n")
    done = script(guide, "bake.sh", UPLOAD=str(change), **expected)
    assert done.returncode != 0
    assert "run anyway" not in done.stdout
    assert "base.run: FAILED" in done.stdout
    assert not change.exists()


def test_a_bake_that_fails_leaves_no_upload(guide: Path, change: Path) -> None:
    offer(change, {"base.run": b"exit 11\n"})
    assert script(guide, "bake.sh", UPLOAD=str(change), **sums(change)).returncode == 11
    assert not change.exists()


def test_the_seed_lets_in_a_key_of_its_own(guide: Path, tmp_path: Path) -> None:
    seed = ["bash", str(guide / "qemu/scripts/seed.sh")]
    subprocess.run([*seed, "seed"], cwd=tmp_path, check=True)
    made = tmp_path / "seed"
    assert sorted(path.name for path in made.iterdir()) == ["builder", "builder.pub", "meta-data", "user-data"]
    assert (made / "user-data").read_text().startswith("#cloud-config\nssh_authorized_keys:\n  - ssh-ed25519 ")
    assert (made / "builder.pub").read_text().strip() in (made / "user-data").read_text()
    assert (made / "builder").stat().st_mode & 0o077 == 0
    assert subprocess.run([*seed, "seed"], cwd=tmp_path, check=False, capture_output=True).returncode == 1
    assert subprocess.run([*seed], cwd=tmp_path, check=False, capture_output=True).returncode == 2
