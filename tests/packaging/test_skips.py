"""Continuous integration may not pass over the tests that matter: there, a skip is a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.lint.tree import ROOT

# Every way to skip, one file each.
SKIPS = {
    "test_inside.py": "import pytest\n\ndef test_it():\n    pytest.skip('no hosts here')\n",
    "test_marked.py": "import pytest\n\n@pytest.mark.skipif(True, reason='no hosts here')\ndef test_it():\n    pass\n",
    "test_fixture.py": (
        "import pytest\n\n@pytest.fixture\ndef hosts():\n    pytest.skip('no hosts here')\n\n"
        "def test_it(hosts):\n    pass\n"
    ),
    "test_module.py": "import pytest\n\npytest.skip('no hosts here', allow_module_level=True)\n",
}


def run(
    folder: Path, tier: str, sources: dict[str, str], *, ci: bool, also: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    tests = folder / "tests"
    (tests / tier).mkdir(parents=True)
    shutil.copy(ROOT / "setup.cfg", folder)
    for needed in ("conftest.py", "figures.py"):
        shutil.copy(ROOT / "tests" / needed, tests)
    for name, source in sources.items():
        (tests / tier / name).write_text(source, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "--continue-on-collection-errors", f"tests/{tier}", *also],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=environment | ({"CI": "true"} if ci else {}),
    )


@pytest.mark.parametrize("tier", ["e2e", "lint", "packaging"])
def test_in_ci_a_skip_is_a_failure(tmp_path: Path, tier: str) -> None:
    done = run(tmp_path, tier, SKIPS, ci=True)
    assert done.returncode == 1
    assert "in continuous integration this must run, and was not: Skipped: no hosts here" in done.stdout
    assert "= 1 failed, 3 errors in" in done.stdout.splitlines()[-1]


def test_elsewhere_a_skip_is_listed_with_its_reason(tmp_path: Path) -> None:
    done = run(tmp_path, "e2e", SKIPS, ci=False)
    assert done.returncode == 0
    assert "no hosts here" in done.stdout
    assert f"{len(SKIPS)} skipped" in done.stdout.splitlines()[-1]


def test_in_ci_other_tiers_may_skip(tmp_path: Path) -> None:
    done = run(tmp_path, "integration", SKIPS, ci=True)
    assert done.returncode == 0
    assert f"{len(SKIPS)} skipped" in done.stdout.splitlines()[-1]


def test_no_end_to_end_test_at_all_is_a_failure(tmp_path: Path) -> None:
    assert run(tmp_path, "e2e", {"test_empty.py": ""}, ci=True).returncode == 5


def test_each_tier_is_summed_up_in_one_line(tmp_path: Path) -> None:
    source = "import pytest\n\ndef test_passes():\n    pass\n\ndef test_fails():\n    assert False\n"
    run(tmp_path, "unit", {}, ci=False)
    (tmp_path / "tests/unit/test_two.py").write_text(source, encoding="utf-8")
    done = run(tmp_path, "shell", SKIPS, ci=False, also=["tests/unit", "--tiers=lines"])
    lines = [
        "shell           0 passed,     0 failed,     4 skipped,      0 s",
        "unit            1 passed,     1 failed,     0 skipped,      0 s",
    ]
    assert [line for line in done.stdout.splitlines() if line in lines] == lines
    assert (tmp_path / "lines").read_text(encoding="utf-8").splitlines() == lines


LEAVES_A_PROCESS = """
import subprocess

def test_that_leaves_a_process():
    process = subprocess.Popen(["true"], stdout=subprocess.PIPE)
    process.wait()
    process.itself = process

def test_after_it():
    pass
"""


def test_what_a_test_leaves_open_fails_that_test_and_no_other(tmp_path: Path) -> None:
    done = run(tmp_path, "integration", {"test_open.py": LEAVES_A_PROCESS}, ci=False)
    assert "= 2 passed, 1 error in" in done.stdout.splitlines()[-1], done.stdout
    assert "ERROR at teardown of test_that_leaves_a_process" in done.stdout
