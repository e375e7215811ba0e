"""bundlegen: one self-extracting bundle per host of an etcd cluster that kubelet runs and kubeadm configures.

Usage:
  bundlegen init NAME=ADDRESS... [--name NAME] [--file FILE] [--quiet]
  bundlegen build SPEC [--output DIR] [--pki DIR] [--jobs N] [--replace] [--sign-key KEY]
                  [--split SIZE] [--extension EXT] [--previous DIR] [--seal] [--base]
                  [--shared-images] [--source-date] [--json] [--quiet] [--verbose]
  bundlegen plan SPEC [--pki DIR] [--base] [--source-date] [--json] [--quiet] [--verbose]
  bundlegen images SPEC [--json] [--quiet] [--verbose]
  bundlegen inspect BUNDLE [--json] [--verbose]
  bundlegen extract BUNDLE DIR [--quiet] [--verbose]
  bundlegen verify PATH... [--at DATE] [--allowed-signers FILE --signer ID] [--json] [--quiet] [--verbose]
  bundlegen audit DIR [--json] [--verbose]
  bundlegen diff OLD NEW [--json] [--verbose]
  bundlegen unlock-codes CLUSTER [--pki DIR] [--file FILE] [--verbose]
  bundlegen reconcile CHANGE RECEIPT... [--metrics FILE] [--json] [--verbose]
  bundlegen packer SPEC [--output DIR] [--replace] [--json] [--quiet] [--verbose]
  bundlegen schema [change]
  bundlegen --version
  bundlegen --help

Commands:
  init          write a commented cluster.yaml for these hosts (to standard output, or to --file)
  build         make out/<cluster>/create/: one bundle per host, SHA256SUMS, change.json
  plan          print what build would put where and issue; writes nothing
  images        list the container images the hosts need, with the commands that fetch them elsewhere
  inspect       show what is in a bundle; runs nothing from it
  extract       unpack a bundle into the new folder DIR; runs nothing from it
  verify        check bundles and change folders: sums, signature, stub, certificates, keys, modes
  audit         show which private key is in which of the bundles below DIR
  diff          say what changes on the hosts from one bundle or change to another; 0 nothing, 1 something
  unlock-codes  show the unlock codes of sealed bundles, on the terminal or in a new private file
  reconcile     compare the receipts of the hosts with the change: which host has run what; 6 unless all is well
  packer        write templates for Packer that bake base.run into images, to out/<cluster>/packer/
  schema        print the JSON Schema of cluster.yaml, for editors; with the word change, that of change.json

Options:
  --output DIR  folder for what may be carried away [default: out]
  --pki DIR     folder for the keys, which stay here [default: pki]
  --file FILE   a new file for the result, instead of standard output
  --name NAME   the name of the cluster (default: etcd)
  --jobs N      how many keys to make at once (default: one per processor)
  --sign-key KEY  sign SHA256SUMS with this SSH key (a file, or the .pub of a key that an agent or token holds)
  --seal        encrypt the keys in the bundles, each host's under an unlock code of its own
  --base        make base.run as well: what all hosts share, and no secret, for golden images
  --shared-images  put the images into one file beside the bundles, images.tar.gz, instead of into each bundle
  --split SIZE  write each bundle in numbered parts as well, of at most SIZE (such as 10M), to be joined by cat
  --extension EXT  end the names of what is to be attached in EXT (such as txt), where others are not accepted
  --previous DIR  say in the record what changes from the change in this folder
  --source-date  date what is new by SOURCE_DATE_EPOCH, also where that is more than a day off the clock
  --metrics FILE   write the answer for node-exporter's textfile collector
  --replace     put what comes out different in the place of what is there
  --at DATE     the moment for which certificates must be valid (default: now)
  --allowed-signers FILE  who may sign, as in ssh-keygen(1): a good signature of ID is then demanded
  --signer ID   the name in that file that must have signed
  --json        the result as JSON
  --quiet       no progress and no remarks; errors only
  --verbose     with an error, where in bundlegen it arose
  --version     the version
  --help        this text

Results go to standard output, progress and messages to standard error.
Exit codes: 0 done, 1 a bug in bundlegen (diff: something changes), 2 usage, 3 the specification, 4 the PKI store,
its history, or a conflict with what is there, 5 a tool is missing or failed, 6 verification failed, 7 out of space or
unwritable output, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from bundlegen import __version__
from bundlegen.commands.arguments import Arguments, typed
from bundlegen.errors import EXIT_BUG, EXIT_OK, BundlegenError, UsageError
from bundlegen.system.signals import Signals, Stopped

COMMANDS: Final = (
    "init",
    "build",
    "plan",
    "images",
    "inspect",
    "extract",
    "verify",
    "audit",
    "diff",
    "unlock-codes",
    "reconcile",
    "packer",
    "schema",
)
"""Each is a module in ``commands/`` that has ``run(arguments, console) -> int``, loaded when it is asked for."""

_PROG: Final = "bundlegen"
_TO_A_FILE: Final = ("init", "unlock-codes")

# pydantic looks through every installed package for plugins of its own, which costs a fifth of all importing, and would
# let a stranger's code see the specification.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: the process's) and return the exit code. The only place that exits."""
    words = list(sys.argv[1:] if argv is None else argv)
    verbose = "--verbose" in words
    try:
        with Signals():
            return _run(words)
    except BundlegenError as error:
        if verbose:
            traceback.print_exc()
        for line in error.lines():
            print(f"{_PROG}: error: {line}", file=sys.stderr)
        return error.exit_code
    except Stopped as stopped:
        print(f"{_PROG}: interrupted; nothing half-made was left", file=sys.stderr)
        return stopped.code
    except BrokenPipeError:
        # The reader of our output has gone (| head); it has what it wanted, and Python must not complain at exit.
        sys.stdout = None
        return EXIT_OK
    except Exception:  # noqa: BLE001 - the boundary: whatever else happens is a bug, and is reported as one
        traceback.print_exc()
        print(
            f"{_PROG}: this is a bug in bundlegen {__version__}: please report it with the lines above "
            "(they hold no key) and the command you ran",
            file=sys.stderr,
        )
        return EXIT_BUG


def parse(words: Sequence[str]) -> Arguments | None:
    """The arguments in ``words``; None where the text was asked for and printed. Raises UsageError."""
    if list(words) in (["--version"], ["-V"]):
        print(f"{_PROG} {__version__}")
        return None
    if "--help" in words or "-h" in words:
        print((__doc__ or "").strip())
        return None
    _check_options(words)
    from docopt import DocoptExit, docopt

    try:
        found: Mapping[str, Any] = docopt(__doc__ or "", argv=list(words), default_help=False)
    except (DocoptExit, SystemExit) as error:
        raise UsageError(_usage_problem(words), hint=f"{_PROG} --help lists the commands and options") from error
    return typed(found, next(command for command in COMMANDS if found[command]))


def _run(words: Sequence[str]) -> int:
    arguments = parse(words)
    if arguments is None:
        return EXIT_OK
    from bundlegen.system.console import Console

    command = import_module(f"bundlegen.commands.{arguments.command.replace('-', '_')}")
    code: int = command.run(arguments, Console(quiet=arguments.quiet))
    return code


def _check_options(words: Sequence[str]) -> None:
    """Raises UsageError for an option that there is not. docopt would take the beginning of one for the whole."""
    known = {line.split()[0] for line in (__doc__ or "").splitlines() if line.startswith("  --")}
    for word in words:
        name = word.partition("=")[0]
        if name == "--":
            return
        if not name.startswith("--") or name in known:
            continue
        meant = [option for option in sorted(known) if option.startswith(name)]
        hint = f"options are written out: {' or '.join(meant)}" if meant else f"{_PROG} --help lists the options"
        raise UsageError(f"unknown option {name}", hint=hint)


def _usage_problem(words: Sequence[str]) -> str:
    if not words:
        return "no command given"
    if words[0] not in COMMANDS and not words[0].startswith("-"):
        return f"unknown command {words[0]!r}"
    if words[0] in _TO_A_FILE and any(word.partition("=")[0] == "--output" for word in words):
        return "--output is a folder; the file to write is --file FILE"
    return "this command does not take these arguments"
