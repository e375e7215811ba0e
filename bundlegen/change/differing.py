"""On which hosts a change of the specification would be felt. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from bundlegen.bundle import conf
from bundlegen.bundle.entry import Entry
from bundlegen.bundle.facts import Content, Facts, Window
from bundlegen.bundle.member import Birth
from bundlegen.bundle.plan import host_configuration, shared_configuration
from bundlegen.bundle.render import Renderer
from bundlegen.layout import state_dir
from bundlegen.pki import catalog
from bundlegen.spec.model import Cluster, Host
from bundlegen.system.jinja import TemplateSource

_SOME: Final = datetime(2000, 1, 1, tzinfo=UTC)
_SAME: Final = Content(window=Window(_SOME, _SOME, _SOME))
"""What a bundle is told about itself, its change and its certificates is no difference on the host."""


@dataclass(frozen=True)
class _Side:
    cluster: Cluster
    renderer: Renderer

    def shared(self) -> object:
        """What is placed on every host."""
        return _placed(shared_configuration(self.cluster, self.renderer, state_dir(self.cluster.name)))

    def own(self, host: Host) -> object:
        """What is placed on this host alone, its certificates as they are asked for, and what its bundle.conf says."""
        return (
            _placed(host_configuration(self.cluster, host, self.renderer)),
            catalog.host_requests(self.cluster, host),
            catalog.host_files(self.cluster, host),
            conf.values(Facts(self.cluster, host, "", self.renderer.birth(host), _SAME)),
        )


def differing(before: Cluster, after: Cluster, births: Mapping[str, Birth], source: TemplateSource) -> tuple[str, ...]:
    """The hosts of ``after``, in order, that were in ``before`` and are told or given something else now.

    ``births``: those of all members. ``source`` gives the templates.
    """
    old, new = (_Side(cluster, Renderer(cluster, "", source, births)) for cluster in (before, after))
    known = {host.name: host for host in before.hosts}
    both = [host for host in after.hosts if host.name in known]
    everywhere = old.shared() != new.shared()
    return tuple(host.name for host in both if everywhere or old.own(known[host.name]) != new.own(host))


def _placed(entries: list[Entry]) -> list[tuple[str, int, str]]:
    return sorted((each.destination, each.mode, each.sha256) for each in entries if each.placed)
