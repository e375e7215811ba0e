"""The real Packer accepts what `bundlegen packer` writes, for every builder and without a network."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bundlegen.packer import BUILDERS
from tests import building, image_archives, needs
from tests.packer_cases import check, sums, written

# Here, and so once for all of them.
needs.program("packer")
needs.no_network()

NAMES = [builder.name for builder in BUILDERS]

PASSWORD = "correct horse battery staple"

SPECS: dict[str, dict[str, Any]] = {
    "guide": {},
    "ipv6": {"hosts": [{"name": "infra0", "address": "fd00::6"}], "kubernetesVersion": "v1.22.0"},
    "odd-names": {"name": "0-" + "x" * 50 + "-9", "hosts": [{"name": "packer", "address": "10.0.0.6"}]},
}


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


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("spec", SPECS)
def test_packer_accepts_it(tmp_path: Path, spec: str, name: str) -> None:
    done = validate(written(tmp_path, **SPECS[spec]) / name)
    assert (done.returncode, done.stdout.strip() + done.stderr) == (0, "")


@pytest.mark.parametrize("option", ["--quiet", "--seal", "--shared-images"])
def test_packer_accepts_it_with_what_build_made(tmp_path: Path, option: str) -> None:
    """Not a stand-in for the change folder, but the one that goes with it: with images, sealed, shared."""
    for name in (image_archives.ETCD, image_archives.PAUSE):
        file = name.replace("/", "_").replace(":", "_")
        image_archives.write(tmp_path / f"{file}.tar", image_archives.docker(name))
    building.write(tmp_path, building.specification(hosts=1, images=["*.tar"]))
    building.build_here(tmp_path, "--base", option)
    assert building.run_here(tmp_path, "packer", "cluster.yaml").returncode == 0
    folder = tmp_path / "out/prod/packer/null"
    shared = option == "--shared-images"
    done = validate(folder)
    assert (done.returncode, done.stdout.strip() + done.stderr) == (0, "")
    change = tmp_path / "out/prod/create"
    assert check(folder.parent, change).returncode == 0
    assert ("images.tar.gz" in sums(change)["FILES"]) == shared
    assert uploaded(folder) == ["base.run", *(["images.tar.gz"] if shared else [])]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_in_packer_s_own_format(guide: Path, name: str) -> None:
    places = [".", "example.pkrvars.hcl", *(["plugins"] if (guide / name / "plugins").exists() else [])]
    for place in places:
        done = packer(guide / name, "fmt", "-check", "-diff", place)
        assert (done.returncode, done.stdout) == (0, "")


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
    "hygiene_allow=[\"/opt/a b\"]": "must be made of letters, digits",
    "hygiene_allow=[\"/opt/a:/opt/b\"]": "must be made of letters, digits",
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


def test_what_has_no_default_must_be_given(guide: Path) -> None:
    for name, variable in (("null", "ssh_host"), ("qemu", "seed_folder"), ("vsphere-iso", "network")):
        done = packer(guide / name, "validate", ".")
        assert done.returncode != 0
        assert f'Unset variable "{variable}"' in done.stdout + done.stderr


def test_the_password_is_not_shown(guide: Path) -> None:
    done = packer(guide / "vsphere-iso", "inspect", "-var-file=example.pkrvars.hcl", ".")
    assert "vcenter_server" in done.stdout
    assert PASSWORD not in done.stdout + done.stderr


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
