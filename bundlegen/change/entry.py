"""A change as the history keeps it, and whether one that is made again is still the same."""

from __future__ import annotations

from datetime import datetime

from bundlegen import __version__
from bundlegen.bundle.entry import sha256
from bundlegen.change import shape
from bundlegen.change.contents import Contents
from bundlegen.change.run import Run
from bundlegen.errors import ConflictError
from bundlegen.pki.history import Change, Made, Place
from bundlegen.pki.store import Issued
from bundlegen.spec import canonical


def entry_of(run: Run, issued: Issued, made: Contents | None, moment: datetime) -> Change:
    """The change as the history keeps it."""
    decision = run.decision
    bundles = made.bundles if made else ()
    return Change(
        number=decision.number,
        name=decision.name,
        operation=decision.operation.name,
        time=moment,
        bundlegen=__version__,
        spec=canonical.tree(decision.cluster),
        options=run.options.shape,
        members_before=tuple(Place(name=name, address=address) for name, address in decision.members_before),
        members=decision.members,
        cas=tuple(dict.fromkeys((issued.ca.fingerprint, issued.signer.fingerprint))),
        issues=dict(run.prepared.issues),
        token="" if (token := decision.token(issued.token)) == issued.token else token,
        hosts={
            each.plan.host: Made(payload_digest=each.plan.digest, sha256=each.sha256, files=each.plan.configured)
            for each in bundles
        },
        sums=sha256(made.sums) if made else "",
    )


def same_but_time(one: Change, other: Change) -> bool:
    """Whether they differ at most in when they were made."""
    return one == other.model_copy(update={"time": one.time})


def check_same(run: Run, made: Change, entry: Change) -> None:
    """A change that was approved does not become another one. Raises ConflictError."""
    digests = [{host: each.payload_digest for host, each in change.hosts.items()} for change in (made, entry)]
    differing = [host for host in digests[1] if digests[0].get(host) != digests[1][host]]
    if not differing:
        return
    said = f"{made.name} would come out different from what was built before, for {', '.join(differing[:4])}"
    if shape.told(made.options) != shape.told(entry.options):
        said += f" (built then with {shape.told(made.options) or 'no options'})"
    ran = run.history.ran(made)
    if ran:
        raise ConflictError(f"{said}, and {', '.join(ran[:4])} ran it", hint="build it as it was built then")
    if run.history.newest != made:
        raise ConflictError(said, hint="build it as it was built then: only the newest change can be made anew")
    if not run.options.replace:
        raise ConflictError(said, hint="build it as it was built then; or give --replace, if no host has run it")
