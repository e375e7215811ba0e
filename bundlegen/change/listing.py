"""What a build would put where and issue, without writing anything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from bundlegen import layout
from bundlegen.bundle.plan import configuration, image_entries, shared_configuration
from bundlegen.bundle.render import Renderer
from bundlegen.change.build import check_base, unmet
from bundlegen.images import archive, pack
from bundlegen.pki import catalog
from bundlegen.pki.store import survey
from bundlegen.spec.load import load
from bundlegen.spec.model import Cluster
from bundlegen.system import clock, resources

Files: TypeAlias = tuple[tuple[str, int, str], ...]
"""Of each file its destination, its mode, and what it is."""


@dataclass(frozen=True)
class Listing:
    """What a build would put where: by host the files, those of the bundle for images, and what it would issue."""

    cluster: Cluster
    hosts: tuple[tuple[str, Files], ...]
    base: Files | None
    issue: tuple[str, ...]
    warnings: tuple[str, ...]


def listing(spec: Path, pki: Path, *, base: bool = False, source_date: bool = False) -> Listing:
    """What :func:`build` would put where, and issue; writes nothing. Raises SpecError, StoreError and UsageError."""
    loaded = load(spec)
    cluster = loaded.cluster
    if base:
        check_base(cluster, spec)
    archives = archive.survey(loaded.images, spec)
    moment = clock.dated(however_far=source_date)
    found = survey(pki, cluster, clock=lambda: moment, today=clock.now)
    renderer = Renderer(cluster, "", resources.template_text)
    images = image_entries(pack.described(archives))
    hosts = []
    for host in cluster.hosts:
        rows = [(each.destination, each.mode, each.what) for each in configuration(cluster, host, renderer)]
        for file in catalog.host_files(cluster, host):
            mode = layout.MODE_KEY if file.private else layout.MODE_CERTIFICATE
            rows.append((layout.pki_path(file.path), mode, catalog.what(file)))
        rows += [(each.destination, each.mode, each.what) for each in images]
        hosts.append((host.name, tuple(sorted(rows))))
    files = [*shared_configuration(cluster, renderer, layout.BASE_DIR), *images]
    of_base = tuple(sorted((each.destination, each.mode, each.what) for each in files)) if base else None
    warnings = tuple(str(problem) for problem in loaded.warnings) + found.warnings + unmet(cluster, archives, spec)
    return Listing(cluster, tuple(hosts), of_base, found.new, warnings)
