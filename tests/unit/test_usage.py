"""The command line: what is taken for what, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundlegen import __version__
from bundlegen.cli import parse
from bundlegen.commands.arguments import Arguments
from bundlegen.commands.options import OPTIONS
from bundlegen.commands.pages import PAGES, operands, overview, page_text, taken
from bundlegen.commands.usage import split
from bundlegen.errors import UsageError


def arguments(*words: str) -> Arguments:
    found = parse([*words])
    assert isinstance(found, Arguments)
    return found


def refused(*words: str) -> tuple[str, str]:
    """What is said, and the hint."""
    with pytest.raises(UsageError) as caught:
        parse([*words])
    return caught.value.message, caught.value.hint or ""


def test_what_build_is_given() -> None:
    found = arguments("build", "--seal", "c.yaml", "--jobs", "4", "--output=o", "--change", "create", "--quiet")
    assert (found.command, found.spec, found.output, found.jobs) == ("build", Path("c.yaml"), Path("o"), 4)
    assert (found.seal, found.quiet, found.change_name, found.json, found.replace) == (
        True,
        True,
        "create",
        False,
        False,
    )


def test_what_is_not_given_has_its_default() -> None:
    found = arguments("build", "c.yaml")
    assert (found.output, found.pki, found.pki_given, found.jobs) == (Path("out"), Path("pki"), False, None)
    assert (found.sign_key, found.split, found.change_name, found.existing) == (None, None, None, False)
    assert arguments("build", "c.yaml", "--pki", "pki").pki_given


def test_several_operands() -> None:
    found = arguments("diff", "old", "new")
    assert (found.old, found.new) == (Path("old"), Path("new"))
    assert arguments("init", "a=10.0.0.1", "b=10.0.0.2").pairs == ("a=10.0.0.1", "b=10.0.0.2")
    assert arguments("verify", "one", "two").paths == (Path("one"), Path("two"))
    assert arguments("reconcile", "change", "r", "s").receipts == (Path("r"), Path("s"))
    assert (arguments("status").clusters, arguments("status", "a", "b").clusters) == ((), ("a", "b"))


def test_an_older_spelling_is_taken() -> None:
    assert arguments("init", "a=10.0.0.1", "--output", "c.yaml").file == Path("c.yaml")
    assert arguments("unlock-codes", "prod", "--output=codes").file == Path("codes")


@pytest.mark.parametrize("command", PAGES)
def test_every_option_of_every_command_is_taken(command: str) -> None:
    """And gives other arguments than the command has without it."""
    page = PAGES[command]
    words = [] if page.operands.startswith("[") else [f"x{number}" for number, _ in enumerate(operands(page))]
    plain = arguments(command, *words)
    for name in taken(page):
        value = [] if not OPTIONS[name].value else ["7h" if OPTIONS[name].value == "DURATION" else "7"]
        pair = [word for other in page.pair if name in page.pair and other != name for word in (other, "y")]
        assert arguments(command, *words, name, *value, *pair) != plain, name
    for before, now in page.older:
        assert arguments(command, *words, before, "7") == arguments(command, *words, now, "7")


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        ([], "no command is given", "bundlegen --help lists them"),
        (["biuld", "c.yaml"], "unknown command 'biuld'", "did you mean build?"),
        (["qqqqqq"], "unknown command 'qqqqqq'", "bundlegen --help lists them"),
        (["build"], "build needs SPEC (the specification, such as cluster.yaml)", "bundlegen build --help"),
        (["diff", "one"], "diff needs NEW (the bundle or the folder of the change after it)", "bundlegen diff --help"),
        (["build", "a", "b"], "build takes SPEC and not also 'b'", "bundlegen build --help"),
        (["build", "a", "--sael"], "unknown option --sael", "did you mean --seal?"),
        (["build", "a", "--rep"], "unknown option --rep", "options are written out: --replace"),
        (["build", "a", "-x"], "unknown option -x", "bundlegen COMMAND --help lists the options"),
        (["build", "a", "--metrics", "x"], "build has no --metrics", "taken by reconcile, status"),
        (["build", "a", "--seal=yes"], "--seal takes no value, and is given 'yes'", "write --seal alone"),
        (["build", "a", "--jobs"], "--jobs needs N after it", "keys to make at once"),
        (["build", "a", "--output="], "--output is given an empty DIR", "folder for what may be carried away"),
        (["build", "a", "--seal", "--seal"], "--seal is given 2 times", "once is enough"),
        (["verify", "a", "--signer", "x"], "--signer needs --allowed-signers FILE beside it", "who may sign"),
        (["schema", "chnage"], "schema takes the word change or none, not 'chnage'", ""),
        (["build", "a", "--jobs", "0"], "--jobs 0: not a number from 1 to 1024", "leave it out"),
        (["build", "a", "--jobs", "1025"], "--jobs 1025: not a number from 1 to 1024", "leave it out"),
        (["build", "a", "--jobs", "\u0664"], "--jobs \u0664: not a number from 1 to 1024", "leave it out"),
    ],
)
def test_a_wrong_one_is_named_and_put_right(words: list[str], said: str, hint: str) -> None:
    message, help_ = refused(*words)
    assert message == said
    assert hint in help_


def test_help_and_version_are_texts() -> None:
    assert parse(["--version"]) == parse(["-V"]) == f"bundlegen {__version__}"
    assert parse(["--help"]) == parse(["help"]) == overview(__version__)
    for command in PAGES:
        assert parse([command, "--help"]) == parse(["help", command]) == page_text(command)
    assert refused("help", "biuld") == ("unknown command 'biuld'", "did you mean build?")


def test_words_are_split_without_knowing_the_command() -> None:
    plain, options = split(["build", "--jobs", "--seal", "-", "--output=a=b", "x", "--json"])
    assert plain == ["build", "-", "x"]
    assert options == [("--jobs", "--seal"), ("--output", "a=b"), ("--json", None)]
