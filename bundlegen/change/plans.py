"""What the bundles of a change will hold, host by host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bundlegen.bundle.entry import ImageSet
from bundlegen.bundle.facts import Position, Window
from bundlegen.bundle.member import Birth
from bundlegen.bundle.plan import BundlePlan, plan_base, plan_host
from bundlegen.bundle.render import Renderer
from bundlegen.change.decided import Decision
from bundlegen.change.decision import going
from bundlegen.operations import table
from bundlegen.pki import catalog
from bundlegen.pki.certinfo import CertInfo, describe
from bundlegen.pki.history import Change, Member
from bundlegen.pki.store import Issued
from bundlegen.record.make import Setting
from bundlegen.record.schema import Edit, ca_round
from bundlegen.spec.model import Cluster, Host
from bundlegen.spec.sections import Trust
from bundlegen.system import resources


@dataclass(frozen=True)
class Carried:
    """What bundles carry beside the files of their hosts: the scripts, the images, and the codes that seal the keys."""

    installer: bytes
    image_script: bytes
    images: ImageSet
    codes: Mapping[str, str] = field(repr=False)


def births(members: Iterable[Member]) -> dict[str, Birth]:
    """With what each member was started for the first time."""
    return {each.name: Birth(each.initial_cluster, each.state) for each in members}


def plans(decision: Decision, hosts: Sequence[str], issued: Issued, carried: Carried) -> Iterator[BundlePlan]:
    """The bundles of ``hosts``, in their order. That of one that is no member any more is made as of before."""
    newest = decision.earlier.newest
    sides = [(decision.cluster, decision.members)]
    if decision.before is not None and newest is not None:
        sides.append((going(decision.before), newest.members))
    by_name: dict[str, tuple[Cluster, Host, Renderer]] = {}
    for cluster, members in reversed(sides):
        renderer = Renderer(cluster, decision.token(issued.token), resources.template_text, births(members))
        by_name |= {host.name: (cluster, host, renderer) for host in cluster.hosts}
    for name in hosts:
        cluster, host, renderer = by_name[name]
        yield _plan(cluster, host, renderer, issued, carried, position(decision, name, hosts))


def earlier_plans(
    decision: Decision, before: Cluster, hosts: Sequence[str], issued: Issued, carried: Carried
) -> Iterator[BundlePlan]:
    """What the hosts among ``hosts`` that there were before would have been given by the change before.

    ``issued``: what the store kept for it; a host of which it lacks something is passed over.
    """
    newest = decision.earlier.newest
    by_name = {host.name: host for host in before.hosts}
    members = () if newest is None else newest.members
    renderer = Renderer(before, decision.token_before(issued.token), resources.template_text, births(members))
    for name in hosts:
        if name in by_name and all((name, spec.name) in issued.leaves for spec in catalog.LEAF_SPECS):
            yield _plan(before, by_name[name], renderer, issued, carried, position(decision, name, hosts))


def base_plan(decision: Decision, carried: Carried, trust: Trust | None = None) -> BundlePlan:
    """The bundle for images; ``trust``: whose signature they demand, where the specification does not say it."""
    cluster = decision.cluster if trust is None else decision.cluster.model_copy(update={"trust": trust})
    return plan_base(
        cluster,
        renderer=Renderer(cluster, "", resources.template_text),
        installer=carried.installer,
        image_script=carried.image_script,
        position=Position(decision.name, decision.number, decision.operation.name),
        images=carried.images,
    )


def position(decision: Decision, host: str, hosts: Sequence[str]) -> Position:
    """Where the bundle of ``host``, of those of ``hosts``, stands in the history."""
    earlier = decision.earlier
    members = () if earlier.newest is None else earlier.newest.members
    stay = {each.name for each in decision.cluster.hosts}
    gone = tuple(each.name for each in members if each.name not in stay)
    # they take themselves out, unless the first of those that stay does it, since none of them has a bundle
    takes_out = host not in stay or (host == hosts[0] and not set(gone) & set(hosts))
    takes_out = takes_out and decision.operation.takes_out
    # who begins anew may do so on a machine that has run nothing, and is given all there is
    anew = decision.operation.refounds or (decision.operation.bears_anew and host in decision.replaced)
    return Position(
        change=decision.name,
        number=decision.number,
        operation=decision.operation.name,
        after=_name(earlier.last_of(host)),
        required="" if anew else _name(earlier.required_of(host, _is_made_up)),
        members_before=decision.members_before,
        replaced=next(iter(decision.replaced), "") if decision.operation.bears_anew else "",
        snapshot=decision.snapshot,
        removes=gone if takes_out else (),
        ca_round=decision.ca_round,
    )


def setting(decision: Decision, hosts: Sequence[str]) -> Setting:
    """What the record is told of what came before."""
    newest = decision.earlier.newest
    last = {host: decision.earlier.last_of(host) for host in hosts}
    return Setting(
        change=decision.name,
        number=decision.number,
        operation=decision.operation.name,
        after=None if newest is None else newest.name,
        before=decision.cluster if decision.operation.finds else decision.before,
        births=births(decision.members),
        positions={host: position(decision, host, hosts) for host in hosts},
        ran=frozenset(host for host, change in last.items() if change and host in decision.earlier.ran(change)),
        snapshot=decision.snapshot,
        ca_round=ca_round(decision.ca_round),
        differences=tuple(Edit(field=each.field, old=each.old, new=each.new) for each in decision.differences),
    )


def _name(change: Change | None) -> str:
    return "" if change is None else change.name


def _is_made_up(operation: str) -> bool:
    known = table.named(operation)
    return known is not None and known.makes_up


def _plan(
    cluster: Cluster, host: Host, renderer: Renderer, issued: Issued, carried: Carried, where: Position
) -> BundlePlan:
    leaves = {spec.name: issued.leaves[host.name, spec.name] for spec in catalog.LEAF_SPECS}
    certificates = [describe(pair.certificate_pem) for pair in (issued.ca, *leaves.values())]
    return plan_host(
        cluster,
        host,
        renderer=renderer,
        installer=carried.installer,
        image_script=carried.image_script,
        leaves=leaves,
        ca=issued.ca,
        window=_window(host, issued, certificates),
        position=where,
        images=carried.images,
        unlock_code=carried.codes.get(host.name, ""),
    )


def _window(host: Host, issued: Issued, certificates: Sequence[CertInfo]) -> Window:
    return Window(
        issued_at=issued.issued_at[host.name],
        not_before=max(each.not_before for each in certificates),
        not_after=min(each.not_after for each in certificates),
    )
