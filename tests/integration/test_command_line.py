"""The command line itself: options have one meaning each, are written out, and errors have their codes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bundlegen import cli
from tests.building import main

HOSTS = ("infra0=10.0.0.6", "infra1=10.0.0.7", "infra2=10.0.0.8")
OPTIONS = sorted(set(re.findall(r"^  (--[a-z-]+)", cli.__doc__ or "", re.MULTILINE)) - {"--help", "--version"})


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_option_is_in_the_text_once_and_in_the_usage() -> None:
    text = cli.__doc__ or ""
    usage, described = text.split("\nOptions:\n")
    assert len(OPTIONS) > 15
    assert len(re.findall(r"^  (--[a-z-]+)", described, re.MULTILINE)) == len(OPTIONS) + 2
    assert [option for option in OPTIONS if f"[{option}" not in usage and option != "--signer"] == []


@pytest.mark.parametrize("option", OPTIONS)
def test_no_option_is_abbreviated(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    for length in range(3, len(option)):
        short = option[:length]
        if short in OPTIONS:
            continue
        for words in ([short, "x"], [f"{short}=x"]):
            assert main(["build", "cluster.yaml", *words]) == 2
            said = capsys.readouterr().err
            assert f"unknown option {short} (options are written out: " in said
            assert option in said


def test_an_option_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "cluster.yaml", "--colour"]) == 2
    said = "bundlegen: error: unknown option --colour (bundlegen --help lists the options)\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    "words", [("init", *HOSTS, "--output", "cluster.yaml"), ("unlock-codes", "prod", "--output", "codes")]
)
def test_output_is_a_folder_everywhere(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(words) == 2
    assert "--output is a folder; the file to write is --file FILE" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_init_writes_to_a_new_file_only(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["init", *HOSTS, "--file", "cluster.yaml", "--name", "prod-etcd"]) == 0
    assert capsys.readouterr().err == "bundlegen: wrote cluster.yaml; next: bundlegen build cluster.yaml\n"
    text = (tmp_path / "cluster.yaml").read_text()
    assert "\nname: prod-etcd\n" in text
    assert main(["init", *HOSTS, "--file", "cluster.yaml"]) == 4
    assert "cluster.yaml exists and is left as it is (choose another name with --file)" in capsys.readouterr().err
    assert (tmp_path / "cluster.yaml").read_text() == text
    assert main(["init", *HOSTS, "--file", "no/cluster.yaml"]) == 7
    assert "cannot write no/cluster.yaml: No such file or directory" in capsys.readouterr().err


def test_init_says_when_it_chose_the_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", *HOSTS]) == 0
    out, err = capsys.readouterr()
    assert "\nname: etcd\n" in out
    assert err == "bundlegen: the cluster is called etcd; a second cluster needs another name: --name NAME\n"


@pytest.mark.parametrize("name", ["Prod", "a.b", "", "a b", "-a", "x" * 64])
def test_a_name_that_no_cluster_can_have(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", *HOSTS, "--name", name]) == 2
    assert "bundlegen: error: --name: " in capsys.readouterr().err


def test_a_name_that_looks_like_something_else_stays_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", *HOSTS, "--name", "123"]) == 0
    assert '\nname: "123"\n' in capsys.readouterr().out
