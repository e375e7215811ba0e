"""How a change is built, beside its specification: what the user chose, and what of it shapes the bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bundlegen.change import parts
from bundlegen.change.asked import Asked
from bundlegen.errors import UsageError
from bundlegen.pki import history
from bundlegen.pki.history import Change
from bundlegen.spec.sections import Trust


@dataclass(frozen=True)
class Options:
    """How to build. ``change``: which change to make again; None: the next one. ``asked``: the next one is of this
    operation; None: of that which the specification leads to. ``existing``: only with a store that is there already.
    ``source_date``: however far SOURCE_DATE_EPOCH is. ``by``: the host that takes out members that are gone. ``now``:
    another CA in one round. ``snapshot``: the SHA-256 of the one that the cluster begins with.
    ``signer`` and ``signers``: whose signature images demand, and the lines that say by which key."""

    output: Path
    pki: Path
    jobs: int | None = None
    replace: bool = False
    sign_key: Path | None = None
    seal: bool = False
    attachments: parts.Attachments = parts.NONE
    base: bool = False
    shared_images: bool = False
    source_date: bool = False
    change: str | None = None
    asked: Asked | None = None
    existing: bool = False
    by: str = ""
    now: bool = False
    snapshot: str = ""
    signer: str = ""
    signers: tuple[str, ...] = ()

    @property
    def trust(self) -> Trust | None:
        """Whose signature images demand; None: as the specification says."""
        return Trust(signer=self.signer, signers=self.signers) if self.signer else None

    @property
    def shape(self) -> history.Options:
        """What of it the history keeps, so that the change can be made again."""
        return history.Options(
            seal=self.seal,
            base=self.base,
            shared_images=self.shared_images,
            split=self.attachments.size,
            extension=self.attachments.extension,
            signed=self.sign_key is not None,
            by=self.by,
            now=self.now or (self.asked is not None and self.asked.at_once),
            snapshot=self.snapshot or (self.asked.snapshot if self.asked else ""),
            signer=self.signer,
            signers=self.signers,
        )


def as_made(options: Options, change: Change) -> Options:
    """``options`` with what shaped ``change``. Raises UsageError where others were given, or no key to sign with."""
    given, made = options.shape, change.options
    if told(given.model_copy(update={"signed": False})):
        hint = f"leave out {told(given.model_copy(update={'signed': False}))}"
        raise UsageError(f"--change {change.name} makes it as it was made", hint=hint)
    if made.signed and not given.signed:
        raise UsageError(f"--change {change.name}: it was signed", hint="give --sign-key KEY")
    if given.signed and not made.signed:
        raise UsageError(f"--change {change.name}: it was not signed", hint="leave out --sign-key")
    return replace(
        options,
        seal=made.seal,
        base=made.base,
        shared_images=made.shared_images,
        attachments=parts.Attachments(made.split, made.extension),
        by=made.by,
        now=made.now,
        snapshot=made.snapshot,
        signer=made.signer,
        signers=made.signers,
    )


def told(made: history.Options) -> str:
    """The options as they are given on the command line; empty for none."""
    return " ".join(_words(made))


def _words(made: history.Options) -> Iterator[str]:
    if made.seal:
        yield "--seal"
    if made.base:
        yield "--base"
    if made.signer:
        yield f"--require-signer {made.signer}"
    if made.shared_images:
        yield "--shared-images"
    if made.split is not None:
        yield f"--split {made.split}"
    if made.extension:
        yield f"--extension {made.extension}"
    if made.by:
        yield f"--by {made.by}"
    if made.now:
        yield "--now"
    if made.snapshot:
        yield f"--snapshot sha256:{made.snapshot}"
    if made.signed:
        yield "--sign-key"
