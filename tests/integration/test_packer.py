"""bundlegen packer: the real Packer accepts what it writes, for every builder and without a network."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bundlegen.packer import BUILDERS
from tests import building, image_archives, needs

NAMES = [builder.name for builder in BUILDERS]
PASSWORD = "correct horse battery staple"
CONFLICT = 4


@pytest.fixture(scope="session", name="packer")
def packer_without_network() -> None:
    needs.program("packer")
    needs.no_network()


needs_packer = pytest.mark.usefixtures("packer")

SPECS: dict[str, dict[str, Any]] = {
    "guide": {},
    "ipv6": {"hosts": [{"name": "infra0", "address": "fd00::6"}], "kubernetesVersion": "v1.22.0"},
    "odd-names": {"name": "0-" + "x" * 50 + "-9", "hosts": [{"name": "packer", "address": "10.0.0.6"}]},
}


def written(folder: Path, *words: str, **changes: Any) -> Path:
    """The folder with the templates of a cluster, whose change folder has a base.run."""
    building.write(folder, {**building.specification(), **changes})
    done = building.run(folder, "packer", "cluster.yaml", *words)
    assert done.returncode == 0, done.stderr
    [templates] = (folder / "out").glob("*/packer")
    offer(templates.parent / "create", {"base.run": b"exit 0\n"})
    return templates


def offer(change: Path, files: Mapping[str, bytes]) -> None:
    """A change folder with these files and their sums."""
    change.mkdir(exist_ok=True)
    for name, content in files.items():
        (change / name).write_bytes(content)
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items()]
    (change / "SHA256SUMS").write_text("".join(sums))


def packer(folder: Path, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Packer, with nothing but its folder and no network to be reached."""
    return subprocess.run(
        [*needs.no_network(), "packer", *words],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "CHECKPOINT_DISABLE": "1",
            "PKR_VAR_vcenter_password": PASSWORD,
            "AWS_EC2_METADATA_DISABLED": "true",
        },
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def validate(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """With the example's variables, and what their user is told to prepare."""
    if not (folder / "builder").exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "builder"], check=True)
    if (folder / "scripts/seed.sh").exists() and not (folder / "seed").exists():
        subprocess.run(["bash", "scripts/seed.sh", "seed"], cwd=folder, check=True)
    return packer(folder, "validate", "-var-file=example.pkrvars.hcl", *words, ".")


def uploaded(folder: Path) -> list[str]:
    """What the template in ``folder`` would upload, as Packer itself evaluates it."""
    done = packer(folder, "console", "-var-file=example.pkrvars.hcl", ".", stdin='join(" ", local.files)\n')
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("packer"))


@needs_packer
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("spec", SPECS)
def test_packer_accepts_it(tmp_path: Path, spec: str, name: str) -> None:
    done = validate(written(tmp_path, **SPECS[spec]) / name)
    assert (done.returncode, done.stdout.strip() + done.stderr) == (0, "")


@needs_packer
@pytest.mark.parametrize("option", ["--quiet", "--seal", "--shared-images"])
def test_packer_accepts_it_with_what_build_made(tmp_path: Path, option: str) -> None:
    """Not a stand-in for the change folder, but the one that goes with it: with images, sealed, shared."""
    for name in (image_archives.ETCD, image_archives.PAUSE):
        file = name.replace("/", "_").replace(":", "_")
        image_archives.write(tmp_path / f"{file}.tar", image_archives.docker(name))
    building.write(tmp_path, building.specification(hosts=1, images=["*.tar"]))
    building.build(tmp_path, "--base", option)
    assert building.run(tmp_path, "packer", "cluster.yaml").returncode == 0
    folder = tmp_path / "out/prod/packer/null"
    shared = option == "--shared-images"
    done = validate(folder)
    assert (done.returncode, done.stdout.strip() + done.stderr) == (0, "")
    change = tmp_path / "out/prod/create"
    assert check(folder.parent, change).returncode == 0
    assert ("images.tar.gz" in sums(change)["FILES"]) == shared
    assert uploaded(folder) == ["base.run", *(["images.tar.gz"] if shared else [])]


@needs_packer
@pytest.mark.parametrize("name", NAMES)
def test_it_is_in_packer_s_own_format(guide: Path, name: str) -> None:
    places = [".", "example.pkrvars.hcl", *(["plugins"] if (guide / name / "plugins").exists() else [])]
    for place in places:
        done = packer(guide / name, "fmt", "-check", "-diff", place)
        assert (done.returncode, done.stdout) == (0, "")


@needs_packer
@pytest.mark.parametrize("name", NAMES)
def test_it_is_accepted_from_any_folder(guide: Path, name: str) -> None:
    folder = guide / name
    key = ["-var", f"ssh_private_key_file={folder}/builder", "-var", f"seed_folder={folder}/seed"]
    assert validate(folder).returncode == 0
    words = key if name == "qemu" else key[:2]
    done = packer(guide, "validate", f"-var-file={name}/example.pkrvars.hcl", *words, name)
    assert done.returncode == 0, done.stdout + done.stderr


BROKEN = {
    "base_sha256=abc": "64 hexadecimal digits",
    "base_sha256=" + "g" * 64: "64 hexadecimal digits",
    "image_name=a b": "must be letters, digits",
    "image_name=": "must be letters, digits",
    "upload_parent=tmp": "must be an absolute path",
    "change_folder=nowhere": "no base.run in",
    "remove_ssh_host_keys=perhaps": "remove_ssh_host_keys",
    "prepare_scripts=[\"not-there.sh\"]": "not-there.sh",
    "no_such_variable=1": "no_such_variable",
}  # fmt: skip
BROKEN_FOR = {
    ("qemu", "cloud_image_checksum=none"): "an image that nobody checked",
    ("qemu", "cloud_image_checksum=sha512:00"): "an image that nobody checked",
    ("qemu", "seed_folder=nowhere"): "nowhere",
    ("vsphere-iso", "vcenter_password="): "is empty",
    ("vsphere-iso", "iso_paths=[]"): "are empty",
    ("amazon-ebs", "source_ami_owner="): "anybody could then offer",
    ("null", "ssh_host="): "Host must be specified",
    ("null", "ssh_private_key_file=nowhere"): "nowhere",
}


@needs_packer
@pytest.mark.parametrize(
    ("name", "variable", "said"),
    [
        *(("null", variable, said) for variable, said in BROKEN.items()),
        *((name, variable, said) for (name, variable), said in BROKEN_FOR.items()),
    ],
)
def test_a_wrong_variable_is_refused_in_words(guide: Path, name: str, variable: str, said: str) -> None:
    done = validate(guide / name, "-var", variable)
    assert done.returncode != 0
    assert said in " ".join((done.stdout + done.stderr).split())


@needs_packer
def test_what_has_no_default_must_be_given(guide: Path) -> None:
    for name, variable in (("null", "ssh_host"), ("qemu", "seed_folder"), ("vsphere-iso", "network")):
        done = packer(guide / name, "validate", ".")
        assert done.returncode != 0
        assert f'Unset variable "{variable}"' in done.stdout + done.stderr


@needs_packer
def test_the_password_is_not_shown(guide: Path) -> None:
    done = packer(guide / "vsphere-iso", "inspect", "-var-file=example.pkrvars.hcl", ".")
    assert "vcenter_server" in done.stdout
    assert PASSWORD not in done.stdout + done.stderr


def test_the_printed_commands_find_the_change(tmp_path: Path) -> None:
    """With another folder for the output too: the templates look for the change beside them."""
    building.write(tmp_path, building.specification(1))
    done = building.run(tmp_path, "packer", "cluster.yaml", "--output", "my media")
    (build,) = (line for line in done.stdout.splitlines() if "bundlegen build" in line)
    (folder,) = (line for line in done.stdout.splitlines() if line.strip().startswith("cd "))
    made = building.run(tmp_path, *shlex.split(build)[1:])
    assert made.returncode == 0, made.stderr
    assert list((tmp_path / shlex.split(folder)[1] / "../..").glob("*/base.run"))


def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    templates = written(tmp_path)
    before = building.contents(templates)
    done = building.run(tmp_path, "packer", "cluster.yaml")
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
    done = building.run(tmp_path, "packer", "cluster.yaml")
    assert done.returncode == CONFLICT
    assert "would come out different: qemu/source.pkr.hcl differs (" in done.stderr
    assert (templates / "qemu/source.pkr.hcl").read_text() == "mine\n"
    assert not (templates / "null/scripts/bake.sh").exists()
    assert building.run(tmp_path, "packer", "cluster.yaml", "--replace").returncode == 0
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
        done = building.run(tmp_path, "packer", "cluster.yaml", *words)
        assert done.returncode == CONFLICT
        if words or kind == "file":
            assert f"out/prod/packer/{place} is a {kind}, and where null/scripts/" in done.stderr
        assert building.contents(templates) == before


def test_a_file_in_the_way(tmp_path: Path) -> None:
    building.write(tmp_path, building.specification())
    (tmp_path / "out/prod").mkdir(parents=True)
    (tmp_path / "out/prod/packer").write_text("")
    done = building.run(tmp_path, "packer", "cluster.yaml", "--replace")
    assert done.returncode == CONFLICT
    assert "is not a folder" in done.stderr


def test_a_wrong_specification_writes_nothing(tmp_path: Path) -> None:
    building.write(tmp_path, building.specification(name="A b"))
    assert building.run(tmp_path, "packer", "cluster.yaml").returncode == 3
    assert not (tmp_path / "out").exists()


def test_the_example_is_what_is_written(tmp_path: Path) -> None:
    shutil.copy(building.ROOT / "examples/three-hosts.yaml", tmp_path)
    assert building.run(tmp_path, "packer", "three-hosts.yaml").returncode == 0
    assert building.contents(building.ROOT / "examples/packer") == {
        name: content
        for name, content in building.contents(tmp_path / "out/prod-etcd/packer").items()
        if name.startswith("qemu/")
    }


Script = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def change(guide: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "the change"
    offer(folder, {"base.run": b'echo "baked: $*"\n', "images.tar.gz": b"images"})
    return folder


def script(guide: Path, name: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", guide / "null/scripts" / name],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def sums(change: Path) -> dict[str, str]:
    listed = [line.split() for line in (change / "SHA256SUMS").read_text().splitlines()]
    return {"FILES": " ".join(name for _, name in listed), "SUMS": " ".join(digest for digest, _ in listed)}


def check(guide: Path, change: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    values = {"CHANGE": str(change), "ALLOWED_SIGNERS": "", "SIGNER": "", **sums(change), **variables}
    return script(guide, "check.sh", **values)


@needs_packer
def test_the_check_runs_in_folders_of_any_name(tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s "here" & $HOME `id`'
    folder.mkdir()
    null = written(folder) / "null"
    template, source = null / "bundlegen.pkr.hcl", null / "source.pkr.hcl"
    # what needs no machine: the first of the steps
    template.write_text(template.read_text().partition("  # Your scripts may reboot")[0] + "}\n")
    source.write_text(
        source.read_text().partition("source ")[0] + 'source "null" "base" {\n  communicator = "none"\n}\n'
    )
    done = packer(null, "build", "-color=false", "-var=ssh_host=192.0.2.7", ".")
    assert done.returncode == 0, done.stdout
    assert "base.run: OK" in done.stdout


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
