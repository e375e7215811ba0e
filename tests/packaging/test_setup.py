"""`.ci/setup`, which `make setup` runs: what it installs, what it says where it cannot, and when it does nothing.

It runs on a PATH with only what a minimal system has, with a virtual environment that only writes down what is asked
of it, so nothing is installed for real.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lint.tree import ROOT

MINIMAL = ("bash", "cat", "chmod", "dirname", "env", "flock", "mkdir", "rm", "sed", "sha256sum")
INPUTS = (".ci/setup", "setup.cfg", "pyproject.toml", ".ci/pins/run.txt", ".ci/pins/test.txt")
WANTED = (
    "ip",
    "busybox",
    "objdump",
    "packer",
    "shellcheck",
    "shfmt",
    "strace",
    "chromium",
    "chromedriver",
    "pdftotext",
    "openssl",
    "ssh-keygen",
)

HAS_ALL = 'echo "  Candidate: 1.2-3"'
NONE = "  Candidate: (none)"


@dataclass(frozen=True)
class Machine:
    """A checkout and a PATH."""

    project: Path
    path: Path

    def command(self, name: str, script: str = "exit 0") -> None:
        write_program(self.path / name, script)

    def setup(self, level: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.project / ".ci/setup", level],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.fspath(self.path), **environment},
        )

    def asked_of_pip(self) -> list[str]:
        log = self.project / "pip.log"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def write_program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A minimal system with Python, where makeself is missing and .venv is a stand-in."""
    made = Machine(tmp_path / "a checkout", tmp_path / "bin")
    for name in INPUTS:
        target = made.project / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    made.path.mkdir()
    for name in MINIMAL:
        (made.path / name).symlink_to(f"/usr/bin/{name}")
    (made.path / "python3.11").symlink_to(sys.executable)
    write_program(made.project / ".venv/bin/python", 'printf "%s\\n" "$*" >> pip.log')
    write_program(made.project / ".venv/bin/bundlegen", "exit 0")
    return made


def test_a_missing_package_that_is_needed_is_named_with_the_command(machine: Machine) -> None:
    done = machine.setup("demo")
    assert done.returncode == 1
    assert "apt-get update && apt-get install --no-install-recommends -y makeself\n" in done.stderr
    assert "nothing works without makeself" in done.stderr
    assert machine.asked_of_pip() == []


def test_missing_test_tools_are_named_and_it_goes_on(machine: Machine) -> None:
    machine.command("makeself")
    done = machine.setup("dev")
    assert done.returncode == 0
    for package in ("shellcheck", "shfmt", "strace", "chromium-driver", "openssl", "openssh-client"):
        assert f" {package}" in done.stderr
    assert "tests that need them are skipped" in done.stderr


def test_missing_test_tools_are_an_error_in_ci(machine: Machine) -> None:
    machine.command("makeself")
    done = machine.setup("dev", CI="true")
    assert done.returncode == 1
    assert machine.asked_of_pip() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs packages")
def test_root_installs_exactly_what_is_missing(machine: Machine) -> None:
    log = machine.project / "apt.log"
    machine.command("apt-get", f'printf "%s\\n" "$*" >> "{log}"\nPATH=/usr/bin\n[[ $* != *update* ]] || exit 100')
    machine.command("apt-cache", HAS_ALL)
    for name in WANTED[:-1]:
        machine.command(name)
    done = machine.setup("dev", CI="true")
    assert done.returncode == 0, done.stderr
    update, install = log.read_text(encoding="utf-8").splitlines()
    assert update.endswith(" update")
    assert install.endswith(" install --no-install-recommends makeself openssh-client")
    assert "apt-get update failed; going on" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs packages")
def test_what_the_system_has_no_package_for_is_named_and_left_out(machine: Machine) -> None:
    """Debian 13 has no packer."""
    log = machine.project / "apt.log"
    machine.command("apt-get", f'printf "%s\\n" "$*" >> "{log}"')
    machine.command("apt-cache", f'[[ $* == "policy packer" ]] && echo "{NONE}" || {HAS_ALL}')
    machine.command("makeself")
    for name in WANTED:
        if name != "packer":
            machine.command(name)
    done = machine.setup("dev")
    assert done.returncode == 0, done.stderr
    assert "this system has no package packer\n" in done.stderr
    assert "tests that need them are skipped" in done.stderr
    assert " install " not in log.read_text(encoding="utf-8")
    assert machine.setup("dev", CI="true").returncode == 1
    machine.command("apt-cache", f'echo "{NONE}"')
    (machine.path / "makeself").unlink()
    done = machine.setup("dev")
    assert done.returncode == 1
    assert "nothing works without makeself" in done.stderr


def test_the_environment_is_made_once(machine: Machine) -> None:
    machine.command("makeself")
    assert machine.setup("demo").returncode == 0
    first = machine.asked_of_pip()
    assert "--no-build-isolation" in first[-1]
    assert first[-1].endswith(" --editable .")
    assert "--no-deps" in first[-1]
    assert "--require-hashes --only-binary=:all:" in first[-2]
    assert machine.setup("demo").returncode == 0
    assert machine.asked_of_pip() == first


@pytest.mark.parametrize("changed", INPUTS)
def test_the_environment_follows_what_it_is_made_from(machine: Machine, changed: str) -> None:
    machine.command("makeself")
    machine.setup("demo")
    first = machine.asked_of_pip()
    with (machine.project / changed).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert machine.setup("demo").returncode == 0
    assert machine.asked_of_pip() == first * 2


def test_the_test_environment_serves_the_demo_but_not_the_other_way(machine: Machine) -> None:
    for name in ("makeself", *WANTED):
        machine.command(name)
    machine.setup("demo")
    demo = machine.asked_of_pip()
    machine.setup("dev")
    both = machine.asked_of_pip()
    assert len(both) > len(demo)
    assert "-r .ci/pins/run.txt" in demo[-2]
    assert "-r .ci/pins/test.txt" in both[-2]
    machine.setup("demo")
    machine.setup("test")
    assert machine.asked_of_pip() == both


def test_every_requirement_is_pinned_with_hashes() -> None:
    """As setup.cfg has them, and with what they require in turn; what runs has the versions that are tested with."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    extras = config["options.extras_require"]
    needed = {"run": [config["options"]["install_requires"], "setuptools"]}
    needed["dist"] = [*needed["run"], extras["dist"], "pip"]
    needed["test"] = [*needed["run"], extras["dist"], extras["test"]]
    found = {}
    for level, texts in needed.items():
        text = (ROOT / f".ci/pins/{level}.txt").read_text("ascii")
        entries = re.findall(r"^([a-z0-9._-]+)==(\S+) ((?:\\\n    --hash=sha256:[0-9a-f]{64} ?)+)$", text, re.MULTILINE)
        assert len(entries) == text.count("==")
        found[level] = {name: version for name, version, _ in entries}
        names = {re.split("[<>=]", each)[0].lower() for line in texts for each in line.split()}
        assert names <= found[level].keys()
    assert found["run"].items() <= found["test"].items()
    assert {**found["dist"], "pip": ""}.items() <= {**found["test"], "pip": ""}.items()


def test_no_python(machine: Machine) -> None:
    (machine.path / "python3.11").unlink()
    machine.command("python3", "exit 1")
    done = machine.setup("demo")
    assert done.returncode == 1
    assert "no Python 3.11 or newer" in done.stderr
    assert machine.setup("demo", PYTHON=sys.executable).returncode == 1
    machine.command("makeself")
    assert machine.setup("demo", PYTHON=sys.executable).returncode == 0


def test_a_wrong_argument(machine: Machine) -> None:
    done = machine.setup("everything")
    assert done.returncode == 1
    assert "usage: .ci/setup demo|dev|test" in done.stderr
