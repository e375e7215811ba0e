"""``bundlegen verify``: a bundle or a change folder against everything that is known of it. Executes nothing of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from bundlegen import layout
from bundlegen.errors import VerificationError
from bundlegen.system.files import file_sum
from bundlegen.trust import check_bundle, check_folder, shared_images, sign
from bundlegen.trust.bundle import Bundle, read
from bundlegen.trust.check_folder import Sums
from bundlegen.trust.finding import Finding
from bundlegen.trust.remade import CA_KEY
from bundlegen.trust.small_file import small_file


def verify(path: Path, at: datetime, *, allowed: Path | None = None, signer: str = "") -> list[Finding]:
    """Everything that is wrong or worth knowing, at the moment ``at``. None of it fatal: it is what it should be.

    ``allowed`` and ``signer``: an allowed-signers file and the name in it that must have signed; a signature that is
    missing is then a failure. Raises UsageError, and ToolError if ssh-keygen is needed and missing.
    """
    sign.check_demand(allowed, signer)
    if path.is_dir():
        return list(_folder(path, at, allowed, signer))
    return list(_bundle(path, at, allowed, signer))


def _folder(folder: Path, at: datetime, allowed: Path | None, signer: str) -> Iterator[Finding]:
    try:
        sums = check_folder.read_sums(folder / layout.SUMS)
    except VerificationError as error:
        yield Finding(str(folder), error.message)
        return
    yield from _signature(folder, sums, allowed, signer)
    yield from check_folder.faults(folder, at, sums=sums)


def _bundle(path: Path, at: datetime, allowed: Path | None, signer: str) -> Iterator[Finding]:
    folder = path.absolute().parent
    try:
        if os.path.lexists(folder / layout.SUMS) or allowed is not None:
            sums = check_folder.read_sums(folder / layout.SUMS)
            yield from _signature(folder, sums, allowed, signer)
            if path.name not in sums.files:
                yield Finding(path.name, f"is not in the {layout.SUMS} beside it")
            elif file_sum(path) != sums.files[path.name]:
                yield Finding(path.name, f"was altered: it does not have the SHA-256 in {layout.SUMS}")
                return
        else:
            yield Finding(path.name, f"there is no {layout.SUMS} beside it: who made it is not known", fatal=False)
        bundle = read(path, looking=True)
    except VerificationError as error:
        yield Finding(path.name, error.message)
        return
    yield from check_folder.bundle_faults(bundle, check_bundle.examine(bundle), at)
    if shared_images.needed([bundle]):
        yield from _images(folder / layout.SHARED_IMAGES, bundle)
    if CA_KEY in bundle.destinations:
        yield Finding(path.name, "holds the CA's private key", fatal=False)


def _images(beside: Path, bundle: Bundle) -> Iterator[Finding]:
    """Looked at where they are beside the bundle; they may well travel another way."""
    if os.path.lexists(beside):
        yield from shared_images.faults(beside, [bundle])
    else:
        sentence = f"its images travel in {beside.name}, which is not beside it here"
        yield Finding(bundle.path.name, sentence, fatal=False)


def _signature(folder: Path, sums: Sums, allowed: Path | None, signer: str) -> Iterator[Finding]:
    signature = folder / layout.SIGNATURE
    if not os.path.lexists(signature):
        if allowed is not None:
            yield Finding(layout.SIGNATURE, f"is missing: {signer} has not signed this change")
        return
    try:
        small_file(signature)
    except VerificationError as error:
        yield Finding(layout.SIGNATURE, error.message.removeprefix(f"{layout.SIGNATURE} "))
        return
    if wrong := sign.fault(sums.content, signature, allowed, signer):
        yield Finding(layout.SIGNATURE, wrong)
    elif allowed is None:
        yield Finding(
            layout.SIGNATURE,
            "is a good signature, but whose was not asked: give --allowed-signers and --signer",
            fatal=False,
        )
