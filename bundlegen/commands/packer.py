"""``bundlegen packer``: templates for Packer that bake base.run into images."""

from __future__ import annotations

import shlex

from bundlegen import layout, packer
from bundlegen.change.folder import check_apart, staging
from bundlegen.commands.arguments import Arguments
from bundlegen.errors import EXIT_OK
from bundlegen.spec.load import load
from bundlegen.system.console import Console
from bundlegen.system.resources import template_text


def run(arguments: Arguments, console: Console) -> int:
    """Write the Packer templates of the cluster. Raises SpecError, UsageError and OutputError; other files stay."""
    loaded = load(arguments.spec, with_images=False)
    for problem in loaded.warnings:
        console.warn(str(problem))
    folder = arguments.output / loaded.cluster.name / layout.PACKER_DIR
    check_apart(folder, arguments.pki)
    files = packer.templates(loaded.cluster, template_text)
    with staging(folder) as stage:
        for name, text in files.items():
            stage.write(name, [text.encode()])
        written = stage.commit_files(replace=arguments.replace)
    if arguments.json:
        console.data({"folder": str(folder), "written": written, "files": list(files)})
        return EXIT_OK
    if not written:
        console.remark(f"{folder} is there already, byte for byte; nothing was changed")
    builders = ", ".join(builder.name for builder in packer.BUILDERS)
    beside = f" --output {shlex.quote(str(arguments.output))}"  # the templates look for the change there
    console.outcome(
        f"{folder} has a folder for each of the builders {builders}.\n\n"
        "Then, with what is in example.pkrvars.hcl as an example for your own variables:\n"
        f"  bundlegen build --base {shlex.quote(str(arguments.spec))}{beside}\n"
        f"  cd {shlex.quote(str(folder / packer.BUILDERS[0].name))}\n"
        "  packer init plugins                     # once, for Packer 1.7 and newer\n"
        "  packer validate -var-file=YOURS.pkrvars.hcl .\n"
        "  packer build -var-file=YOURS.pkrvars.hcl ."
    )
    return EXIT_OK
