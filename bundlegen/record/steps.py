"""The commands of the record, each just as it works, with what it says. Pure.

The lines expected are the installer's own words (``templates/install``); an end-to-end test runs every command as
printed on hosts and compares. ``…`` stands for what differs from run to run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bundlegen import layout
from bundlegen.record.blocks import Block, Command, Paragraph
from bundlegen.record.schema import Change, Host, Part
from bundlegen.record.words import listed
from bundlegen.system import text

HERE = "in the folder that holds the bundle"
_LISTED = 4


def on(hosts: Sequence[Host]) -> str:
    """``On infra0``, ``On infra0, infra1 and infra2``: where a command is run, on one host after the other."""
    return f"On {listed([host.name for host in hosts])}"


def sums_check(names: Sequence[str]) -> str:
    """The command that compares just these files with SHA256SUMS.

    It fails for one that is not listed, or not there under its name: with ``--ignore-missing`` sha256sum passes over
    both.
    """
    dotted = [name.replace(".", r"\.") for name in names]
    return " && ".join(f"grep '  {name}$' {layout.SUMS} | sha256sum -c" for name in dotted)


def before(change: Change, words: str = "") -> tuple[Block, ...]:
    """On every host that takes part, before the first bundle is run: is it ours, and would it install?

    ``words``: options for the preflight, with a space before each.
    """
    beside = f" its own bundle, `{change.images.file}`" if change.images else " its own bundle"
    blocks: list[Block] = [
        Paragraph(
            f"Carry to each host{beside} and `{layout.SUMS}`, by stick, `scp` or ticket. These checks change "
            "nothing and may be done days ahead; on every host they must all pass before the first bundle is run."
        )
    ]
    if change.images:
        blocks.append(
            Paragraph(
                f"`{change.images.file}` ({text.size(change.images.size)}) holds the container images of all hosts and "
                "goes beside each bundle, into the same folder. It holds no secret, and each bundle takes it only if "
                "its bytes are those it was made with."
            )
        )
    if change.signer:
        blocks.append(
            Paragraph(
                f"These hosts demand the signature of {change.signer}. `sh FILE` proves nothing, since what checks the "
                f"file is in it. Where an earlier change has placed it, run each bundle with `{layout.APPLY_COMMAND}` "
                f"in place of `sh`, with `{layout.SUMS}` and `{layout.SIGNATURE}` beside it: it runs no byte that is "
                "not signed."
            )
        )
    names = sorted([change.images.file] if change.images else [])
    for host in change.hosts:
        if host.parts:
            blocks.append(_join(host.name, "bundle", host.bundle, host.parts))
        if change.images and change.images.parts:
            blocks.append(_join(host.name, "images", change.images.file, change.images.parts))
        blocks.append(
            Command(
                f"On {host.name}, {HERE}",
                sums_check(sorted([*names, host.bundle])),
                ("…", *(line for name in sorted([*names, host.bundle]) for line in (f"{name}: OK", "…"))),
            )
        )
        blocks.append(
            Command(
                f"On {host.name}, as root, {HERE}",
                f"sh {host.bundle} -- preflight{words}",
                ("…", "This host is ready for this bundle. Nothing was changed."),
            )
        )
    return tuple(blocks)


def runs(change: Change, says: Callable[[Host], tuple[str, ...]], words: str = "") -> tuple[Block, ...]:
    """The bundles, one host after the other; ``says`` gives what each prints between its first and its last words.

    ``words``: options, with a space before each.
    """
    given = f" --{words}" if words else ""
    state = layout.state_dir(change.cluster)
    blocks: list[Block] = []
    if change.sealed:
        blocks.append(
            Paragraph(
                "The keys are sealed: each run asks on the terminal for the unlock code of its host, which comes by "
                "another way than the bundle. `--unlock-file FILE` after `--`, or standard input, gives it unattended."
            )
        )
    for host in change.hosts:
        expected = (
            "…",
            f"Installing {host.name} of {change.cluster} ({host.address}) ...",
            "…",
            f"Receipt: {state}/receipts/…-install.json",
            *says(host),
            f"Installed. Ask for its health at any time: {layout.HEALTH_COMMAND}",
        )
        blocks.append(Command(f"On {host.name}, as root, {HERE}", f"sh {host.bundle}{given}", expected))
    blocks.append(
        Paragraph(
            f"Each run leaves a receipt in `{state}/receipts/` on its host: attach it to the ticket. "
            "`bundlegen reconcile` compares receipts with this change."
        )
    )
    return tuple(blocks)


def after(change: Change) -> tuple[Block, ...]:
    """Is it done?"""
    return (
        Paragraph("When the last bundle has run, every host must say this; the exit code is 0, or 14 if it is not so."),
        Command(
            f"{on(change.hosts)}, as root",
            f"{layout.HEALTH_COMMAND} --cluster --wait 60",
            ("…", healthy(change)),
        ),
    )


def healthy(change: Change) -> str:
    """What the health command says of a cluster that is well."""
    return f"The cluster {change.cluster} is healthy: all {len(change.addresses)} members answer."


def _join(host: str, what: str, name: str, parts: tuple[Part, ...]) -> Command:
    names = " ".join(part.name for part in parts)
    if len(parts) > _LISTED:
        # the shell puts what fits into the order of the numbers
        names = parts[0].name.replace(f"{name}.001", f"{name}.[0-9][0-9][0-9]")
    return Command(f"On {host}, in the folder that holds the parts of the {what}", f"cat {names} > {name}", ())
