"""The Python of the project: ruff's rules and format, mypy's strict types, and that our own bans are in force."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.lint.tree import ROOT, check, python_tool

# Each effect and the one module that may have it. ruff.toml forgives the owners every ban; here, each only its own.
OWNERS = {
    "use bundlegen.system.process": "bundlegen/system/process.py",
    "use bundlegen.system.clock": "bundlegen/system/clock.py",
    "use bundlegen.pki.entropy": "bundlegen/pki/entropy.py",
    "use bundlegen.spec.load": "bundlegen/spec/load.py",
}
BANNED = [
    "import subprocess\n",
    "from subprocess import run\n",
    "import os\n\nprint(os.system('true'))\n",
    "import datetime\n\nprint(datetime.datetime.now(datetime.UTC))\n",
    "import time\n\nprint(time.time())\n",
    "from time import monotonic\n",
    "import secrets\n",
    "import os\n\nprint(os.urandom(1))\n",
    "import random\n",
    "import uuid\n",
    "import argparse\n",
    "import socket\n",
    "import asyncio\n",
    "from urllib.request import urlopen\n",
]


def test_ruff_check() -> None:
    check([*python_tool("ruff"), "check", "."])


def test_ruff_format() -> None:
    check([*python_tool("ruff"), "format", "--check", "--diff", "."])


def test_mypy_strict() -> None:
    check(python_tool("mypy"))


def _bans(*arguments: str, source: str = "") -> list[tuple[str, str]]:
    """What ruff's banned-api rule finds, nobody forgiven: (file, message)."""
    done = subprocess.run(
        [
            *python_tool("ruff"), "check", "--output-format=json", "--select=TID251",
            "--config=lint.per-file-ignores={}", *arguments,
        ],
        cwd=ROOT, input=source, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return [
        (Path(finding["filename"]).relative_to(ROOT).as_posix(), finding["message"])
        for finding in json.loads(done.stdout)
    ]


@pytest.mark.parametrize("source", BANNED)
def test_the_bans_are_in_force(source: str) -> None:
    assert len(_bans(f"--stdin-filename={ROOT}/bundlegen/spec/model.py", "-", source=source)) == 1


def test_each_owner_has_one_effect() -> None:
    found = _bans("bundlegen")
    assert {file for file, _ in found} >= {
        "bundlegen/system/process.py",
        "bundlegen/system/clock.py",
        "bundlegen/pki/entropy.py",
    }
    assert [(file, text) for file, text in found if not any(o == file and m in text for m, o in OWNERS.items())] == []
