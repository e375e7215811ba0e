"""The commands of the record, each just as it works, with what it says. Pure.

The lines expected are the installer's own words (``templates/install``); an end-to-end test runs every command as
printed on hosts and compares. ``…`` stands for what differs from run to run.
"""

from __future__ import annotations

from bundlegen import layout
from bundlegen.record import tables
from bundlegen.record.blocks import Block, Command, Paragraph, Points, Table
from bundlegen.record.schema import Bundle, Change, Host, Part, SharedImages
from bundlegen.system import text

_HERE = "in the folder that holds the bundle"


def before(change: Change) -> tuple[Block, ...]:
    """On every host, before the first bundle is run: is it ours, and would it install?"""
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
    names = sorted([change.images.file] if change.images else [])
    for host in change.hosts:
        if host.parts:
            blocks.append(_join(host.name, "bundle", host.bundle, host.parts))
        if change.images and change.images.parts:
            blocks.append(_join(host.name, "images", change.images.file, change.images.parts))
        blocks.append(
            Command(
                f"On {host.name}, {_HERE}",
                f"sha256sum --ignore-missing -c {layout.SUMS}",
                ("…", *(line for name in sorted([*names, host.bundle]) for line in (f"{name}: OK", "…"))),
            )
        )
        blocks.append(
            Command(
                f"On {host.name}, as root, {_HERE}",
                f"sh {host.bundle} -- preflight",
                ("…", "This host is ready for this bundle. Nothing was changed."),
            )
        )
    return tuple(blocks)


def execution(change: Change) -> tuple[Block, ...]:
    """The bundles, one host after the other."""
    blocks: list[Block] = [
        Paragraph("Run the bundles in this order, each when the one before has ended with exit code 0."),
        Table(
            "Order of execution",
            ("Step", "Host", "Address", "Bundle"),
            tuple(
                (str(number), host.name, f"`{host.address}`", f"`{host.bundle}`")
                for number, host in enumerate(change.hosts, start=1)
            ),
        ),
    ]
    if change.sealed:
        blocks.append(
            Paragraph(
                "The keys are sealed: each run asks on the terminal for the unlock code of its host, which comes by "
                "another way than the bundle. `--unlock-file FILE` after `--`, or standard input, gives it unattended."
            )
        )
    for index, host in enumerate(change.hosts):
        blocks.append(
            Command(f"On {host.name}, as root, {_HERE}", f"sh {host.bundle}", _install_says(change, index, host))
        )
    blocks.append(
        Paragraph(
            f"Each run leaves a receipt in `{layout.state_dir(change.cluster)}/receipts/` on its host: attach it to "
            "the ticket. `bundlegen reconcile` compares receipts with this change."
        )
    )
    return tuple(blocks)


def after(change: Change) -> tuple[Block, ...]:
    """Is it done?"""
    return (
        Paragraph(
            "When the last bundle has run, every host must say this; the exit code is 0, or 14 where it is not so."
        ),
        *(
            Command(
                f"On {host.name}, as root",
                f"{layout.HEALTH_COMMAND} --cluster --wait 60",
                ("…", f"The cluster {change.cluster} is healthy: {_all(change)} answer."),
            )
            for host in change.hosts
        ),
    )


def rollback(change: Change) -> tuple[Block, ...]:
    """Back, in the reverse order, and what of it cannot be undone."""
    done = ("…", "Done: this host is as it was before.")
    copy = f"{layout.state_dir(change.cluster)}/bundle/{layout.INSTALLER}"
    blocks: list[Block] = [
        Paragraph("A failed run undoes itself. To take the change back after success, in the reverse order:"),
        *(
            Command(f"On {host.name}, as root, {_HERE}", f"sh {host.bundle} -- rollback", done)
            for host in reversed(change.hosts)
        ),
        Paragraph("Where the bundle is not at hand, the copy that it left on its host does the same:"),
        *(Command(f"On {host.name}, as root", f"bash {copy} rollback", done) for host in reversed(change.hosts)),
        Paragraph("What it cannot undo:"),
        Points(
            (
                f"etcd's data is moved aside (`{change.data_dir}.bundlegen-…`), neither deleted nor put to use again.",
                "What clients have written to the cluster in the meantime is in that data alone.",
                "The receipts stay, as the record of what was done.",
                "The private keys have been on the host's disk; removing a file does not wipe the disk.",
                "With fewer than a majority of members left, the remaining ones stop serving.",
            )
        ),
    ]
    return tuple(blocks)


def base(bundle: Bundle, images: SharedImages | None) -> tuple[Block, ...]:
    """The bundle for images: what it is, how an image is made with it, and what happens when one is started."""
    carried = (
        f"the container images of `{images.file}`, which goes beside it"
        if images
        else "the container images, where the change carries any"
    )
    return (
        Paragraph(
            f"`{bundle.bundle}` holds what all hosts share: the kubelet's configuration, the installer, the health "
            f"command, and {carried}. It holds no key, no certificate, no "
            "token and no address, so an image made with it may be shared. In the system that is being built:"
        ),
        Command(
            f"As root, {_HERE}",
            f"sh {bundle.bundle} -- bake",
            ("…", "Baked. Nothing was started."),
        ),
        Command(
            "As root, when the image is finished",
            f"bash {layout.BASE_DIR}/bundle/{layout.INSTALLER} hygiene",
            ("…", "This image may be shared: nothing of one host was found in it."),
        ),
        Paragraph(
            "A machine started from the image looks for its own bundle at its first boot, on a medium or in a folder, "
            "checks that it is for this machine, and installs it as described above."
        ),
        tables.bundle_files(f"Files of {bundle.bundle} ({text.size(bundle.size)})", bundle),
    )


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


def _join(host: str, what: str, name: str, parts: tuple[Part, ...]) -> Command:
    names = " ".join(part.name for part in parts)
    return Command(f"On {host}, in the folder that holds the parts of the {what}", f"cat {names} > {name}", ())


def _all(change: Change) -> str:
    return f"all {len(change.hosts)} members"


def _install_says(change: Change, index: int, host: Host) -> tuple[str, ...]:
    """As ``level_text`` in ``templates/install/health/report.sh`` says it after each host of a run in order."""
    count, running = len(change.hosts), index + 1
    need = count // 2 + 1
    if running == count:
        level = f"The cluster {change.cluster} is healthy: {_all(change)} answer."
    else:
        following = change.hosts[index + 1]
        step = f"If it is not installed yet, run {following.bundle} on {following.name} ({following.address}) next."
        level = (
            f"{running} of {count} members run so far; etcd starts to serve when {need} do. {step}"
            if running < need
            else f"This member is healthy; … of {count} members answer so far. {step}"
        )
    return (
        "…",
        f"Installing {host.name} of {change.cluster} ({host.address}) ...",
        "…",
        f"Receipt: {layout.state_dir(change.cluster)}/receipts/…-install.json",
        level,
        f"Installed. Ask for its health at any time: {layout.HEALTH_COMMAND}",
    )
