"""How the carried files are known to be the ones that were approved. Pure."""

from __future__ import annotations

from bundlegen import layout
from bundlegen.record.blocks import Block, Command, Paragraph, Table
from bundlegen.record.schema import Bundle, Change


def checksums(change: Change) -> tuple[Block, ...]:
    """How the files are known to be the ones that were approved."""
    bundles: list[Bundle] = [*change.hosts, *([change.base] if change.base else [])]
    shared = [change.images] if change.images else []
    rows = [(f"`{each.bundle}`", str(each.size), f"`{each.sha256}`") for each in bundles]
    rows += [(f"`{each.file}`", str(each.size), f"`{each.sha256}`") for each in shared]
    split = [part for parts in [each.parts for each in bundles] + [each.parts for each in shared] for part in parts]
    rows += [(f"`{part.name}`", str(part.size), f"`{part.sha256}`") for part in split]
    names = sorted(
        [*(each.bundle for each in bundles), *(each.file for each in (*shared,)), *(part.name for part in split)]
    )
    blocks: list[Block] = [
        Table(
            "SHA-256 of what is carried" if shared else "SHA-256 of the bundles",
            ("File", "Bytes", "SHA-256"),
            tuple(rows),
        ),
        Paragraph(f"`{layout.SUMS}` holds these and those of this record's own files."),
        Command(
            "In the change folder",
            f"sha256sum -c {layout.SUMS}",
            ("…", *(line for name in names for line in (f"{name}: OK", "…"))),
        ),
    ]
    if change.signed:
        verify = f"ssh-keygen -Y verify -f allowed_signers -n bundlegen -s {layout.SIGNATURE}"
        signer = f"ssh-keygen -Y find-principals -f allowed_signers -s {layout.SIGNATURE}"
        blocks.append(
            Paragraph(
                f"`{layout.SIGNATURE}` signs `{layout.SUMS}` (OpenSSH, namespace `bundlegen`). Check it first, with an "
                "`allowed_signers` file that comes from elsewhere than this ticket and names the signer you trust."
            )
        )
        blocks.append(
            Command(
                "In the change folder, with `allowed_signers` there",
                f'{verify} -I "$({signer})" < {layout.SUMS}',
                ("…", 'Good "bundlegen" signature for …'),
            )
        )
    else:
        blocks.append(
            Paragraph(
                "This change is not signed: the sums prove that nothing was damaged, and that nothing was changed only "
                f"if `{layout.SUMS}` itself came by a way you trust."
            )
        )
    return tuple(blocks)
