"""What the commands print: each works through one module and shows the result for people or as JSON."""

from __future__ import annotations

import json
import os
import platform
import shlex
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bundlegen import layout
from bundlegen.errors import EXIT_OK, OutputError
from bundlegen.system.text import size, table

if TYPE_CHECKING:
    from bundlegen.change.build import Built, Options
    from bundlegen.change.listing import Files, Listing
    from bundlegen.system.console import Console


def init(pairs: tuple[str, ...], output: Path | None, console: Console) -> int:
    """Write a commented cluster.yaml. Raises UsageError, and OutputError where ``output`` cannot be made."""
    from bundlegen.spec.starter import specification
    from bundlegen.system.resources import template_text

    text = specification(pairs, template_text)
    if output is None:
        console.result(text.rstrip("\n"))
        return EXIT_OK
    try:
        with output.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise OutputError(f"{output} exists and is left as it is", hint="choose another name with --output") from error
    except OSError as error:
        raise OutputError(
            f"cannot write {output}: {error.strerror}", hint="choose another place with --output"
        ) from error
    console.remark(f"wrote {output}; next: bundlegen build {shlex.quote(str(output))}")
    return EXIT_OK


def build(spec: Path, options: Options, console: Console, *, as_json: bool) -> int:
    """Build, and say what was built and what comes next."""
    from bundlegen.change import build as recipe

    def tell(sentences: tuple[str, ...]) -> None:
        for sentence in _issued(sentences):
            console.remark(sentence)

    with console.steps() as steps:
        built = recipe.build(spec, options, steps, steps.stop, tell)
    for warning in built.warnings:
        console.warn(warning)
    if as_json:
        outcome = {"folder": str(built.folder), "written": built.written, "issued": list(built.issued)}
        console.result(_json({**outcome, "warnings": list(built.warnings), "change": built.record}))
        return EXIT_OK
    if not built.written:
        console.remark(f"{built.folder} is there already, byte for byte; nothing was changed")
    console.result(_built(built))
    return EXIT_OK


def plan(spec: Path, pki: Path, console: Console, *, as_json: bool, base: bool = False) -> int:
    """Print what build would put where."""
    from bundlegen.change import listing

    found = listing.listing(spec, pki, base=base)
    for warning in found.warnings:
        console.warn(warning)
    console.result(_json(_listing_data(found)) if as_json else _listing(found))
    return EXIT_OK


def images(spec: Path, console: Console, *, as_json: bool) -> int:
    """Print what to fetch on a machine with a network, for hosts with this machine's architecture."""
    from bundlegen.images import contents, wanted
    from bundlegen.spec.load import load

    cluster = load(spec, with_images=False).cluster
    machine = platform.machine()
    architecture = next((ours for ours, theirs in contents.MACHINES.items() if theirs == machine), "amd64")
    rows = [(name, wanted.fetch_command(name, architecture)) for name in wanted.needed(cluster)]
    if as_json:
        found = [
            {"image": name, "file": f"images/{wanted.file_name(name)}", "command": list(words)} for name, words in rows
        ]
        console.result(_json({"cluster": cluster.name, "architecture": architecture, "images": found}))
        return EXIT_OK
    console.result("\n".join(["mkdir -p images", *(shlex.join(words) for _, words in rows)]))
    console.remark(
        f"for hosts that are {architecture}; for others, change --override-arch. Run it on a machine with a network, "
        f"copy images/ next to {spec}, and add to that: images: [images/*.tar]"
    )
    return EXIT_OK


def schema(console: Console) -> int:
    """Print the JSON Schema of the specification."""
    from bundlegen.spec.schema import json_schema

    console.result(_json(json_schema()))
    return EXIT_OK


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d")


def _built(built: Built) -> str:
    rows = [
        (packed.plan.host, packed.name, size(packed.size), packed.sha256[:12], _day(packed.first_expiry))
        for packed in built.bundles
    ]
    if built.base is not None:
        rows.append(("(images)", built.base.name, size(built.base.size), built.base.sha256[:12], "-"))
    shared: dict[str, Any] | None = built.record["images"]  # type: ignore[assignment]
    if shared is not None:
        rows.append(("(all)", shared["file"], size(shared["size"]), shared["sha256"][:12], "-"))
    hosts: list[dict[str, Any]] = built.record["hosts"]  # type: ignore[assignment]
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
    width = max(len(host["bundle"]) for host in hosts)
    for host in hosts[:_SHOWN_HOSTS]:
        address = f"[{host['address']}]" if ":" in host["address"] else host["address"]
        file = shlex.quote(str(built.folder / host["bundle"]))
        lines.append(f"  scp {file}{beside} root@{address}:    # or carry {'both' if shared else 'it'} on a stick")
        lines.append(f"  on {host['name']}:  sh {host['bundle'].ljust(width)}    # as root")
    if len(hosts) > _SHOWN_HOSTS:
        lines.append(f"  … and so on for the other {len(hosts) - _SHOWN_HOSTS} hosts")
    return "\n".join(lines)


def _secrecy(built: Built) -> str:
    if built.record["sealed"]:
        return f"its keys are sealed. For the codes: bundlegen unlock-codes {built.record['cluster']}"
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


def _listing(found: Listing) -> str:
    lines = []
    for host, rows in found.hosts:
        lines += _files(f"{layout.bundle_name(host)}: {len(rows)} files for {host}", rows)
    if found.base is not None:
        lines += _files(
            f"{layout.bundle_name(layout.BASE)}: {len(found.base)} files for images of all hosts", found.base
        )
    lines.append("To be issued:" if found.issue else "Nothing is to be issued: the store has every certificate.")
    lines += [f"  {sentence}" for sentence in found.issue]
    return "\n".join(lines)


def _files(title: str, rows: Files) -> list[str]:
    cells = [(f"{mode:04o}", destination, what) for destination, mode, what in rows]
    return [title, *(f"  {line}" for line in table(("MODE", "PATH", "WHAT"), cells).splitlines()), ""]


def _files_data(name: str, rows: Files) -> dict[str, Any]:
    return {
        "bundle": layout.bundle_name(name),
        "files": [{"path": path, "mode": f"{mode:04o}", "what": what} for path, mode, what in rows],
    }


def _listing_data(found: Listing) -> dict[str, Any]:
    return {
        "cluster": found.cluster.name,
        "hosts": [{"name": host, **_files_data(host, rows)} for host, rows in found.hosts],
        "base": None if found.base is None else _files_data(layout.BASE, found.base),
        "issue": list(found.issue),
        "warnings": list(found.warnings),
    }
