"""What the next change would be, put where and issue, without writing anything."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from bundlegen import layout
from bundlegen.bundle.entry import Entry
from bundlegen.bundle.plan import configuration, image_entries, shared_configuration
from bundlegen.bundle.render import Renderer
from bundlegen.change.asked import Asked, chosen
from bundlegen.change.build import check_base, idle, unmet
from bundlegen.change.decided import Decision
from bundlegen.change.decision import going
from bundlegen.change.plans import births
from bundlegen.change.prepared import prepare, prepare_asked
from bundlegen.images import archive, pack
from bundlegen.pki import catalog, changes
from bundlegen.pki.files import check_folder
from bundlegen.pki.survey import check_ca, demand, survey
from bundlegen.spec.load import load
from bundlegen.spec.model import Cluster, Host
from bundlegen.system import clock, resources

Files: TypeAlias = tuple[tuple[str, int, str], ...]
"""Of each file its destination, its mode, and what it is."""


@dataclass(frozen=True)
class Listing:
    """What a build would put where: by host the files, those of the bundle for images, and what it would issue."""

    decision: Decision
    hosts: tuple[tuple[str, Files], ...]
    base: Files | None
    issue: tuple[str, ...]
    warnings: tuple[str, ...]


def listing(
    spec: Path, pki: Path, *, asked: Asked | None = None, base: bool = False, source_date: bool = False
) -> Listing:
    """What :func:`build` would put where, and issue, also where an operation is ``asked`` for; writes nothing.

    Raises SpecError, StoreError, ConflictError, UsageError, and NothingDueError where what is asked for is not needed.
    """
    loaded = load(spec)
    demand(pki, loaded.cluster, existing=asked is not None)
    if asked is None or not asked.turns_ca:
        check_ca(pki, loaded.cluster)
    if base:
        check_base(loaded.cluster, spec)
    archives = archive.survey(loaded.images, spec)
    moment = clock.dated(however_far=source_date)
    store = pki / loaded.cluster.name
    if os.path.lexists(store):
        check_folder(store)
    history = changes.read(store)
    if asked is None:
        prepared = prepare(history, loaded.cluster, loaded.where, None)
    else:
        choose = partial(chosen, asked, store, history=history, now=moment)
        prepared = prepare_asked(history, loaded.cluster, loaded.where, asked, choose, moment)
    decision = prepared.decision
    cluster = decision.cluster
    found = survey(
        pki,
        cluster,
        prepared.issues,
        cas=prepared.cas,
        needed=prepared.hosts,
        clock=lambda: moment,
        today=clock.now,
    )
    renderer = Renderer(cluster, "", resources.template_text, births(decision.members))
    images = image_entries(pack.described(archives))
    before = going(decision.before) if decision.before else cluster
    wanted = {host.name: (side, host) for side in (before, cluster) for host in side.hosts}
    hosts = tuple((name, _files(*wanted[name], renderer, images)) for name in prepared.hosts)
    files = [*shared_configuration(cluster, renderer, layout.BASE_DIR), *images]
    of_base = tuple(sorted((each.destination, each.mode, each.what) for each in files)) if base else None
    warnings = tuple(str(problem) for problem in loaded.warnings) + found.warnings + unmet(cluster, archives, spec)
    warnings += idle(decision)
    return Listing(decision, hosts, of_base, found.new, warnings)


def _files(cluster: Cluster, host: Host, renderer: Renderer, images: list[Entry]) -> Files:
    rows = [(each.destination, each.mode, each.what) for each in (*configuration(cluster, host, renderer), *images)]
    for file in catalog.host_files(cluster, host):
        mode = layout.MODE_KEY if file.private else layout.MODE_CERTIFICATE
        rows.append((layout.pki_path(file.path), mode, catalog.what(file)))
    return tuple(sorted(rows))
