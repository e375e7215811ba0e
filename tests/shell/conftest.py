"""Fixtures of the installer's tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shell.sandbox import Sandbox


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Sandbox]:
    """A host called infra0 with the address 10.0.0.6, fit for an install."""
    if os.geteuid() != 0:
        pytest.skip("a sandbox needs root, for namespaces and mounts")
    with Sandbox(tmp_path / "sandbox") as sandbox:
        yield sandbox
