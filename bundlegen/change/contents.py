"""Everything that a change folder holds, written and verified; all but the signature."""

from __future__ import annotations

import platform
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from bundlegen import layout
from bundlegen.bundle import install_script
from bundlegen.bundle.entry import sha256
from bundlegen.bundle.finished import Packed
from bundlegen.bundle.pieces import Piece, configuration_piece
from bundlegen.bundle.plan import BundlePlan
from bundlegen.bundle.stub import Stub, label
from bundlegen.change import control_plane, parts
from bundlegen.change.compared import compared
from bundlegen.change.decided import Decision
from bundlegen.change.folder import Staging
from bundlegen.change.plans import Carried, base_plan, earlier_plans, plans, setting
from bundlegen.change.run import Run
from bundlegen.errors import VerificationError
from bundlegen.images import archive, pack
from bundlegen.pki import unlock
from bundlegen.pki.cas import Cas
from bundlegen.pki.certinfo import describe
from bundlegen.pki.store import Issued
from bundlegen.record import make as recorded
from bundlegen.record import write
from bundlegen.record.schema import Change, Compared
from bundlegen.system import resources
from bundlegen.trust.check_folder import faults


@dataclass(frozen=True)
class Contents:
    """What is in the folder: the hosts' bundles and the one for images, the record, and the bytes of SHA256SUMS."""

    bundles: tuple[Packed, ...]
    base: Packed | None
    record: Change
    sums: bytes


def make(run: Run, issued: Issued, archives: archive.Archives, stub: Stub, stage: Staging, scratch: Path) -> Contents:
    """Everything but the signature, written and verified."""
    options, decision, hosts = run.options, run.decision, run.prepared.hosts
    codes = unlock.ensure(run.store.path, hosts) if options.seal else {}
    script = install_script.install_script()
    pieces = pack.compress(archives, scratch, run.step)
    beside = parts.share(stage, pieces, options.attachments) if options.shared_images else None
    carried = Carried(
        script, install_script.image_script(), pack.described(archives, pieces, beside.name if beside else ""), codes
    )
    every = chain(
        plans(decision, hosts, issued, carried), [base_plan(decision, carried, options.trust)] if options.base else []
    )
    total = len(hosts) + options.base
    wanted, finished = [], []
    for number, plan in enumerate(every, start=1):
        if decision.before is not None and plan.kind == layout.KIND_HOST:
            wanted.append(plan)
        packed = _pack(plan, stub, () if beside else pieces, stage, decision)
        if options.attachments.wanted:
            packed = replace(packed, parts=parts.make(stage, packed.name, options.attachments))
        finished.append(packed)
        run.step("packing bundles", number, total)
    bundles = tuple(packed for packed in finished if packed.plan.kind == layout.KIND_HOST)
    base = next((packed for packed in finished if packed.plan.kind == layout.KIND_BASE), None)
    record = recorded.change(
        decision.cluster,
        bundles,
        [describe(each.certificate_pem) for each in dict.fromkeys((issued.signer, issued.ca))],
        sha256(script),
        _versions(stub),
        issued_at=max(issued.issued_at[host] for host in hosts),
        setting=setting(decision, hosts),
        signed=options.sign_key is not None,
        sealed=options.seal,
        compared_with=_compared(run, wanted, issued, carried),
        base=base,
        images=beside,
    )
    for name, content in write.render(record, resources.template_text, decision.operation.story).items():
        stage.write(name, [content])
    for name, content, mode in control_plane.files(decision, hosts, issued, sealed=options.seal):
        stage.write(name, [content], mode)
    sums = recorded.sums(stage.sums)
    stage.write(layout.SUMS, [sums])
    _check(stage, bundles, record)
    return Contents(bundles, base, record, sums)


def _compared(run: Run, wanted: Sequence[BundlePlan], issued: Issued, carried: Carried) -> Compared | None:
    """What differs from the change before, as the record has it; None for the first."""
    decision, newest = run.decision, run.decision.earlier.newest
    if decision.before is None or newest is None:
        return None
    hosts = run.prepared.hosts
    codes = unlock.ensure(run.store.path, hosts) if newest.options.seal else {}
    kept = run.store.kept(decision.before, newest.issues, Cas(newest.cas), issued)
    before = earlier_plans(decision, decision.before, hosts, kept, replace(carried, codes=codes))
    names = [{each.name: None for each in members} for members in (newest.members, decision.members)]
    gone, added = ([name for name in names[i] if name not in names[1 - i]] for i in (0, 1))
    return compared(before, wanted, gone, added, newest, decision.earlier.last_of)


def _check(stage: Staging, bundles: Sequence[Packed], record: Change) -> None:
    """What a receiver would refuse must not leave: the folder is verified before it appears."""
    at = max(info.not_before for packed in bundles for info in packed.certificates.values())
    wrong = [str(each) for each in faults(stage.folder, at, written=stage.sums, made=record) if each.fatal]
    if wrong:
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise VerificationError(
            f"what was built is not as it should be: {'; '.join(wrong[:3])}{more}", hint="nothing was left"
        )


def _pack(plan: BundlePlan, stub: Stub, embedded: Sequence[Piece], stage: Staging, decision: Decision) -> Packed:
    pieces = [configuration_piece(plan), *embedded]
    host = plan.host if plan.kind == layout.KIND_HOST else ""
    header = stub.header(label(decision.cluster.name, decision.name, host), pieces)
    blocks = (block for source in ([header], *(piece.blocks() for piece in pieces)) for block in source)
    size, digest = stage.write(layout.bundle_name(plan.host), blocks, layout.MODE_BUNDLE)
    certificates = {
        entry.destination: describe(entry.content)
        for entry in plan.entries
        if entry.destination.endswith(".crt") and entry.content is not None
    }
    return Packed(plan.written, size, digest, certificates)


def _versions(stub: Stub) -> dict[str, str]:
    return {"makeself": stub.version, "python": platform.python_version(), "zlib": zlib.ZLIB_RUNTIME_VERSION}
