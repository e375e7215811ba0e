"""The bundle for images that hosts share. Pure."""

from __future__ import annotations

from bundlegen import layout
from bundlegen.record import tables
from bundlegen.record.blocks import Block, Command, Paragraph
from bundlegen.record.schema import Bundle, SharedImages
from bundlegen.record.steps import HERE
from bundlegen.system import text


def base(bundle: Bundle, images: SharedImages | None) -> tuple[Block, ...]:
    """The bundle for images: what it is, how an image is made with it, and what happens when one is started."""
    carried = (
        f"the container images of `{images.file}`, which goes beside it"
        if images
        else "the container images, where the change carries any"
    )
    demands = any(each.path == layout.ALLOWED_SIGNERS for each in bundle.files)
    signed = (
        f"It runs no bundle that is not signed as the image's own `{layout.ALLOWED_SIGNERS}` demands: "
        f"`{layout.SUMS}` and `{layout.SIGNATURE}` go beside the bundle."
        if demands
        else "It demands no signature: who can attach that medium, or write to that folder, decides what is "
        "run as root; `build --require-signer` demands one."
    )
    return (
        Paragraph(
            f"`{bundle.bundle}` holds what all hosts share: the kubelet's configuration, the installer, the health "
            f"command, and {carried}. It holds no key, no certificate, no "
            "token and no address, so an image made with it may be shared. In the system that is being built:"
        ),
        Command(
            f"As root, {HERE}",
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
            f"checks that it is for this machine, and installs it as described above. {signed}"
        ),
        tables.bundle_files(f"Files of {bundle.bundle} ({text.size(bundle.size)})", bundle.files),
    )
