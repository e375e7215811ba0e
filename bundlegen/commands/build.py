"""``bundlegen build``: make the change, and say what was made and what comes next."""

from __future__ import annotations

import os
import shlex
from datetime import datetime
from typing import Any

from bundlegen import __version__, layout
from bundlegen.addresses import RejectedError, bracketed
from bundlegen.change import build as recipe
from bundlegen.change import parts
from bundlegen.change.asked import Asked
from bundlegen.change.build import Built
from bundlegen.change.shape import Options
from bundlegen.commands.arguments import Arguments
from bundlegen.errors import EXIT_OK, UsageError
from bundlegen.operations import table as table_of_operations
from bundlegen.pki import ledger
from bundlegen.spec import signers as allowed
from bundlegen.spec.load import read_signers
from bundlegen.system.console import Console
from bundlegen.system.text import size, table


def run(arguments: Arguments, console: Console) -> int:
    """Build, and say what was built and what comes next. Raises what :func:`bundlegen.change.build.build` raises."""
    return make(arguments, None, console)


def make(arguments: Arguments, asked: Asked | None, console: Console) -> int:
    """The same, also for an operation that is ``asked`` for by its name."""
    signer, signers = _demanded(arguments)
    options = Options(
        output=arguments.output,
        pki=arguments.pki,
        jobs=arguments.jobs,
        replace=arguments.replace,
        sign_key=arguments.sign_key,
        seal=arguments.seal,
        attachments=parts.attachments(arguments.split, arguments.extension),
        base=arguments.base,
        shared_images=arguments.shared_images,
        source_date=arguments.source_date,
        change=arguments.change_name,
        asked=asked,
        existing=arguments.existing or not _begins(asked),
        by=arguments.by,
        signer=signer,
        signers=signers,
    )

    def tell(sentences: tuple[str, ...]) -> None:
        for sentence in _issued(sentences):
            console.remark(sentence)

    with console.steps() as steps:
        built = recipe.build(arguments.spec, options, steps, steps.stop, tell)
    for warning in built.warnings:
        console.warn(warning)
    if arguments.json:
        console.data(_data(built))
        return EXIT_OK
    if built.kept:
        console.remark(f"{built.folder} was made by bundlegen {built.kept}, and is left as it is")
        console.outcome(f"{built.decision.name} of {built.decision.cluster.name} is in {built.folder}")
        return EXIT_OK
    if built.unproven:
        console.remark(
            f"no receipt says that a host has run {built.unproven}: its bundles come first, or take it back (withdraw)"
        )
    if asked is not None and built.decision.made is not None:
        console.remark(
            f"{built.decision.name} was made within a day, and no receipt says that a host has run it: this is that "
            "change again. For another one, take in a receipt (reconcile --pki) or take it back (withdraw)"
        )
    if not built.written:
        console.remark(f"{built.folder} is there already, byte for byte; nothing was changed")
    console.outcome("\n".join([*_what(built), *_built(built)]))
    return EXIT_OK


def _demanded(arguments: Arguments) -> tuple[str, tuple[str, ...]]:
    """Whose signature images are to demand, and the lines that say by which key. Raises UsageError."""
    name, file = arguments.require_signer, arguments.allowed_signers
    if not name and file is None:
        return "", ()
    if not name or file is None:
        raise UsageError("--require-signer and --allowed-signers belong together", hint="give the name, and the file")
    if not arguments.base:
        hint = "give --base; hosts demand a signature by `trust` in the specification"
        raise UsageError("--require-signer is of images", hint=hint)
    try:
        return allowed.signer(name), read_signers(file, name)
    except RejectedError as error:
        raise UsageError(f"--require-signer: {error.message}", hint=error.hint) from error


def _begins(asked: Asked | None) -> bool:
    """Whether the change may be the first one of a store."""
    operation = None if asked is None else table_of_operations.named(asked.operation)
    return asked is None or (operation is not None and operation.finds)


def _data(built: Built) -> dict[str, Any]:
    decision = built.decision
    return {
        "folder": str(built.folder),
        "written": built.written,
        "madeBy": built.kept or __version__,
        "operation": decision.operation.name,
        "caRound": decision.ca_round,
        "differences": [{"field": each.field, "old": each.old, "new": each.new} for each in decision.differences],
        "issued": list(built.issued),
        "warnings": list(built.warnings),
        "change": built.record.data(),
    }


def _what(built: Built) -> list[str]:
    """What the change does, unless it is the first, which makes everything."""
    decision = built.decision
    newest = decision.earlier.newest
    if newest is None:
        return []
    lines = [f"Change {decision.name} of {decision.cluster.name}, after {newest.name}:"]
    if decision.operation.by_name:
        lines.append(
            f"  {decision.operation.name} {', '.join(each.plan.host for each in built.bundles)}{_round(built)}"
        )
    lines += [f"  {each}" for each in decision.differences]
    spared = [
        host.name for host in decision.cluster.hosts if host.name not in {each.plan.host for each in built.bundles}
    ]
    if spared:
        why = "nothing is asked for there" if decision.operation.by_name else "nothing is different there"
        lines.append(f"  no bundle for {', '.join(spared)}: {why}")
    return [*lines, ""]


def _round(built: Built) -> str:
    which = built.decision.ca_round
    return {"": "", "now": ", all at once"}.get(which, f", round {which} of 2")


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d")


def _built(built: Built) -> list[str]:
    rows = [
        (packed.plan.host, packed.name, size(packed.size), packed.sha256[:12], _day(packed.first_expiry))
        for packed in built.bundles
    ]
    if built.base is not None:
        rows.append(("(images)", built.base.name, size(built.base.size), built.base.sha256[:12], "-"))
    shared, hosts = built.record.images, built.record.hosts
    if shared is not None:
        rows.append(("(all)", shared.file, size(shared.size), shared.sha256[:12], "-"))
    folder = str(built.folder)
    lines = [
        table(("HOST", "BUNDLE", "SIZE", "SHA-256", "FIRST EXPIRY"), rows),
        "",
        f"All of it is in {folder}{os.sep}; {_secrecy(built)}",
        "",
        built.decision.operation.carrying,
        f"  (cd {shlex.quote(folder)} && sha256sum -c {layout.SUMS})",
    ]
    beside = f" {shlex.quote(str(built.folder / layout.SHARED_IMAGES))}" if shared else ""
    confirmed = built.decision.operation.confirms.get(built.decision.ca_round, "")
    words = f" -- {confirmed}" if confirmed else ""
    width = max(len(host.bundle) for host in hosts)
    for host in hosts[:_SHOWN_HOSTS]:
        file = shlex.quote(str(built.folder / host.bundle))
        by_stick = f"# or carry {'both' if shared else 'it'} on a stick"
        lines.append(f"  scp {file}{beside} root@{bracketed(host.address)}:    {by_stick}")
        lines.append(f"  on {host.name}:  sh {host.bundle.ljust(width)}{words}    # as root")
    if len(hosts) > _SHOWN_HOSTS:
        lines.append(f"  … and so on for the other {len(hosts) - _SHOWN_HOSTS} hosts")
    return lines


def _secrecy(built: Built) -> str:
    if built.record.sealed:
        return f"its keys are sealed. For the codes: bundlegen unlock-codes {built.record.cluster}"
    return "every bundle holds private keys: treat it as a secret."


_SHOWN_HOSTS = 7
_PLAINLY_NEW = tuple(f": {each}" for each in (ledger.FIRST, ledger.RENEWED, ledger.OTHER_CA))


def _issued(sentences: tuple[str, ...]) -> list[str]:
    """What was issued: those with a reason each in its own words, those that were simply not there yet as a number."""
    plain = [sentence for sentence in sentences if sentence.endswith(_PLAINLY_NEW)]
    told = [f"issued {sentence}" for sentence in sentences if not sentence.endswith(_PLAINLY_NEW)]
    if len(plain) <= 1:
        return [f"issued {sentence.partition(': ')[0]}" for sentence in plain] + told
    return [f"issued {len(plain)} certificates and their keys", *told]
