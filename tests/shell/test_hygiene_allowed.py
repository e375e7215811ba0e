"""Exceptions that hygiene is given, path by path."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shell.test_hygiene import KEY, baked, hygiene

__all__ = ["baked"]


def test_one_file_is_let_through_and_no_other(baked: Path, tmp_path: Path) -> None:
    for name in ("test.key", "test.key.old"):
        (baked / "opt").mkdir(exist_ok=True)
        (baked / "opt" / name).write_text(KEY)
    done = hygiene(baked, tmp_path / "work", "hygiene", "--allow", "/opt/test.key", "--allow", "/srv/none")
    assert done.returncode == 11
    assert "private keys are in this image: /opt/test.key.old\n" in done.stdout
    assert "warning: --allow /srv/none: nothing was found there" in done.stderr
    (baked / "opt/test.key.old").unlink()
    done = hygiene(baked, tmp_path / "work", "bake", "--check", "--allow", "/opt/test.key")
    assert done.returncode == 0, done.stdout
    assert "none but what is allowed: /opt/test.key\n" in done.stdout
    assert "warning" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("hygiene", "--allow", "opt/key"), "needs an absolute path"),
        (("hygiene", "--allow", "/opt/../etc"), "needs an absolute path"),
        (("hygiene", "--allow", "/opt/*"), "needs an absolute path"),
        (("bake", "--allow", "/opt/key"), "--allow belongs to hygiene"),
    ],
)
def test_what_cannot_be_allowed(baked: Path, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = hygiene(baked, tmp_path / "work", *words)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
