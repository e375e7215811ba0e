"""The recipe: from a specification to a change folder, top to bottom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from bundlegen import __version__, layout
from bundlegen.bundle import install_script
from bundlegen.bundle.entry import NO_IMAGES, sha256
from bundlegen.bundle.finished import Packed
from bundlegen.bundle.stub import make_stub
from bundlegen.change import contents, inherited, shape
from bundlegen.change.asked import chosen
from bundlegen.change.decided import Decision
from bundlegen.change.entry import check_same, entry_of, same_but_time
from bundlegen.change.folder import Staging, check_apart, holds, staging
from bundlegen.change.going import with_going
from bundlegen.change.inherited import Evidence
from bundlegen.change.plans import Carried, plans
from bundlegen.change.prepared import prepare, prepare_asked
from bundlegen.change.run import Run, Step
from bundlegen.change.shape import Options
from bundlegen.errors import ConflictError, Problem, SpecError, UsageError
from bundlegen.images import archive, wanted
from bundlegen.pki.history import Change
from bundlegen.pki.store import Issued, Store
from bundlegen.pki.survey import check_ca, demand, survey
from bundlegen.record import reading
from bundlegen.record import schema as record
from bundlegen.spec.load import Loaded, load
from bundlegen.spec.model import Cluster
from bundlegen.system import clock
from bundlegen.system.files import file_sum
from bundlegen.trust import sign


@dataclass(frozen=True)
class Built:
    """What a build made.

    ``written``: False where the very same change was there already. ``kept``: the bundlegen that made the folder that
    was left as it is; empty where this one makes the same. ``unproven``: the change before, if no receipt of a host
    says that it was run.
    """

    folder: Path
    bundles: tuple[Packed, ...]
    base: Packed | None
    record: record.Change
    issued: tuple[str, ...]
    warnings: tuple[str, ...]
    written: bool
    decision: Decision
    kept: str = ""
    unproven: str = ""


def build(
    spec: Path,
    options: Options,
    step: Step = lambda _what, _done, _total: None,
    before_asking: Callable[[], None] = lambda: None,
    issued_now: Callable[[tuple[str, ...]], None] = lambda _sentences: None,
) -> Built:
    """Make the folder of the next change: from what the store records to what the specification at ``spec`` says.

    ``before_asking`` is called before another program may ask the user something; ``issued_now`` is told what was
    issued as soon as the store keeps it, whatever becomes of the build. Raises UsageError, SpecError, StoreError,
    ConflictError, ToolError, OutputError, and VerificationError where what came out is not what it should be; nothing
    half-made is left in any case. NothingDueError where what is asked for is not needed; nothing is written then.
    """
    loaded = load(spec)
    demand(options.pki, loaded.cluster, existing=options.existing)
    if options.asked is None or not options.asked.turns_ca:
        check_ca(options.pki, loaded.cluster)
    check_apart(options.output / loaded.cluster.name / (options.change or layout.FIRST_CHANGE), options.pki)
    archives = archive.survey(loaded.images, spec)
    stub = make_stub()
    moment = clock.dated(however_far=options.source_date)
    with Store.open(options.pki, loaded.cluster.name, clock=lambda: moment, today=clock.now) as store:
        run = _start(loaded, options, store, step, moment)
        found = _inherited(run, moment) if run.history.missing else None
        if found is None and (kept := _left_as_it_is(run)) is not None:
            return kept
        issued = _issued(run, found)
        issued_now(issued.new)
        if found is not None:
            return _inherit(run, issued, found, moment)
        with staging(run.folder) as stage, stage.scratch() as scratch:
            made = contents.make(run, issued, archives, stub, stage, scratch)
            entry = entry_of(run, issued, made, moment)
            if run.options.sign_key is not None:
                before_asking()
                stage.write(layout.SIGNATURE, [_signature(made.sums, run.options.sign_key, run.folder)])
            written = _put(run, stage, entry)
    warnings = tuple(str(problem) for problem in loaded.warnings) + issued.warnings
    warnings += unmet(run.decision.cluster, archives, spec) + idle(run.decision)
    unproven = _unproven(run)
    return Built(
        run.folder, made.bundles, made.base, made.record, issued.new, warnings, written, run.decision, unproven=unproven
    )


def check_options(options: Options, loaded: Loaded) -> None:
    """Raises UsageError and SpecError for what was chosen and cannot be with this specification."""
    if options.base:
        check_base(loaded.cluster, loaded.path)
    if options.signer and loaded.cluster.trust is not None:
        raise UsageError(
            f"--require-signer: {loaded.path} says by trust whose signature is demanded, of images too",
            hint="leave the option out",
        )
    if options.shared_images and not loaded.images:
        raise UsageError(f"--shared-images: {loaded.path} names no images", hint="name them, or leave the option out")


def _start(loaded: Loaded, options: Options, store: Store, step: Step, moment: datetime) -> Run:
    history = store.history()
    if options.asked is not None:
        prepared = prepare_asked(
            history,
            loaded.cluster,
            loaded.where,
            options.asked,
            partial(chosen, options.asked, store.path, history=history, now=moment),
            moment,
            partial(_is_there, options.output / loaded.cluster.name),
        )
        check_options(options, loaded)
        return Run(loaded, options, store, history, prepared, step)
    # A store that knows no change yet may be told which one it has made: see inherited.
    name = None if history.missing and options.change == layout.FIRST_CHANGE else options.change
    prepared = prepare(history, loaded.cluster, loaded.where, name, options.by)
    made = prepared.decision.made
    if options.change is not None and made is not None:
        options = shape.as_made(options, made)
    check_options(options, loaded)
    return Run(loaded, options, store, history, prepared, step)


def _issued(run: Run, found: Evidence | None) -> Issued:
    decision = run.decision
    if found is not None or (decision.made is not None and run.options.change is not None):
        issued = run.store.again(decision.cluster, run.prepared.issues, run.prepared.cas, decision.name)
    else:
        issued = run.store.ensure(
            decision.cluster,
            run.prepared.issues,
            cas=run.prepared.cas,
            needed=run.prepared.hosts,
            jobs=run.options.jobs,
            progress=lambda done, total: run.step("making keys", done, total),
        )
    return with_going(run, issued)


def _inherited(run: Run, moment: datetime) -> Evidence | None:
    """What is there of the change that bundlegen 0.1 made. Raises ConflictError if that was of something else."""
    found = inherited.evidence(run.folder, run.decision.cluster.name)
    lacking = survey(run.options.pki, run.decision.cluster, needed=(), clock=lambda: moment, today=clock.now).new
    inherited.check(run.store.path, lacking, found, asked=run.options.change is not None)
    return found


def _inherit(run: Run, issued: Issued, found: Evidence, moment: datetime) -> Built:
    """Write down the change that bundlegen 0.1 made; its folder stays as it is."""
    carried = Carried(install_script.install_script(), install_script.image_script(), NO_IMAGES, {})
    inherited.check_plans(found, plans(run.decision, run.prepared.hosts, issued, carried))
    entry = entry_of(run, issued, None, moment)
    entry = entry.model_copy(
        update={
            "bundlegen": found.version,
            "hosts": found.made,
            "options": found.options,
            "sums": file_sum(run.folder / layout.SUMS),
        }
    )
    run.store.record(entry)
    return _kept(run, found.version, issued.warnings)


def _left_as_it_is(run: Run) -> Built | None:
    """The folder of a change that another bundlegen made, if it is there as it was made: this one makes other bytes."""
    made = run.decision.made
    if made is None or made.bundlegen == __version__ or run.options.replace:
        return None
    if _is_there(run.folder.parent, made):
        return _kept(run, made.bundlegen, ())
    raise ConflictError(
        f"{made.name} was made by bundlegen {made.bundlegen}, and bundlegen {__version__} makes other bytes of it",
        hint="use that version, or give --replace",
    )


def _is_there(folder: Path, made: Change) -> bool:
    """Whether the folder of this change is in ``folder`` as it was made."""
    return holds(folder / made.name, {layout.bundle_name(host): each.sha256 for host, each in made.hosts.items()})


def _kept(run: Run, version: str, warnings: tuple[str, ...]) -> Built:
    there = reading.change(run.folder)
    warnings = tuple(str(problem) for problem in run.loaded.warnings) + warnings
    return Built(run.folder, (), None, there, (), warnings, False, run.decision, kept=version, unproven=_unproven(run))


def _put(run: Run, stage: Staging, entry: Change) -> bool:
    """Write the change down, then let its folder appear. False: it was there already, byte for byte.

    Killed in between, the next build finds the change in the history, makes the same bytes, and the folder appears.
    """
    made = run.decision.made
    if made is not None:
        check_same(run, made, entry)
    fresh = stage.check(replace=run.options.replace)
    if made is None or (run.options.replace and not same_but_time(made, entry)):
        run.store.record(entry)
    if fresh:
        stage.move()
    return fresh


def _unproven(run: Run) -> str:
    """The change before, if no receipt says that a host has run it."""
    newest = run.decision.earlier.newest
    return "" if newest is None or run.history.ran(newest) else newest.name


def _signature(sums: bytes, key: Path, folder: Path) -> bytes:
    """Kept where the change that is there has a good one: not every kind of key signs twice the same."""
    same = file_sum(folder / layout.SUMS) == sha256(sums)
    return (same and sign.kept(sums, folder / layout.SIGNATURE, key)) or sign.sign(sums, key)


def check_base(cluster: Cluster, spec: Path) -> None:
    """Raises SpecError where the bundle for images would have the name of a host's."""
    for index, host in enumerate(cluster.hosts):
        if host.name == layout.BASE:
            message = f"is {layout.BASE!r}, and {layout.bundle_name(layout.BASE)} would be the bundle for images"
            hint = "give this host another name, or build without --base"
            raise SpecError([Problem(str(spec), f"hosts[{index}].name", message, hint)])


def idle(decision: Decision) -> tuple[str, ...]:
    """Warnings: what the specification asks for and no change does. Where files of this machine are is no wish."""
    wishes = (each for each in decision.idle if each.path[0] != "images" and each.path[:2] != ("pki", "ca"))
    return tuple(f"{each} changes nothing on any host, and the CA is kept" for each in wishes)


def unmet(cluster: Cluster, archives: archive.Archives, spec: Path) -> tuple[str, ...]:
    """Warnings: without any image, the hosts have theirs already, or a registry; with some, all should be there."""
    if not archives.files:
        return ()
    return tuple(f"{spec}: images: {sentence}" for sentence in wanted.unmet(cluster, archives.images))
