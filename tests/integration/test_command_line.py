"""The command line itself: options have one meaning each, are written out, and errors have their codes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from bundlegen.commands import options, pages
from bundlegen.commands.options import OPERANDS
from bundlegen.commands.pages import PAGES
from tests.building import BUNDLEGEN, build, environment, main, specification, write

HOSTS = ("infra0=10.0.0.6", "infra1=10.0.0.7", "infra2=10.0.0.8")
OPTIONS = sorted(options.OPTIONS)
NEEDED = {
    "replace": "SPEC and HOST",
    "init": "NAME=ADDRESS",
    "extract": "BUNDLE and DIR",
    "diff": "OLD and NEW",
    "reconcile": "CHANGE and RECEIPT",
}
"""What a command without arguments lacks, where that is not one thing."""


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_option_is_taken_by_a_command() -> None:
    taken = {name for page in PAGES.values() for name in pages.taken(page)}
    assert taken == set(OPTIONS)
    assert {name for page in PAGES.values() for name in pages.operands(page)} == set(OPERANDS)


def test_the_overview_names_every_command_in_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) < 40
    assert [line.split()[0] for line in lines if line.startswith("  ") and line.split()[0] in PAGES] == list(PAGES)


@pytest.mark.parametrize("command", PAGES)
@pytest.mark.parametrize("words", [("--help",), ("-h",), ("--json", "--help", "x")])
def test_each_command_has_a_page_of_its_own(
    command: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 45
    assert lines[0].startswith(f"bundlegen {command}: ")
    shown = [line.split()[0] for line in lines if line.startswith("  --")]
    assert shown == list(pages.taken(PAGES[command]))


@pytest.mark.parametrize("command", [each for each in PAGES if not PAGES[each].operands.startswith("[")])
def test_what_is_missing_is_named(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command]) == 2
    names = NEEDED.get(command, pages.operands(PAGES[command])[0]).split(" and ")
    said = " and ".join(f"{name} ({OPERANDS[name]})" for name in names)
    assert capsys.readouterr().err == f"bundlegen: error: {command} needs {said} (bundlegen {command} --help)\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no command is given (bundlegen --help lists them)"),
        (("buidl", "cluster.yaml"), "unknown command 'buidl' (did you mean build?)"),
        (("biuld",), "unknown command 'biuld' (did you mean build?)"),
        (("Verify", "x"), "unknown command 'Verify' (did you mean verify?)"),
        (("unlockcodes", "x"), "unknown command 'unlockcodes' (did you mean unlock-codes?)"),
        (("frobnicate",), "unknown command 'frobnicate' (bundlegen --help lists them)"),
        (("help", "buidl"), "unknown command 'buidl' (did you mean build?)"),
        (("build", "a.yaml", "--seall"), "unknown option --seall (did you mean --seal?)"),
        (("build", "a.yaml", "--sign_key", "k"), "unknown option --sign_key (did you mean --sign-key?)"),
        (("build", "a.yaml", "-v"), "unknown option -v (bundlegen COMMAND --help lists the options)"),
        (("build", "a.yaml", "b.yaml"), "build takes SPEC and not also 'b.yaml' (bundlegen build --help)"),
        (("extract", "a.run"), "extract needs DIR (a folder) (bundlegen extract --help)"),
        (
            ("audit", "out", "--pki", "pki"),
            (
                "audit has no --pki "
                "(taken by build, renew, replace, adopt, restore, rotate-ca, withdraw, plan, unlock-codes, reconcile, "
                "status, packer)"
            ),
        ),
        (("build", "a.yaml", "--metrics", "x"), "build has no --metrics (taken by reconcile, status)"),
        (
            ("build", "a.yaml", "--pki"),
            "--pki needs DIR after it (folder for the keys, which stay here)",
        ),
        (
            ("build", "a.yaml", "--pki="),
            "--pki is given an empty DIR (folder for the keys, which stay here)",
        ),
        (("build", "a.yaml", "--json=yes"), "--json takes no value, and is given 'yes' (write --json alone)"),
        (("build", "a.yaml", "--jobs", "1", "--jobs", "2"), "--jobs is given 2 times (once is enough)"),
        (
            ("verify", "a.run", "--allowed-signers", "f"),
            "--allowed-signers needs --signer ID beside it (the name in that file of who must have signed)",
        ),
        (("schema", "chnage"), "schema takes the word change or none, not 'chnage'"),
    ],
)
def test_what_is_wrong_is_said(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(list(words)) == 2
    assert capsys.readouterr().err == f"bundlegen: error: {said}\n"


def test_options_may_come_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quiet", "init", "--name=prod", *HOSTS]) == 0
    assert "\nname: prod\n" in capsys.readouterr().out


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
    said = "bundlegen: error: unknown option --colour (bundlegen COMMAND --help lists the options)\n"
    assert capsys.readouterr().err == said


def test_init_still_takes_its_file_as_0_1_called_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["init", *HOSTS, "--output", "cluster.yaml"]) == 0
    assert [each.name for each in tmp_path.iterdir()] == ["cluster.yaml"]
    assert "wrote cluster.yaml" in capsys.readouterr().err


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


def piped(folder: Path, words: str, errors: str = "") -> int:
    """The exit code of bundlegen whose reader goes away after a line, or at once."""
    program = " ".join(BUNDLEGEN)
    script = f"set -o pipefail; {program} {words} {errors} | head -n 1 > /dev/null; echo ${{PIPESTATUS[0]}}"
    gone = f"{program} {words} {errors} | true; echo ${{PIPESTATUS[0]}}"
    codes = set()
    for text in (script, gone):
        done = subprocess.run(
            ["bash", "-c", text],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        codes.add(int(done.stdout))
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr
    assert len(codes) == 1
    return codes.pop()


def test_a_verdict_is_not_lost_to_a_closed_pipe(tmp_path: Path) -> None:
    write(tmp_path, specification(manifest="rendered"))
    build(tmp_path)
    change = tmp_path / "out/prod/create"
    (tmp_path / "bad.run").write_bytes(b"#!/bin/sh\n" + b"x" * 1000)
    (tmp_path / "empty").mkdir()
    other = tmp_path / "other"
    other.mkdir()
    write(other, specification(manifest="rendered", etcd={"extraArgs": {"snapshot-count": "5000"}}))
    build(other)
    assert piped(tmp_path, "verify bad.run") == 6
    assert piped(tmp_path, f"verify bad.run {change} bad.run") == 6
    assert piped(tmp_path, "verify bad.run --json") == 6
    assert piped(tmp_path, "verify bad.run", "2>&1") == 6
    assert piped(tmp_path, f"verify {change}") == 0
    assert piped(tmp_path, f"diff {change} other/out/prod/create") == 1
    assert piped(tmp_path, f"diff {change} {change}") == 0
    assert piped(tmp_path, f"diff {change} other/out/prod/create --json") == 1
    assert piped(tmp_path, "build nothing.yaml", "2>&1") == 3
    assert piped(tmp_path, "buidl", "2>&1") == 2
    assert piped(tmp_path, "audit .") == 6
    assert piped(tmp_path, "schema") == 0
    assert piped(tmp_path, "build --help") == 0
    assert piped(other, "build cluster.yaml --output again --pki keys", "2>&1") == 0
    assert (other / "again/prod/create/SHA256SUMS").is_file()


def test_quiet_prints_nothing_but_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, specification(2))
    capsys.readouterr()
    for words in (
        ["build", "cluster.yaml", "--quiet"],
        ["build", "cluster.yaml", "--quiet"],
        ["verify", "out/prod/create", "--quiet"],
        ["extract", "out/prod/create/infra0.run", "unpacked", "--quiet"],
        ["packer", "cluster.yaml", "--quiet"],
    ):
        assert main(words) == 0
        assert capsys.readouterr() == ("", ""), words


def test_quiet_leaves_errors_and_what_was_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.run").write_text("no bundle")
    assert main(["verify", "bad.run", "--quiet"]) == 6
    assert "bad.run" in capsys.readouterr().out
    assert main(["build", "nothing.yaml", "--quiet"]) == 3
    assert "nothing.yaml: does not exist" in capsys.readouterr().err
    write(tmp_path, specification(2))
    assert main(["plan", "cluster.yaml", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert "To be issued:" in out
    assert err == ""
    assert main(["build", "cluster.yaml", "--quiet", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["written"] is True
    assert err == ""
