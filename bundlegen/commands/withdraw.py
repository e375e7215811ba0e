"""``bundlegen withdraw``: take back the newest change, which no host has run."""

from __future__ import annotations

from bundlegen.change.withdraw import withdraw
from bundlegen.commands.arguments import Arguments
from bundlegen.errors import EXIT_OK
from bundlegen.system.console import Console


def run(arguments: Arguments, console: Console) -> int:
    """Withdraw, and say what counts now. Raises what :func:`bundlegen.change.withdraw.withdraw` raises."""
    done = withdraw(arguments.spec, arguments.output, arguments.pki, arguments.change_name)
    newest = done.newest.name if done.newest else None
    if done.left:
        console.warn(f"{done.folder} is not as it was made, and is left: remove it, so that nobody carries it")
    if arguments.json:
        console.data(
            {
                "withdrawn": done.change.name,
                "already": done.already,
                "newest": newest,
                "folder": str(done.folder),
                "folderLeft": done.left,
            }
        )
        return EXIT_OK
    lines = [f"{done.change.name} {'was withdrawn already' if done.already else 'is withdrawn'}."]
    lines.append(f"The newest change is {newest}." if newest else "There is no change now; the next build creates.")
    if done.already and newest:
        lines.append(f"To take that back as well: --change {newest}")
    elif not done.already:
        lines.append("Destroy every copy of its bundles: a host that runs one of them does the change.")
    console.outcome("\n".join(lines))
    return EXIT_OK
