"""What each command takes, as one table: from it come the pages of ``--help`` and the parsing. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bundlegen.commands.options import OPERANDS, OPTIONS

WIDTH: Final = 80
_INDENT: Final = 26


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


_MAKING: Final = ("--output", "--pki")
_TELLING: Final = ("--json", "--quiet", "--verbose")

_ASKED: Final = (
    *_MAKING,
    *("--jobs", "--replace", "--sign-key", "--seal", "--shared-images", "--split", "--extension", "--source-date"),
    *_TELLING,
)
"""Of operations that are asked for by their name."""

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
                "--by",
                "--jobs",
                "--replace",
                "--sign-key",
                "--seal",
                "--base",
                "--require-signer",
                "--allowed-signers",
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
            "The next change: a bundle per host that is named, or for all; any order will do, and nothing restarts. "
            "The CA and what was issued before stay in the store. Nothing is written if --within finds nothing to "
            "renew. It changes nothing else: where the specification was edited as well, build comes first.",
            ("--within", *_ASKED),
        ),
        Page(
            "replace",
            "SPEC HOST",
            "bring a lost member back, or one with another address",
            "The next change: new keys for the host, and a bundle that takes the lost member out of the cluster and "
            "adds it anew, as a learner first. Where its data is there and only its address in the specification is "
            "another one, it keeps its identity. Nothing restarts on the other hosts.",
            _ASKED,
        ),
        Page(
            "adopt",
            "SPEC",
            "take over a cluster that was made by hand",
            "The first change of the cluster's store: the specification describes what runs, and pki.ca names its CA. "
            "Each bundle compares the two, item by item, and refuses if they differ. Then it gives the member new "
            "certificates, and puts the files of bundlegen in place; etcd is not restarted.",
            _ASKED,
        ),
        Page(
            "restore",
            "SPEC",
            "make the cluster anew from a snapshot",
            "The next change: bundles that stop all members, move their data aside, and let the cluster begin with the "
            "snapshot --snapshot, which is named by its SHA-256 and carried beside each bundle. The specification may "
            "have other hosts than before, fewer or more. What was written after the snapshot is lost.",
            ("--snapshot", *_ASKED),
        ),
        Page(
            "rotate-ca",
            "SPEC",
            "go over to another CA: the next of two rounds",
            "The first call makes a new CA, and bundles with certificates of it that members accept which trust the "
            "old one; nothing restarts. The second call makes bundles after which hosts trust the new CA alone; etcd "
            "is restarted once, host by host. What control planes need between the two is in the change's folder.",
            ("--now", *_ASKED),
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
            "status",
            "[CLUSTER...]",
            "show every cluster of the store, what is due first on top",
            "What was made last, which hosts have run it by the receipts that reconcile took in, and when the first "
            "certificate and the CA expire; with names, each host as well. Writes nothing to the store, and waits for "
            "nobody. Exit code 6 if anything expires within 30 days (--within: another time), 4 if a store cannot be "
            "read: the others are shown.",
            ("--pki", "--within", "--metrics", *_TELLING),
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
