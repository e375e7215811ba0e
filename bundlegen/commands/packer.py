"""What ``bundlegen packer`` writes and says."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from bundlegen import layout
from bundlegen.errors import EXIT_OK

if TYPE_CHECKING:
    from bundlegen.system.console import Console


def packer(spec: Path, output: Path, console: Console, *, replace: bool, as_json: bool) -> int:
    """Write the Packer templates of the cluster at ``spec``. Raises SpecError and OutputError; other files stay."""
    from bundlegen import packer as generator
    from bundlegen.change.folder import staging
    from bundlegen.spec.load import load
    from bundlegen.system.resources import template_text

    loaded = load(spec, with_images=False)
    for problem in loaded.warnings:
        console.warn(str(problem))
    folder = output / loaded.cluster.name / layout.PACKER_DIR
    files = generator.templates(loaded.cluster, template_text)
    with staging(folder) as stage:
        for name, text in files.items():
            stage.write(name, [text.encode()])
        written = stage.commit_files(replace=replace)
    if as_json:
        console.result(json.dumps({"folder": str(folder), "written": written, "files": list(files)}, indent=2))
        return EXIT_OK
    if not written:
        console.remark(f"{folder} is there already, byte for byte; nothing was changed")
    builders = ", ".join(builder.name for builder in generator.BUILDERS)
    beside = f" --output {shlex.quote(str(output))}"  # the templates look for the change there
    console.result(
        f"{folder} has a folder for each of the builders {builders}.\n\n"
        "Then, with what is in example.pkrvars.hcl as an example for your own variables:\n"
        f"  bundlegen build --base {shlex.quote(str(spec))}{beside}\n"
        f"  cd {shlex.quote(str(folder / generator.BUILDERS[0].name))}\n"
        "  packer init plugins                     # once, for Packer 1.7 and newer\n"
        "  packer validate -var-file=YOURS.pkrvars.hcl .\n"
        "  packer build -var-file=YOURS.pkrvars.hcl ."
    )
    return EXIT_OK
