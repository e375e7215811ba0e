"""``bundlegen build``: make the change, and say what was made and what comes next."""

from __future__ import annotations

import os
import shlex
from datetime import datetime

from bundlegen import layout
from bundlegen.addresses import bracketed
from bundlegen.change import build as recipe
from bundlegen.change import parts
from bundlegen.change.build import Built
from bundlegen.commands.arguments import Arguments
from bundlegen.errors import EXIT_OK
from bundlegen.system.console import Console
from bundlegen.system.text import size, table


def run(arguments: Arguments, console: Console) -> int:
    """Build, and say what was built and what comes next. Raises what :func:`bundlegen.change.build.build` raises."""
    options = recipe.Options(
        output=arguments.output,
        pki=arguments.pki,
        jobs=arguments.jobs,
        replace=arguments.replace,
        sign_key=arguments.sign_key,
        seal=arguments.seal,
        attachments=parts.attachments(arguments.split, arguments.extension),
        previous=arguments.previous,
        base=arguments.base,
        shared_images=arguments.shared_images,
        source_date=arguments.source_date,
    )

    def tell(sentences: tuple[str, ...]) -> None:
        for sentence in _issued(sentences):
            console.remark(sentence)

    with console.steps() as steps:
        built = recipe.build(arguments.spec, options, steps, steps.stop, tell)
    for warning in built.warnings:
        console.warn(warning)
    if arguments.json:
        outcome = {"folder": str(built.folder), "written": built.written, "issued": list(built.issued)}
        console.data({**outcome, "warnings": list(built.warnings), "change": built.record.data()})
        return EXIT_OK
    if not built.written:
        console.remark(f"{built.folder} is there already, byte for byte; nothing was changed")
    console.outcome(_built(built))
    return EXIT_OK


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d")


def _built(built: Built) -> str:
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
        "Check, carry and run, one host after the other:",
        f"  (cd {shlex.quote(folder)} && sha256sum -c {layout.SUMS})",
    ]
    beside = f" {shlex.quote(str(built.folder / layout.SHARED_IMAGES))}" if shared else ""
    width = max(len(host.bundle) for host in hosts)
    for host in hosts[:_SHOWN_HOSTS]:
        file = shlex.quote(str(built.folder / host.bundle))
        by_stick = f"# or carry {'both' if shared else 'it'} on a stick"
        lines.append(f"  scp {file}{beside} root@{bracketed(host.address)}:    {by_stick}")
        lines.append(f"  on {host.name}:  sh {host.bundle.ljust(width)}    # as root")
    if len(hosts) > _SHOWN_HOSTS:
        lines.append(f"  … and so on for the other {len(hosts) - _SHOWN_HOSTS} hosts")
    return "\n".join(lines)


def _secrecy(built: Built) -> str:
    if built.record.sealed:
        return f"its keys are sealed. For the codes: bundlegen unlock-codes {built.record.cluster}"
    return "every bundle holds private keys: treat it as a secret."


_SHOWN_HOSTS = 7
_PLAINLY_NEW = ": new"


def _issued(sentences: tuple[str, ...]) -> list[str]:
    """What was issued: those with a reason each in its own words, those that were simply not there yet as a number."""
    plain = [sentence for sentence in sentences if sentence.endswith(_PLAINLY_NEW)]
    told = [f"issued {sentence}" for sentence in sentences if not sentence.endswith(_PLAINLY_NEW)]
    if len(plain) <= 1:
        return [f"issued {sentence.removesuffix(_PLAINLY_NEW)}" for sentence in plain] + told
    return [f"issued {len(plain)} certificates and their keys", *told]
