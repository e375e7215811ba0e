"""The one-file program: what is in it, and that it does what the checkout does where nothing is installed."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PyInstaller.archive.readers import CArchiveReader  # type: ignore[import-untyped]

from tests import figures
from tests.building import PROGRAM
from tests.lint.tree import ROOT
from tests.needs import WITH_SIGNALS

pytestmark = pytest.mark.slow

# What runs bundlegen as a program. Left out are the killing at 50 moments, which tells nothing of how it is packed, and
# tests that call functions rather than the program: the store's, those of damaged bundles, of random specifications.
COMMANDS = (
    "build",
    "build_mishaps",
    "images",
    "record_build",
    "trust_diff",
    "trust_seal",
    "trust_sign",
    "trust_verify",
)

C_LIBRARY = platform.libc_ver()[1]
# Debian's releases and their C library, the oldest first: the program is tried in the oldest that it can run on.
RELEASES = {"bullseye": "2.31", "bookworm": "2.36", "trixie": "2.41"}


@pytest.fixture(scope="module")
def program(dist: Path) -> Path:
    """The one-file program, or the one that BUNDLEGEN_PROGRAM names."""
    (made,) = dist.glob(f"bundlegen-*-linux-{os.uname().machine}")
    return Path(PROGRAM or made)


def run(program: Path, folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Without a PATH to any Python or makeself that might be installed."""
    tools = folder / "tools"
    if not tools.exists():
        tools.mkdir()
        for tool in Path("/usr/bin").iterdir():
            if not tool.name.startswith(("python", "makeself", "pip")):
                (tools / tool.name).symlink_to(tool)
    return subprocess.run(
        [program, *words], cwd=folder, env={"PATH": str(tools), **env}, capture_output=True, text=True, check=False
    )


def bill(dist: Path) -> Any:
    """The bill of materials."""
    (found,) = dist.glob("*.cdx.json")
    return json.loads(found.read_text())


def packed(dist: Path) -> dict[str, bytes]:
    """What the program unpacks, by name, and the bootloader, which has none."""
    (program,) = dist.glob(f"bundlegen-*-linux-{os.uname().machine}")
    archive = CArchiveReader(str(program))
    return {"": program.read_bytes().partition(b'\nmain "$@"\n')[2]} | {
        name: archive.extract(name) for name, entry in archive.toc.items() if entry[-1] == "b"
    }


def version(text: str) -> tuple[int, ...]:
    """2.9 is older than 2.31."""
    return tuple(map(int, text.split(".")))


def test_sums_licences_and_materials_are_beside_it(dist: Path) -> None:
    pairs = [line.split("  ") for line in (dist / "SHA256SUMS").read_text().splitlines()]
    lines = {name: digest for digest, name in pairs}
    assert set(lines) == {path.name for path in dist.iterdir()} - {"SHA256SUMS"}
    for name, digest in lines.items():
        assert hashlib.sha256((dist / name).read_bytes()).hexdigest() == digest
    parts = {each["name"].lower(): each for each in bill(dist)["components"]}
    assert {"cryptography", "pydantic", "pydantic_core", "pyyaml", "jinja2", "makeself", "python"} <= set(parts)
    assert {"hypothesis", "pytest", "mypy", "pygments"} & set(parts) == set()
    assert "openssl" in {each["name"] for each in parts["cryptography"]["components"]}
    licences = (dist / "THIRD-PARTY-LICENCES.txt").read_text()
    assert "GNU GENERAL PUBLIC LICENSE" in licences
    for each in parts.values():
        assert f"\n{each['name']} {each['version']}\n" in f"\n{licences}"


def test_every_packed_library_is_in_the_bill_of_materials(dist: Path) -> None:
    named = {each["name"] for each in bill(dist)["components"] if each["purl"].startswith("pkg:deb/")}
    loose = {name.partition(".so")[0] for name in packed(dist) if "/" not in name and name.startswith("lib")}
    assert {"libz", "libcrypto"} <= loose
    sources = {"libz": "zlib1g", "libcrypto": "libssl", "libssl": "libssl", "libbz2": "libbz2", "libgcc_s": "libgcc-s"}
    for library in loose - {"libpython3"}:
        if not library.startswith("libpython"):
            assert any(name.startswith(sources.get(library, library)) for name in named), library


def test_it_needs_no_newer_c_library_than_it_says_and_this_machine_has(dist: Path, tmp_path: Path) -> None:
    files = []
    for number, content in enumerate(packed(dist).values()):
        if content[:4] == b"\x7fELF":
            files.append(tmp_path / str(number))
            files[-1].write_bytes(content)
    assert len(files) > 20
    shown = subprocess.run(["objdump", "-T", *files], capture_output=True, text=True, check=True).stdout
    asked = max(version(found) for found in re.findall(r"\(?GLIBC_([0-9.]+)\)?", shown))
    (said,) = [each["value"] for each in bill(dist)["metadata"]["properties"] if each["name"] == "bundlegen:glibc"]
    assert asked <= version(said)
    assert version(said) <= version(C_LIBRARY)


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        ("glibc=.*", "glibc=2.999", "needs glibc 2.999 or newer, and this machine has 2."),
        ("machine=.*", "machine=pdp11", "is for pdp11 processors, and this machine has "),
    ],
)
def test_on_the_wrong_machine_it_says_so(program: Path, tmp_path: Path, line: str, instead: str, said: str) -> None:
    other = tmp_path / "bundlegen"
    head, _, rest = program.read_bytes().partition(b'\nmain "$@"\n')
    text = re.sub(f"^{line}$", instead, head.decode(), count=1, flags=re.MULTILINE)
    other.write_bytes(text.encode() + b'\nmain "$@"\n' + rest)
    other.chmod(0o755)
    done = run(other, tmp_path, "--version")
    assert (done.returncode, done.stdout) == (5, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_leaves_nothing_behind(program: Path, tmp_path: Path, number: signal.Signals) -> None:
    hosts = [{"name": f"h{host}", "address": f"10.1.0.{host + 1}"} for host in range(40)]
    (tmp_path / "cluster.yaml").write_text(json.dumps({"name": "prod", "kubernetesVersion": "v1.31.4", "hosts": hosts}))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with subprocess.Popen(
        [*WITH_SIGNALS, program, "build", "cluster.yaml"], cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "TMPDIR": str(temporary)}, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        # The keys of so many hosts take a while; the store's folder is made before them.
        while process.poll() is None and not (tmp_path / "pki").exists():
            time.sleep(0.01)
        process.send_signal(number)
        process.communicate()
    assert process.returncode == (130 if number == signal.SIGINT else 128 + number)
    assert list(temporary.iterdir()) == []


def test_what_a_killed_start_left_goes_with_the_next(program: Path, tmp_path: Path) -> None:
    """Killed while the loader unpacks, nothing of ours runs yet that could tidy up; what is not ours stays."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    places = tmp_path / "tmp dir"
    left = [f"bundlegen.{ended.pid}.AAAAAAAAAA", f"_MEI{ended.pid:08x}abcdef"]
    others = [f"bundlegen.{os.getpid()}.AAAAAAAAAA", f"_MEI{os.getpid():08x}abcdef", "bundlegen.x.AAAAAAAAAA", "_MEI1"]
    for name in (*left, *others):
        (places / name).mkdir(parents=True)
        (places / name / "bundlegen").write_text("")
    done = run(program, tmp_path, "--version", TMPDIR=str(places))
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in places.iterdir()) == sorted(others)


def test_it_builds_the_same_bytes_as_the_checkout(program: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples/three-hosts.yaml", tmp_path / "cluster.yaml")
    done = run(program, tmp_path, "build", "cluster.yaml", "--output", "one")
    assert done.returncode == 0, done.stderr
    subprocess.run(
        [sys.executable, "-m", "bundlegen", "build", "cluster.yaml", "--output", "two"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    # A program made elsewhere writes other versions of Python and zlib into the documents, and with them into the sums.
    documents = ["--exclude=CHANGE.md", "--exclude=change.*", "--exclude=SHA256SUMS"] if PROGRAM else []
    subprocess.run(["diff", "-r", *documents, tmp_path / "one", tmp_path / "two"], check=True)


# The journeys taken through the program for every day, in as many processes: what packing could break (modules loaded
# when asked for, templates, makeself and the bill of its stubs, other programs, signals, terminals, codes of exit).
JOURNEYS: dict[str, tuple[str, ...]] = {
    "build": (
        "build::test_the_change_folder_is_private_and_complete",
        "build::test_every_kind_of_cluster_builds_and_verifies[22-kubeadm]",
        "build::test_building_again_changes_nothing",
        "build_mishaps::test_a_signal_leaves_nothing_half_made[2-130]",
    ),
    "images": (
        "build_mishaps::test_progress_is_for_terminals",
        "images::test_bundles_carry_plain_archives_and_a_list_of_what_is_in_them",
        "images::test_makeselfs_own_switches_work_and_the_same_bytes_come_again",
        "images::test_images_prints_commands_that_save_just_what_is_needed",
    ),
    "record": (
        "record_build::test_parts_are_small_private_and_make_the_bundle_again",
        "record_build::test_reconcile_names_what_is_wrong_in_a_table_and_as_json",
        "record_build::test_the_schema_of_a_record",
        "trust_diff::test_for_machines",
    ),
    "trust": (
        "trust_seal::test_reviewers_need_no_code",
        "trust_sign::test_the_documented_commands",
        "trust_sign::test_the_passphrase_is_asked_for_on_the_terminal",
        "trust_verify::test_audit",
    ),
}
# With --long, all of them, a process for each file.
CHOICE = {name: (name,) for name in COMMANDS} if figures.long else JOURNEYS


@pytest.mark.parametrize("name", CHOICE)
def test_it_passes_the_command_line_tests(program: Path, name: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_") and name != "CI"}
    tests = [f"tests/integration/test_{file}.py{sign}{test}" for file, sign, test in _parted(CHOICE[name])]
    # Not below this test's own folder: the tests make sockets, whose names must be short.
    with tempfile.TemporaryDirectory(prefix="bundlegen-test.") as folder:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow"),
                *("--basetemp", f"{folder}/t"),
                *tests,
            ],
            cwd=ROOT, env={**environment, "BUNDLEGEN_PROGRAM": str(program)}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    passed = re.search(r"([0-9]+) passed", done.stdout)
    assert passed
    # each of those named, and of a whole file no fewer than it has had
    assert int(passed[1]) == len(tests) if not figures.long else int(passed[1]) >= 10


def _parted(names: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    return (name.partition("::") for name in names)


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("schema",),
        ("init", "infra0=10.0.0.6", "infra1=10.0.0.7", "infra2=10.0.0.8"),
        ("images", "cluster.yaml", "--json"),
        ("plan", "cluster.yaml"),
    ],
)
def test_it_says_what_the_checkout_says(program: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    shutil.copy(ROOT / "examples/three-hosts.yaml", tmp_path / "cluster.yaml")
    expected = subprocess.run(
        [sys.executable, "-m", "bundlegen", *words], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    done = run(program, tmp_path, *words)
    assert (done.returncode, done.stdout, done.stderr) == (0, expected.stdout, expected.stderr)


def test_the_guide_promises_what_the_oldest_is_made_for() -> None:
    made_for = re.search(r"^readonly GLIBC=([0-9.]+)$", (ROOT / ".ci/dist-oldest").read_text(), re.MULTILINE)
    promised = re.search(r"`make dist-oldest`[^;]*?: glibc ([0-9.]+[0-9])", (ROOT / "docs/air-gap.md").read_text())
    assert made_for
    assert promised
    assert made_for[1] == promised[1]


def test_it_builds_the_demo_in_a_bare_root_file_system(program: Path) -> None:
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        pytest.skip("needs root and mmdebstrap")
    (needed,) = re.findall(
        r"^glibc=([0-9.]+)$", program.read_bytes().partition(b'\nmain "$@"\n')[0].decode(), re.MULTILINE
    )
    release = next(name for name, has in RELEASES.items() if version(has) >= version(needed))
    done = subprocess.run(
        [ROOT / ".ci/try-bare", program, release],
        env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, f"try-bare: {release}: the same bundles as the checkout's\n"), (
        done.stderr
    )


def test_exit_codes_and_messages_are_the_same(program: Path, tmp_path: Path) -> None:
    done = run(program, tmp_path, "build", "missing.yaml")
    assert (done.returncode, done.stdout) == (3, "")
    assert "missing.yaml: does not exist" in done.stderr
    assert run(program, tmp_path, "nonsense").returncode == 2


def test_a_temporary_folder_from_which_nothing_may_run_does_not_matter(program: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount such a folder")
    locked, open_folder = tmp_path / "locked", tmp_path / "home"
    locked.mkdir()
    open_folder.mkdir()
    script = 'mount -t tmpfs -o noexec tmpfs "$1" && TMPDIR=$1 HOME=$2 "$3" --version && ls -A "$1" "$2"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", locked, open_folder, program],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("bundlegen ")
    assert sorted(filter(None, done.stdout.splitlines()[1:])) == sorted([f"{locked}:", f"{open_folder}:"])
