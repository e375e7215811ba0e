"""The recipe: from a specification to a change folder, top to bottom."""

from __future__ import annotations

import platform
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from bundlegen import layout
from bundlegen.bundle import install_script
from bundlegen.bundle.facts import Window
from bundlegen.bundle.finished import Packed
from bundlegen.bundle.pieces import Piece, configuration_piece
from bundlegen.bundle.plan import BundlePlan, ImageSet, plan_base, plan_host, sha256
from bundlegen.bundle.render import Renderer
from bundlegen.bundle.stub import Stub, label, make_stub
from bundlegen.change import parts
from bundlegen.change.folder import Staging, check_apart, staging
from bundlegen.errors import Problem, SpecError, UsageError, VerificationError
from bundlegen.images import archive, pack, wanted
from bundlegen.operations.create import CREATE
from bundlegen.pki import catalog, unlock
from bundlegen.pki.certinfo import CertInfo, describe
from bundlegen.pki.store import Issued, Store
from bundlegen.record import make, write
from bundlegen.record.schema import Change, Compared
from bundlegen.spec.load import load
from bundlegen.spec.model import Cluster, Host
from bundlegen.system import clock, resources
from bundlegen.system.files import file_sum
from bundlegen.trust import compare, sign
from bundlegen.trust.check_folder import faults

Step: TypeAlias = Callable[[str, int, int], None]
"""Told what is being made (in words), how much of it is done, and how much there is."""


@dataclass(frozen=True)
class Options:
    """How to build, beside the specification."""

    output: Path
    pki: Path
    jobs: int | None = None
    replace: bool = False
    sign_key: Path | None = None
    seal: bool = False
    attachments: parts.Attachments = parts.NONE
    previous: Path | None = None
    base: bool = False
    shared_images: bool = False
    source_date: bool = False


@dataclass(frozen=True)
class Built:
    """What a build made. ``written``: False where the very same change was there already."""

    folder: Path
    bundles: tuple[Packed, ...]
    base: Packed | None
    record: Change
    issued: tuple[str, ...]
    warnings: tuple[str, ...]
    written: bool


def build(
    spec: Path,
    options: Options,
    step: Step = lambda _what, _done, _total: None,
    before_asking: Callable[[], None] = lambda: None,
    issued_now: Callable[[tuple[str, ...]], None] = lambda _sentences: None,
) -> Built:
    """Make the change folder of the specification at ``spec``.

    ``before_asking`` is called before another program may ask the user something; ``issued_now`` is told what was
    issued as soon as the store keeps it, whatever becomes of the build. Raises UsageError, SpecError, StoreError,
    ToolError, OutputError, and VerificationError where what came out is not what it should be; nothing half-made is
    left in any case.
    """
    loaded = load(spec)
    if options.previous is not None and not (options.previous / layout.SUMS).is_file():
        raise UsageError(f"--previous {options.previous}: not the folder of a change", hint=f"it has no {layout.SUMS}")
    cluster = loaded.cluster
    if options.base:
        check_base(cluster, spec)
    if options.shared_images and not loaded.images:
        raise UsageError(f"--shared-images: {spec} names no images", hint="name them there, or leave the option out")
    archives = archive.survey(loaded.images, spec)
    stub = make_stub()
    script = install_script.install_script()
    folder = options.output / cluster.name / layout.FIRST_CHANGE
    check_apart(folder, options.pki)
    moment = clock.dated(however_far=options.source_date)
    with Store.open(options.pki, cluster.name, clock=lambda: moment, today=clock.now) as store:
        issued = store.ensure(cluster, jobs=options.jobs, progress=lambda done, total: step("making keys", done, total))
        issued_now(issued.new)
        codes = unlock.ensure(store.path, [host.name for host in cluster.hosts]) if options.seal else {}
        with staging(folder) as stage, stage.scratch() as scratch:
            pieces = pack.compress(archives, scratch, step)
            beside = parts.share(stage, pieces, options.attachments) if options.shared_images else None
            images = pack.described(archives, pieces, beside.name if beside else "")
            plans = list(_plans(cluster, issued, script, images, codes))
            if options.base:
                plans.append(_base_plan(cluster, script, images))
            finished = []
            for number, plan in enumerate(plans, start=1):
                packed = _pack(plan, stub, () if beside else pieces, stage, cluster)
                if options.attachments.wanted:
                    packed = replace(packed, parts=parts.make(stage, packed.name, options.attachments))
                finished.append(packed)
                step("packing bundles", number, len(plans))
            bundles = [packed for packed in finished if packed.plan.kind == layout.KIND_HOST]
            base = next((packed for packed in finished if packed.plan.kind == layout.KIND_BASE), None)
            change = make.change(
                cluster,
                bundles,
                [describe(issued.ca.certificate_pem)],
                sha256(script),
                _versions(stub),
                issued_at=max(issued.issued_at.values()),
                signed=options.sign_key is not None,
                sealed=options.seal,
                compared_with=_compared(options.previous, stage.folder),
                base=base,
                images=beside,
            )
            for name, content in write.render(change, resources.template_text, CREATE.story).items():
                stage.write(name, [content])
            sums = make.sums(stage.sums)
            stage.write(layout.SUMS, [sums])
            _check(stage, bundles)
            if options.sign_key is not None:
                before_asking()
                stage.write(layout.SIGNATURE, [_signature(sums, options.sign_key, folder)])
            written = stage.commit(replace=options.replace)
    warnings = tuple(str(problem) for problem in loaded.warnings) + issued.warnings + unmet(cluster, archives, spec)
    return Built(folder, tuple(bundles), base, change, issued.new, warnings, written)


def _compared(previous: Path | None, new: Path) -> Compared | None:
    """What differs between the change folder ``previous`` and the bundles in ``new``, as the record has it."""
    if previous is None:
        return None
    return compare.recorded(compare.compare(previous, new), sha256=file_sum(previous / layout.SUMS))


def _check(stage: Staging, bundles: Sequence[Packed]) -> None:
    """What a receiver would refuse must not leave: the folder is verified before it appears."""
    at = max(info.not_before for packed in bundles for info in packed.certificates.values())
    wrong = [str(each) for each in faults(stage.folder, at, written=stage.sums) if each.fatal]
    if wrong:
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise VerificationError(
            f"what was built is not as it should be: {'; '.join(wrong[:3])}{more}", hint="nothing was left"
        )


def _signature(sums: bytes, key: Path, folder: Path) -> bytes:
    """Kept where the change that is there has a good one: not every kind of key signs twice the same."""
    same = file_sum(folder / layout.SUMS) == sha256(sums)
    return (same and sign.kept(sums, folder / layout.SIGNATURE, key)) or sign.sign(sums, key)


def _plans(
    cluster: Cluster,
    issued: Issued,
    script: bytes,
    images: ImageSet,
    codes: Mapping[str, str],
) -> Iterable[BundlePlan]:
    renderer = Renderer(cluster, issued.token, resources.template_text)
    ca = describe(issued.ca.certificate_pem)
    for host in cluster.hosts:
        leaves = {spec.name: issued.leaves[host.name, spec.name] for spec in catalog.LEAF_SPECS}
        yield plan_host(
            cluster,
            host,
            renderer=renderer,
            installer=script,
            image_script=install_script.image_script(),
            leaves=leaves,
            ca=issued.ca,
            window=_window(host, issued, [ca, *(describe(pair.certificate_pem) for pair in leaves.values())]),
            images=images,
            unlock_code=codes.get(host.name, ""),
        )


def check_base(cluster: Cluster, spec: Path) -> None:
    """Raises SpecError where the bundle for images would have the name of a host's."""
    for index, host in enumerate(cluster.hosts):
        if host.name == layout.BASE:
            message = f"is {layout.BASE!r}, and {layout.bundle_name(layout.BASE)} would be the bundle for images"
            hint = "give this host another name, or build without --base"
            raise SpecError([Problem(str(spec), f"hosts[{index}].name", message, hint)])


def _base_plan(cluster: Cluster, script: bytes, images: ImageSet) -> BundlePlan:
    return plan_base(
        cluster,
        renderer=Renderer(cluster, "", resources.template_text),
        installer=script,
        image_script=install_script.image_script(),
        images=images,
    )


def _window(host: Host, issued: Issued, certificates: Sequence[CertInfo]) -> Window:
    return Window(
        issued_at=issued.issued_at[host.name],
        not_before=max(each.not_before for each in certificates),
        not_after=min(each.not_after for each in certificates),
    )


def _pack(plan: BundlePlan, stub: Stub, embedded: Sequence[Piece], stage: Staging, cluster: Cluster) -> Packed:
    pieces = [configuration_piece(plan), *embedded]
    host = plan.host if plan.kind == layout.KIND_HOST else ""
    header = stub.header(label(cluster.name, layout.FIRST_CHANGE, host), pieces)
    blocks = (block for source in ([header], *(piece.blocks() for piece in pieces)) for block in source)
    size, digest = stage.write(layout.bundle_name(plan.host), blocks, layout.MODE_BUNDLE)
    certificates = {
        entry.destination: describe(entry.content)
        for entry in plan.entries
        if entry.destination.endswith(".crt") and entry.content is not None
    }
    return Packed(plan, size, digest, certificates)


def unmet(cluster: Cluster, archives: archive.Archives, spec: Path) -> tuple[str, ...]:
    """Warnings: without any image, the hosts have theirs already, or a registry; with some, all should be there."""
    if not archives.files:
        return ()
    return tuple(f"{spec}: images: {sentence}" for sentence in wanted.unmet(cluster, archives.images))


def _versions(stub: Stub) -> dict[str, str]:
    return {"makeself": stub.version, "python": platform.python_version(), "zlib": zlib.ZLIB_RUNTIME_VERSION}
