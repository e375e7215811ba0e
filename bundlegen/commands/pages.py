"""What each command takes, as one table: from it come the pages of ``--help`` and the parsing. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 80
_INDENT: Final = 26


@dataclass(frozen=True)
class Option:
    """One option, which means the same wherever it is taken. ``value``: what follows it; empty for a switch."""

    name: str
    value: str
    text: str


@dataclass(frozen=True)
class Page:
    """One command. ``operands``: those of the usage, one pattern; ``text``: more than the ``summary`` says.

    ``pair``: options that are given together or not at all. ``older``: a spelling of before, and what it is now.
    """

    command: str
    operands: str
    summary: str
    text: str
    options: tuple[str, ...] = ()
    pair: tuple[str, ...] = ()
    older: tuple[tuple[str, str], ...] = ()


OPERANDS: Final = {
    "NAME=ADDRESS": "name and IP address of each host, such as infra0=10.0.0.6",
    "SPEC": "the specification, such as cluster.yaml",
    "HOST": "hosts by name; without any, all of them",
    "OPERATION": "what is asked for by its name, such as renew; without it, what the specification leads to",
    "BUNDLE": "a bundle, such as infra0.run",
    "PATH": "bundles, and folders of changes",
    "DIR": "a folder",
    "OLD": "the bundle or the folder of the change before",
    "NEW": "the bundle or the folder of the change after it",
    "CLUSTER": "the name of the cluster, as its specification has it",
    "CHANGE": "the folder of a change, or its change.json",
    "RECEIPT": "receipts, and folders to look for them in",
    "change": "the word itself: the schema of change.json instead",
}

OPTIONS: Final = {
    option.name: option
    for option in (
        Option("--name", "NAME", "the name of the cluster (default: etcd)"),
        Option("--file", "FILE", "a new file for the result, instead of standard output"),
        Option("--output", "DIR", "folder for what may be carried away [default: out]"),
        Option("--pki", "DIR", "folder for the keys, which stay here (default: pki)"),
        Option("--change", "NAME", "the change to make again, or to take back, such as create or 2-configure"),
        Option("--within", "DURATION", "only hosts with a certificate that expires by then, such as 60d"),
        Option("--existing", "", "only if the cluster's store is there already: no new CA is made"),
        Option("--jobs", "N", "how many keys to make at once (default: one per processor)"),
        Option("--seal", "", "encrypt the keys in the bundles, each host's under an unlock code of its own"),
        Option(
            "--sign-key",
            "KEY",
            "sign SHA256SUMS with this SSH key: its file, or the .pub of a key that an agent or a token holds",
        ),
        Option("--base", "", "make base.run as well: what all hosts share, and no secret, for golden images"),
        Option(
            "--shared-images",
            "",
            "put the images into one file beside the bundles, images.tar.gz, instead of into each bundle",
        ),
        Option("--split", "SIZE", "write each bundle in numbered parts as well, of at most SIZE (such as 10M)"),
        Option("--extension", "EXT", "end the names of what is to be attached in EXT, such as txt"),
        Option("--source-date", "", "date what is new by SOURCE_DATE_EPOCH, however far it is from the clock"),
        Option("--replace", "", "put what comes out different in the place of what is there"),
        Option("--at", "DATE", "the moment for which certificates must be valid (default: now)"),
        Option("--allowed-signers", "FILE", "who may sign, as in ssh-keygen(1); then a good signature is demanded"),
        Option("--signer", "ID", "the name in that file of who must have signed"),
        Option("--metrics", "FILE", "write the answer for node-exporter's textfile collector"),
        Option("--json", "", "the result as JSON"),
        Option("--quiet", "", "print nothing but errors, and what was asked for"),
        Option("--verbose", "", "with an error, where in bundlegen it arose"),
    )
}

_MAKING: Final = ("--output", "--pki")
_TELLING: Final = ("--json", "--quiet", "--verbose")

PAGES: Final = {
    page.command: page
    for page in (
        Page(
            "init",
            "NAME=ADDRESS...",
            "write a commented cluster.yaml for these hosts",
            "The specification goes to standard output, or into the new file --file. Version 0.1 called this option "
            "--output, which is still taken.",
            ("--name", "--file", "--quiet", "--verbose"),
            older=(("--output", "--file"),),
        ),
        Page(
            "build",
            "SPEC",
            "make the next change: a bundle per host, and its record",
            "The change leads from what the store records to what the specification says; if nothing differs, it is "
            "the newest one again. Keys and certificates that the store lacks are issued and kept there. The folder "
            "out/<cluster>/<change>/ appears complete or not at all. The same specification and store give the same "
            "bytes.",
            (
                *_MAKING,
                "--change",
                "--existing",
                "--jobs",
                "--replace",
                "--sign-key",
                "--seal",
                "--base",
                "--shared-images",
                "--split",
                "--extension",
                "--source-date",
                *_TELLING,
            ),
        ),
        Page(
            "renew",
            "SPEC [HOST...]",
            "make new keys and certificates, under the same CA",
            "The next change: a bundle per host that is asked for, run in any order; nothing on a host is restarted. "
            "The CA and what was issued before stay in the store. Nothing is written if --within finds nothing to "
            "renew. It changes nothing else: where the specification was edited as well, build comes first.",
            (
                "--within",
                *_MAKING,
                "--jobs",
                "--replace",
                "--sign-key",
                "--seal",
                "--shared-images",
                "--split",
                "--extension",
                "--source-date",
                *_TELLING,
            ),
        ),
        Page(
            "withdraw",
            "SPEC",
            "take back the newest change, which no host has run",
            "The history says so from then on, and its folder in --output is removed. Its number is not used again.",
            ("--change", *_MAKING, *_TELLING),
        ),
        Page(
            "plan",
            "SPEC [OPERATION [HOST...]]",
            "print what the next change would do; writes nothing",
            "Which change it would be, what it would put where on which host, and which certificates it would issue.",
            ("--pki", "--within", "--base", "--source-date", *_TELLING),
        ),
        Page(
            "images",
            "SPEC",
            "list the container images that the hosts need",
            "With the commands that fetch them on a machine that has a network.",
            _TELLING,
        ),
        Page(
            "inspect",
            "BUNDLE",
            "show what is in a bundle; runs nothing from it",
            "",
            ("--json", "--verbose"),
        ),
        Page(
            "extract",
            "BUNDLE DIR",
            "unpack a bundle into the new folder DIR; runs nothing from it",
            "",
            ("--quiet", "--verbose"),
        ),
        Page(
            "verify",
            "PATH... [--allowed-signers FILE --signer ID]",
            "check bundles and change folders, without running them",
            "Checked are sums, signature, stub, certificates, keys, modes, and that each file is what bundlegen makes. "
            "Exit code 6 if anything is not as it should be.",
            ("--at", *_TELLING),
            pair=("--allowed-signers", "--signer"),
        ),
        Page(
            "audit",
            "DIR",
            "show which private key is in which of the bundles below DIR",
            "",
            ("--json", "--verbose"),
        ),
        Page(
            "diff",
            "OLD NEW",
            "say what changes on the hosts from one change to another",
            "Exit code 0 if nothing changes, 1 if something does.",
            ("--json", "--verbose"),
        ),
        Page(
            "unlock-codes",
            "CLUSTER",
            "show the unlock codes of sealed bundles",
            "On the terminal, or in the new private file --file: a heading, then a line per host, with its name, "
            "blanks, and its code. Version 0.1 called this option --output, which is still taken.",
            ("--pki", "--file", "--quiet", "--verbose"),
            older=(("--output", "--file"),),
        ),
        Page(
            "reconcile",
            "CHANGE RECEIPT...",
            "compare the receipts of the hosts with the change",
            "Says which host has run what. Exit code 6 unless every host has run its bundle and every receipt counts. "
            "With --pki, the store takes in the receipts that count: later changes then know what has run.",
            ("--pki", "--metrics", "--json", "--verbose"),
        ),
        Page(
            "packer",
            "SPEC",
            "write templates for Packer that bake base.run into images",
            "They go to out/<cluster>/packer/.",
            ("--output", "--pki", "--replace", *_TELLING),
        ),
        Page(
            "schema",
            "[change]",
            "print the JSON Schema of the specification, for editors",
            "With the word change, that of change.json.",
            ("--verbose",),
        ),
    )
}


def taken(page: Page) -> tuple[str, ...]:
    """The options that the command takes."""
    return (*page.pair, *page.options)


def operands(page: Page) -> tuple[str, ...]:
    """The operands of the command, in order, as their names; the dots of one that repeats left out."""
    plain = page.operands.partition(" [--")[0]
    return tuple(word.strip("[].") for word in plain.split())


def operands_needed(page: Page) -> tuple[str, ...]:
    """Those of them that must be given: none in brackets."""
    return operands(page)[: len(page.operands.partition("[")[0].split())] if "[" in page.operands else operands(page)


def page_text(command: str) -> str:
    """The page of one command: what ``--help`` prints, and what docopt reads."""
    page = PAGES[command]
    lines = [*textwrap.wrap(f"bundlegen {command}: {page.summary}.", WIDTH), ""]
    lines += ["Usage:", f"  bundlegen {command} {page.operands} [options]", ""]
    lines += _rows((name, OPERANDS[name]) for name in operands(page))
    lines += ["", "Options:"]
    lines += _rows((f"{name} {OPTIONS[name].value}".strip(), OPTIONS[name].text) for name in taken(page))
    if page.text:
        lines += ["", *textwrap.wrap(page.text, WIDTH)]
    return "\n".join(lines)


def overview(version: str) -> str:
    """What ``bundlegen --help`` prints: the commands, and what is common to them."""
    what = "one self-extracting bundle per host of an etcd cluster that kubelet runs and kubeadm configures."
    lines = [*textwrap.wrap(f"bundlegen {version}: {what}", WIDTH), "", "Usage:"]
    lines += ["  bundlegen COMMAND ...", "  bundlegen COMMAND --help", "  bundlegen --version", "", "Commands:"]
    lines += [f"  {page.command:<14}{page.summary}" for page in PAGES.values()]
    codes = (
        "Exit codes: 0 done, 1 a bug in bundlegen (diff: something changes), 2 usage, 3 the specification, 4 the PKI "
        "store, its history, or a conflict with what is there, 5 a tool is missing or failed, 6 verification failed, "
        "7 out of space or unwritable output, 130 interrupted."
    )
    lines += [
        "",
        "Results go to standard output, progress and messages to standard error.",
        *textwrap.wrap(codes, WIDTH),
    ]
    return "\n".join(lines)


def _rows(rows: Iterable[tuple[str, str]]) -> list[str]:
    lines: list[str] = []
    for name, text in rows:
        head = f"  {name}".ljust(_INDENT - 2) + "  "
        lines += textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=" " * _INDENT)
    return lines
