"""``bundlegen images``: what to fetch on a machine with a network."""

from __future__ import annotations

import platform
import shlex

from bundlegen.commands.arguments import Arguments
from bundlegen.errors import EXIT_OK
from bundlegen.images import contents, wanted
from bundlegen.spec.load import load
from bundlegen.system.console import Console


def run(arguments: Arguments, console: Console) -> int:
    """Print what to fetch, for hosts with this machine's architecture. Raises SpecError."""
    cluster = load(arguments.spec, with_images=False).cluster
    machine = platform.machine()
    architecture = next((ours for ours, theirs in contents.MACHINES.items() if theirs == machine), "amd64")
    rows = [(name, wanted.fetch_command(name, architecture)) for name in wanted.needed(cluster)]
    if arguments.json:
        found = [
            {"image": name, "file": f"images/{wanted.file_name(name)}", "command": list(words)} for name, words in rows
        ]
        console.data({"cluster": cluster.name, "architecture": architecture, "images": found})
        return EXIT_OK
    console.result("\n".join(["mkdir -p images", *(shlex.join(words) for _, words in rows)]))
    console.remark(
        f"for hosts that are {architecture}; for others, change --override-arch. Run it on a machine with a network, "
        f"copy images/ next to {arguments.spec}, and add to that: images: [images/*.tar]"
    )
    return EXIT_OK
