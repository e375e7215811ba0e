"""What build writes for a ticket, and reconcile's command line, with the programs that a reader would use."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from bundlegen.operations.create import CREATE
from bundlegen.record import document
from bundlegen.record.blocks import Command
from bundlegen.record.reading import change as read_change
from bundlegen.record.steps import sums_check
from tests import records
from tests.building import run

SIZE = 20_000
HOSTS = ("infra0", "infra1", "infra2")
DOCUMENTS = {"CHANGE.md", "change.html", "change.json", "renewal.ics"}


def bundlegen(folder: Path, *words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = run(folder, *words)
    assert done.returncode == expect, done.stderr
    return done


def specification(folder: Path) -> None:
    hosts = [{"name": name, "address": f"10.0.0.{6 + index}"} for index, name in enumerate(HOSTS)]
    data = {"name": "prod", "kubernetesVersion": "v1.31.4", "hosts": hosts}
    text = json.dumps({**data, "pki": {"encryptionAlgorithm": "ECDSA-P256"}})
    (folder / "cluster.yaml").write_text(text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with everything there is: signed, sealed, split, with another extension."""
    folder = tmp_path_factory.mktemp("everything")
    specification(folder)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
    options = ("--sign-key", "key", "--seal", "--split", "20K", "--extension", "txt")
    bundlegen(folder, "build", "cluster.yaml", *options)
    return folder


@pytest.fixture(scope="module")
def out(folder: Path) -> Path:
    return folder / "out/prod/create"


def secrets(folder: Path) -> list[bytes]:
    """What may be nowhere else: every private key, as text and as bytes, and every unlock code."""
    found = []
    for path in sorted((folder / "pki").rglob("*.key")):
        lines = [line for line in path.read_bytes().splitlines() if line and not line.startswith(b"-----")]
        whole = base64.b64decode(b"".join(lines))
        # The middle of the key itself; what is before and after says only of what kind it is.
        found += [whole[len(whole) // 3 : len(whole) // 3 + 16], b"".join(lines)[:24], *lines[:-1]]
    bundlegen(folder, "unlock-codes", "prod", "--file", "codes")
    codes = re.findall(r"[0-9A-Z]{2,}(?:-[0-9A-Z]{2,}){3,}", (folder / "codes").read_text())
    (folder / "codes").unlink()
    assert len(set(codes)) == len(HOSTS)
    return [*found, *(code.encode() for code in codes), *(code.replace("-", "").encode() for code in codes)]


def test_a_part_is_called_a_part(folder: Path, out: Path) -> None:
    done = run(folder, "inspect", str(out / "infra0.run.001.txt"))
    assert done.returncode == 6
    assert "infra0.run.001.txt is a part of a bundle (join the parts with cat, in their order)" in done.stderr


def test_where_nothing_can_be_unpacked_is_named_as_it_was_given(folder: Path, out: Path) -> None:
    done = run(folder, "extract", str(out / "infra0.run"), "not-there/x")
    assert done.returncode == 7
    assert "cannot write not-there/x: No such file or directory (choose another folder as DIR)" in done.stderr


def test_no_secret_is_in_any_record(folder: Path, out: Path) -> None:
    known = secrets(folder)
    assert len(known) > 13 * 3
    store = b"".join(path.read_bytes() for path in (folder / "pki").rglob("*") if path.is_file())
    assert sum(secret in store for secret in known) > 13
    texts = [path for path in out.iterdir() if ".run" not in path.name]
    assert {path.name for path in texts} == {*DOCUMENTS, "SHA256SUMS", "SHA256SUMS.sig"}
    assert [(path.name, len(secret)) for path in texts for secret in known if secret in path.read_bytes()] == []
    assert [path.name for path in texts if b"PRIVATE KEY" in path.read_bytes()] == []


def test_parts_are_small_private_and_make_the_bundle_again(out: Path) -> None:
    for name in HOSTS:
        parts = sorted(out.glob(f"{name}.run.[0-9][0-9][0-9].txt"))
        assert len(parts) > 2
        assert [part.name for part in parts] == [f"{name}.run.{n:03d}.txt" for n in range(1, len(parts) + 1)]
        assert {part.stat().st_mode & 0o777 for part in parts} == {0o600}
        assert all(part.stat().st_size == SIZE for part in parts[:-1])
        assert b"".join(part.read_bytes() for part in parts) == (out / f"{name}.run").read_bytes()
    made = read_change(out)
    for host in made.hosts:
        for part in host.parts:
            assert part.sha256 == sha256((out / part.name).read_bytes()).hexdigest()


def test_the_folder_is_good(folder: Path, out: Path) -> None:
    bundlegen(folder, "verify", str(out))


def run_as_printed(command: Command, folder: Path) -> str:
    done = subprocess.run(["sh", "-c", command.text], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def matches(said: str, expected: tuple[str, ...]) -> bool:
    """Whether ``said`` is what a record prints, where ``…`` stands for anything: in a line, or for lines."""
    pattern = "".join(
        r"(?:.*\n)*" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + r"\n" for line in expected
    )
    return re.fullmatch(pattern, said) is not None


def test_the_commands_of_those_who_carry_do_as_printed(folder: Path, out: Path, tmp_path: Path) -> None:
    """Sums and signature in the change folder; parts joined and checked where only they were carried to."""
    change = read_change(out)
    key = (folder / "key.pub").read_text()
    shutil.copytree(out, tmp_path / "change")
    (tmp_path / "change/allowed_signers").write_text(f"board@example.net {key}")
    ran = []
    for command in document.document(change, CREATE.story).commands():
        if command.where.startswith("In the change folder"):
            place = tmp_path / "change"
        elif command.text.startswith(("cat ", "sha256sum ")):
            place = tmp_path / command.where.split(",")[0].removeprefix("On ")
            if command.text.startswith("cat "):
                place.mkdir()
                for carried in [*out.glob(f"{place.name}.run.*"), out / "SHA256SUMS"]:
                    shutil.copy(carried, place)
        else:
            continue
        said = run_as_printed(command, place)
        assert matches(said, command.expected), (command, said)
        ran.append(command.text.split()[0])
    assert sorted(set(ran)) == ["cat", "sha256sum", "ssh-keygen"]
    assert ran.count("cat") == 3
    with pytest.raises(AssertionError):
        run_as_printed(Command("", "false", ()), tmp_path)


def test_a_second_build_is_the_same_and_another_split_is_not(tmp_path: Path) -> None:
    specification(tmp_path)
    bundlegen(tmp_path, "build", "cluster.yaml", "--split", "30K")
    assert "byte for byte" in bundlegen(tmp_path, "build", "cluster.yaml", "--split", "30K").stderr
    done = bundlegen(tmp_path, "build", "cluster.yaml", expect=4)
    assert "infra0.run.001 is not of this change" in done.stderr


def test_the_previous_change_is_compared(tmp_path: Path) -> None:
    specification(tmp_path)
    bundlegen(tmp_path, "build", "cluster.yaml")
    spec = json.loads((tmp_path / "cluster.yaml").read_text())
    (tmp_path / "cluster.yaml").write_text(json.dumps({**spec, "kubelet": {"cgroupDriver": "cgroupfs"}}))
    # From the store alone: that the change before is somewhere else is no matter.
    words = ("build", "cluster.yaml", "--output", "out2")
    bundlegen(tmp_path, *words)
    made = read_change(tmp_path / "out2/prod/2-configure")
    assert made.compared_with is not None
    assert made.compared_with.sha256 == sha256((tmp_path / "out/prod/create/SHA256SUMS").read_bytes()).hexdigest()
    changed = {(each.what, each.old, each.new) for each in made.compared_with.hosts[0].changes}
    assert ("cgroup driver", "systemd", "cgroupfs") in changed
    said = (tmp_path / "out2/prod/2-configure/CHANGE.md").read_text()
    assert "| cgroup driver | all 3 | systemd | cgroupfs |" in said
    assert "byte for byte" in bundlegen(tmp_path, *words).stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--split", "10"), "--split 10: not a size of at least 1024 bytes"),
        (("--split", "10X"), "--split 10X: not a size"),
        (("--split", "-1"), "--split -1: not a size"),
        (("--extension", "a/b"), "--extension a/b: not a file name extension"),
        (("--extension", ".run"), "--extension .run: bundles end in .run already"),
    ],
)
def test_what_cannot_be_attached_so(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    specification(tmp_path)
    assert message in bundlegen(tmp_path, "build", "cluster.yaml", *words, expect=2).stderr
    assert not (tmp_path / "out").exists()


def test_an_extension_alone_gives_the_whole_bundle_another_name(tmp_path: Path) -> None:
    specification(tmp_path)
    bundlegen(tmp_path, "build", "cluster.yaml", "--extension", ".txt")
    out = tmp_path / "out/prod/create"
    assert (out / "infra1.run.txt").read_bytes() == (out / "infra1.run").read_bytes()


@pytest.fixture
def ticket(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A folder with the record of a change and the receipts of all hosts."""
    made = records.change(records.cluster())
    (tmp_path / "change.json").write_text(json.dumps(made))
    (tmp_path / "receipts").mkdir()
    for index, host in enumerate(made["hosts"]):
        (tmp_path / "receipts" / f"{host['name']}.json").write_bytes(records.receipt(made, index))
    return tmp_path, made


def test_reconcile_says_that_all_is_well(ticket: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = ticket
    done = bundlegen(folder, "reconcile", ".", "receipts", "--metrics", "bundlegen.prom")
    assert "3 of 3 hosts run the change create of prod-etcd." in done.stdout
    text = (folder / "bundlegen.prom").read_text()
    assert 'bundlegen_change_complete{cluster="prod-etcd",change="create"} 1\n' in text
    assert (folder / "bundlegen.prom").stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in folder.iterdir()) == ["bundlegen.prom", "change.json", "receipts"]


def test_reconcile_names_what_is_wrong_in_a_table_and_as_json(ticket: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = ticket
    path = folder / "receipts/infra1.json"
    path.write_bytes(path.read_bytes().replace(b'"installed"', b'"perfect!!"'))
    done = bundlegen(folder, "reconcile", "change.json", "receipts", expect=6)
    assert re.search(r"^infra1 +missing ", done.stdout, re.MULTILINE)
    assert "altered: receipts/infra1.json its content is not what its own digest says" in done.stdout
    found = json.loads(bundlegen(folder, "reconcile", ".", "receipts", "--json", expect=6).stdout)
    assert found["complete"] is False
    assert [each["state"] for each in found["hosts"]] == ["installed", "missing", "installed"]
    assert [each["fault"] for each in found["refused"]] == ["altered"]


def test_a_receipt_cannot_steer_the_terminal(ticket: tuple[Path, dict[str, Any]]) -> None:
    folder, made = ticket
    path = folder / "receipts/infra1.json"
    path.write_bytes(records.receipt(made, 1, exitCode=13, error="\x1b[2J\u202e\x07"))
    said = bundlegen(folder, "reconcile", ".", "receipts", expect=6).stdout
    assert "failed" in said
    assert not {"\x1b", "\x07", "\u202e"} & set(said)


@pytest.mark.parametrize(
    "place",
    [
        "{host}/var/lib/bundlegen/prod-etcd/receipts/20261122T130000Z-{host}-install.json",
        "{host}/var/lib/bundlegen/prod-etcd/receipts/20261122T130000Z-install.json",
        "{host}.json",
        "{host}/20261122T130000Z-install.json",
        "site a/rack 1/{host}/\u96c6\u7fa4/receipt.json",
    ],
    ids=["as Ansible fetches", "names of 0.1", "flat", "a folder each", "deep"],
)
def test_receipts_are_found_in_a_tree(ticket: tuple[Path, dict[str, Any]], place: str) -> None:
    folder, made = ticket
    for host in made["hosts"]:
        file = folder / "got" / place.format(host=host["name"])
        file.parent.mkdir(parents=True, exist_ok=True)
        (folder / "receipts" / f"{host['name']}.json").rename(file)
        # beside each file as macOS does, and what is no receipt by its name
        file.with_name(f"._{file.name}").write_bytes(b"\0\5\x16\7")
        file.with_name("notes.txt").write_text("x")
    (folder / "got/again").symlink_to(folder / "got")
    done = bundlegen(folder, "reconcile", ".", "got")
    assert "3 of 3 hosts run the change create of prod-etcd." in done.stdout
    named = json.loads(bundlegen(folder, "reconcile", ".", "got", "--json").stdout)["hosts"]
    assert [each["receipt"] for each in named] == [f"got/{place.format(host=each['host'])}" for each in named]


def test_a_damaged_receipt_deep_in_a_tree_is_not_passed_over(ticket: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = ticket
    (folder / "receipts/infra1").mkdir()
    (folder / "receipts/infra1/cut.json").write_text('{"format": 1, ')
    done = bundlegen(folder, "reconcile", ".", "receipts", expect=6)
    assert "unreadable: receipts/infra1/cut.json is not a whole receipt" in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("nowhere", "receipts"), 2, "cannot read nowhere: No such file or directory"),
        ((".", "nowhere"), 2, "cannot read nowhere: No such file or directory"),
        ((".", "empty"), 2, "no receipt in empty, nor below it (receipts end in .json)"),
        ((".", "pipe.json"), 2, "cannot read pipe.json: not a file"),
        (("receipts/infra0.json", "receipts"), 6, "is not the record of a change"),
        ((".", "receipts", "--metrics", "nowhere/x.prom"), 7, "cannot write nowhere/x.prom: No such file or directory"),
    ],
)
def test_reconcile_says_what_it_cannot_do(
    words: tuple[str, ...], code: int, message: str, ticket: tuple[Path, dict[str, Any]]
) -> None:
    folder, _ = ticket
    (folder / "empty/below").mkdir(parents=True)
    os.mkfifo(folder / "pipe.json")
    assert message in bundlegen(folder, "reconcile", *words, expect=code).stderr


def test_the_schema_of_a_record(folder: Path, out: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(bundlegen(folder, "schema", "change").stdout)
    jsonschema.Draft202012Validator(schema).validate(json.loads((out / "change.json").read_text()))
    assert json.loads(bundlegen(folder, "schema").stdout) != schema


@pytest.mark.parametrize("shell", ["sh", "bash", "busybox sh"])
def test_the_check_on_a_host_passes_over_nothing(tmp_path: Path, shell: str) -> None:
    """As printed: a bundle that was altered and renamed, one that is not listed, and one that is not there."""
    if shutil.which(shell.split()[0]) is None:
        pytest.skip(f"{shell} is not installed")
    command = sums_check(["images.tar.gz", "infra0.a-b.run"])

    def check() -> int:
        return subprocess.run(
            [*shell.split(), "-c", command], cwd=tmp_path, capture_output=True, check=False
        ).returncode

    (tmp_path / "infra0.a-b.run").write_bytes(b"bundle")
    (tmp_path / "images.tar.gz").write_bytes(b"images")
    names = ["images.tar.gz", "infra0.a-b.run"]
    lines = [f"{sha256((tmp_path / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    sums = tmp_path / "SHA256SUMS"
    sums.write_text("".join([*lines, f"{'0' * 64}  infra0.a-b.run.001\n", f"{'0' * 64}  xinfra0.a-b.run\n"]))
    assert check() == 0
    for number in (0, 1):
        sums.write_text(lines[number])
        assert check() != 0
    sums.write_text("".join(lines))
    (tmp_path / "infra0.a-b.run").write_bytes(b"other")
    assert check() != 0
    (tmp_path / "infra0.a-b.run").rename(tmp_path / "infra0-a-b.run")
    assert check() != 0
