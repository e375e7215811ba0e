"""``bundlegen plan``: what the next change would be, put where and issue."""

from __future__ import annotations

from typing import Any

from bundlegen import layout
from bundlegen.change.asked import Asked, NothingDueError
from bundlegen.change.decided import Decision
from bundlegen.change.listing import Files, Listing, listing
from bundlegen.commands.arguments import Arguments
from bundlegen.errors import EXIT_OK, UsageError
from bundlegen.system.console import Console
from bundlegen.system.text import table


def run(arguments: Arguments, console: Console) -> int:
    """Print what build, or the operation that is asked for, would put where.

    Raises SpecError, StoreError, ConflictError and UsageError.
    """
    asked = Asked(arguments.operation, arguments.hosts, arguments.within) if arguments.operation else None
    if asked is None and arguments.within is not None:
        raise UsageError("--within is for an operation that is asked for", hint="bundlegen plan SPEC renew --within …")
    try:
        found = listing(
            arguments.spec, arguments.pki, asked=asked, base=arguments.base, source_date=arguments.source_date
        )
    except NothingDueError as reason:
        if arguments.json:
            console.data({"operation": arguments.operation, "new": False, "nothingDue": str(reason)})
        else:
            console.result(f"Nothing to {arguments.operation}: {reason}.")
        return EXIT_OK
    for warning in found.warnings:
        console.warn(warning)
    if arguments.json:
        console.data(_listing_data(found))
    else:
        console.result(_listing(found))
    return EXIT_OK


def _listing(found: Listing) -> str:
    lines = _what(found.decision)
    for host, rows in found.hosts:
        lines += _files(f"{layout.bundle_name(host)}: {len(rows)} files for {host}", rows)
    if found.base is not None:
        lines += _files(
            f"{layout.bundle_name(layout.BASE)}: {len(found.base)} files for images of all hosts", found.base
        )
    lines.append("To be issued:" if found.issue else "Nothing is to be issued: the store has every certificate.")
    lines += [f"  {sentence}" for sentence in found.issue]
    return "\n".join(lines)


def _what(decision: Decision) -> list[str]:
    newest = decision.earlier.newest
    if decision.made is not None:
        return [f"Nothing differs from {decision.name}: a build makes it again, the same bytes.", ""]
    if newest is None:
        return []
    return [
        f"The next change is {decision.name}, after {newest.name}:",
        *(f"  {each}" for each in decision.differences),
        "",
    ]


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
        "cluster": found.decision.cluster.name,
        "change": found.decision.name,
        "operation": found.decision.operation.name,
        "new": found.decision.made is None,
        "differences": [{"field": each.field, "old": each.old, "new": each.new} for each in found.decision.differences],
        "hosts": [{"name": host, **_files_data(host, rows)} for host, rows in found.hosts],
        "base": None if found.base is None else _files_data(layout.BASE, found.base),
        "issue": list(found.issue),
        "warnings": list(found.warnings),
    }
