"""Which change a build makes: found out from what the history records and what the specification says. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from pydantic import ValidationError

from bundlegen import __version__
from bundlegen.change.decided import Decision, How
from bundlegen.errors import ConflictError, Problem, SpecError, StoreError, UsageError
from bundlegen.operations import table
from bundlegen.operations.operation import Operation
from bundlegen.pki.history import Change, History
from bundlegen.spec import differences
from bundlegen.spec.differences import ADD, FIXED, NOWHERE, REMOVE, REPLACE, Difference
from bundlegen.spec.finding import FieldPath
from bundlegen.spec.model import Cluster
from bundlegen.spec.sections import Ca, PreviousCa
from bundlegen.spec.types import NO_HOST

Where: TypeAlias = Callable[[FieldPath], str]
"""Says where in which file a field of the specification is; of no field: the file."""

_TOKEN: Final[FieldPath] = ("etcd", "initialClusterToken")


def decide(history: History, wanted: Cluster, where: Where) -> Decision:
    """The next change: from what ``history`` records to what ``wanted`` says.

    Raises SpecError where no one change can do that, ConflictError where the history holds another cluster, or where
    the newest change is to be withdrawn instead.
    """
    newest = history.newest
    if newest is None:
        return Decision(_operation("create"), history.next_number, wanted, None, History(), None, ())
    _check_same_cluster(newest, wanted)
    before = recorded(newest, wanted)
    wanted = _keeping_ca_key(before, wanted)
    found = _felt(before, wanted)
    if not found:
        return again(history, newest, wanted)
    _check_not_taken_back(history, newest, wanted)
    operation = _operation(_only_row(found, newest, where))
    if refused := [Problem(where(()), "", *each) for each in operation.refusals(before, wanted)]:
        raise SpecError([*(_problem(each, newest, where) for each in found), *refused])
    return Decision(operation, history.next_number, wanted, before, history, None, found)


def asked(
    history: History,
    wanted: Cluster,
    where: Where,
    name: str,
    how: How = How(),  # noqa: B008 - frozen
) -> Decision:
    """The operation ``name``, which is asked for and changes nothing of what the specification says.

    But for the addresses of the hosts that it is asked for, where it makes them members anew, and for all hosts where
    the cluster begins anew. Raises SpecError
    where the specification differs as well, UsageError for an operation that is not asked for by its name,
    ConflictError where the history holds no cluster yet, or another one.
    """
    operation, newest = table.named(name), history.newest
    if operation is None or not operation.by_name:
        known = ", ".join(each.name for each in table.OPERATIONS if each.by_name)
        hint = "build finds it out from the specification" if operation else f"there is {known}"
        raise UsageError(f"{name!r} is no operation that is asked for by name", hint=hint)
    if operation.finds:
        return _found(operation, history, wanted, where)
    if newest is None:
        what = "was made by bundlegen 0.1, which wrote down no change" if history.missing else "knows no change yet"
        hint = "build once with its specification, unedited" if history.missing else "make the first one: build"
        raise ConflictError(f"the store of {wanted.name} {what}, so there is nothing to {name}", hint=hint)
    if operation.refounds:
        return _refounded(operation, history, newest, wanted, where, how)
    _check_same_cluster(newest, wanted)
    before = recorded(newest, wanted)
    wanted = _keeping_ca_key(before, wanted)
    found, hosts = _felt(before, wanted), how.hosts
    if operation.bears_anew and len(hosts) != 1:
        raise UsageError(f"{name} is of one host at a time", hint=f"bundlegen {name} SPEC HOST")
    if found and operation.bears_anew and all(each.row == REPLACE and each.host in hosts for each in found):
        return Decision(operation, history.next_number, wanted, before, history, None, found, reborn=frozenset(hosts))
    if found:
        said = f"the specification differs from {newest.name}, and {name} changes nothing else"
        rows = ", then ".join((*(row for row in differences.asked(found) if row != REPLACE), name))
        mixed = Problem(where(()), "", said, f"do one at a time, each built and run: {rows}; or put it back")
        raise SpecError([*(_problem(each, newest, where) for each in found), mixed])
    idle = tuple(each for each in differences.between(before, wanted) if each.row == NOWHERE)
    reborn = frozenset(hosts if operation.bears_anew else ())
    # the CA that is demanded is to be another one
    pki = before.pki.model_copy(update={"ca": wanted.pki.ca})
    cluster = before.model_copy(update={"pki": pki}) if operation.turns_ca else before
    return Decision(operation, history.next_number, cluster, before, history, None, (), idle, reborn, how.at_once)


def _found(operation: Operation, history: History, wanted: Cluster, where: Where) -> Decision:
    """The cluster is there already, and the store knows nothing of it yet."""
    if history.newest is not None or history.missing:
        newest = "create" if history.newest is None else history.newest.name
        raise ConflictError(
            f"the store of {wanted.name} knows this cluster already: {newest} is its newest change",
            hint=f"{operation.name} begins a store; bundlegen build makes the next change",
        )
    if refused := [Problem(where(()), "", *each) for each in operation.refusals(wanted, wanted)]:
        raise SpecError(refused)
    return Decision(operation, history.next_number, wanted, None, History(), None, ())


def _refounded(
    operation: Operation, history: History, newest: Change, wanted: Cluster, where: Where, how: How
) -> Decision:
    """The cluster begins anew: with other hosts, if the specification says so, and with nothing else that differs."""
    before = recorded(newest, wanted)
    wanted = _keeping_ca_key(before, wanted)
    found = _felt(before, wanted)
    other = [each for each in found if each.row not in (ADD, REMOVE, REPLACE) and each.path != _TOKEN]
    problems = [_problem(each, newest, where) for each in other]
    problems += [Problem(where(()), "", *each) for each in operation.refusals(before, wanted)]
    if problems:
        raise SpecError(problems)
    everybody = frozenset(host.name for host in wanted.hosts)
    return Decision(
        operation, history.next_number, wanted, before, history, None, found, (), everybody, snapshot=how.snapshot
    )


def again(history: History, change: Change, wanted: Cluster) -> Decision:
    """The change as it was made before.

    ``wanted`` says where files of this machine are: images, and a CA brought along. Raises StoreError where this
    bundlegen does not know its operation.
    """
    earlier = history.before(change.number)
    before = None if earlier.newest is None else recorded(earlier.newest, wanted)
    cluster = recorded(change, wanted)
    operation = table.named(change.operation)
    if operation is None:
        raise StoreError(
            f"bundlegen {__version__} does not know the operation of {change.name}", hint="use a newer one"
        )
    found = () if before is None else _felt(before, cluster)
    idle = tuple(each for each in differences.between(cluster, wanted) if each.row == NOWHERE)
    return Decision(
        operation,
        change.number,
        cluster,
        before,
        earlier,
        change,
        found,
        idle,
        at_once=change.options.now,
        snapshot=change.options.snapshot,
    )


def named(history: History, name: str, wanted: Cluster) -> Decision:
    """The change ``name`` as it was made before. Raises UsageError where there is none, StoreError as above."""
    change = history.named(name)
    if change is None:
        if history.withdrawn(name):
            raise UsageError(f"--change {name}: it was withdrawn", hint=_known(history))
        raise UsageError(f"--change {name}: the history has no such change", hint=_known(history))
    return again(history, change, wanted)


def recorded(change: Change, wanted: Cluster) -> Cluster:
    """The cluster as ``change`` made it; where files of this machine are, images and a CA's, ``wanted`` says.

    Raises StoreError for a specification that no bundlegen wrote.
    """
    try:
        found = Cluster.model_validate(change.spec)
    except ValidationError as error:
        raise StoreError(f"the history's specification of {change.name} is damaged", hint="restore a backup") from error
    pki = found.pki.model_copy(update={"ca": _located(found, wanted)})
    return found.model_copy(update={"images": wanted.images, "pki": pki})


def _located(found: Cluster, wanted: Cluster) -> Ca | None:
    """The CA as ``found`` brings one or does not, with the files of each that ``wanted`` names."""
    known = wanted.pki.known_ca_files
    named = [None, *known] if found.pki.ca_files is None else [*known, None]
    own, before = (*named, None)[:2]
    certificate, key = own or (None, None)
    previous = None if before is None else PreviousCa(certificate=before.certificate, key=before.key)
    ca = Ca(certificate=certificate, key=key, fingerprint=found.pki.ca_fingerprint, previous=previous)
    return ca if ca != Ca() else None


def _keeping_ca_key(before: Cluster, wanted: Cluster) -> Cluster:
    """``wanted``, with the CA's key on the host that has it, where nothing else is said and that host stays.

    Without that it would go to whoever is named first, and to one host more each time.
    """
    holder = before.ca_key_host
    if wanted.pki.ca_key_host is not None or holder not in {host.name for host in wanted.hosts}:
        return wanted
    return wanted.model_copy(update={"pki": wanted.pki.model_copy(update={"ca_key_host": holder})})


def going(before: Cluster) -> Cluster:
    """``before``, as the bundles of hosts that leave are made from it: none of them is given the CA's key again."""
    return before.model_copy(update={"pki": before.pki.model_copy(update={"ca_key_host": NO_HOST})})


def _operation(name: str) -> Operation:
    operation = table.named(name)
    if operation is None:
        raise LookupError(f"no operation {name}")
    return operation


def _felt(before: Cluster, after: Cluster) -> tuple[Difference, ...]:
    """What differs on a host, or would if it could."""
    return tuple(each for each in differences.between(before, after) if each.row != NOWHERE)


def _known(history: History) -> str:
    names = ", ".join(change.name for change in history.changes)
    return f"it has {names}" if names else "it has none yet: leave --change out"


def _check_same_cluster(newest: Change, wanted: Cluster) -> None:
    """Two clusters of one name would share a CA and a token."""
    known = {(place.name, place.address) for place in newest.members}
    if known.isdisjoint((host.name, host.address) for host in wanted.hosts):
        hosts = ", ".join(f"{place.name}={place.address}" for place in newest.members[:3])
        more = ", …" if len(newest.members) > 3 else ""
        raise ConflictError(
            f"the store of {wanted.name} is that of a cluster with other hosts ({hosts}{more}), "
            "and none of them is in this specification",
            hint="give this cluster a name of its own, or name the folder of its own store with --pki",
        )


def _check_not_taken_back(history: History, newest: Change, wanted: Cluster) -> None:
    """An edit that was taken back leaves nothing to change, if no host has run it."""
    earlier = history.before(newest.number).newest
    if earlier is None or _felt(recorded(earlier, wanted), wanted) or history.ran(newest):
        return
    raise ConflictError(
        f"the specification is again what it was before {newest.name}, and no receipt says that a host has run that",
        hint="if none has, take it back: bundlegen withdraw; if one has, take in its receipt "
        "(bundlegen reconcile --pki) and build again",
    )


def _only_row(found: Iterable[Difference], newest: Change, where: Where) -> str:
    """The one kind of change that the differences ask for. Raises SpecError with all of them where that is not so."""
    found = tuple(found)
    rows = differences.asked(found)
    known = table.named(rows[0]) if len(rows) == 1 else None
    if known is not None and not known.by_name and not any(each.row == FIXED for each in found):
        return known.name
    problems = [_problem(each, newest, where) for each in found]
    doable = tuple(row for row in rows if row != REPLACE)
    if len(rows) > 1:
        order = ", then ".join(rows)
        what = f"these are {len(rows)} kinds of change, and one change is of one kind"
        problems.append(Problem(where(()), "", what, f"do one at a time, each built and run: {order}"))
    elif doable and known is None:
        what = f"bundlegen {__version__} cannot {doable[0]} on a cluster that exists"
        problems.append(Problem(where(()), "", what, f"put back what differs from {newest.name}"))
    raise SpecError(problems)


def _problem(found: Difference, newest: Change, where: Where) -> Problem:
    values = f"{found.old or '(none)'} -> {found.new or '(none)'}"
    said = f"differs from {newest.name} ({found.row}): {values}"
    hint = ""
    if found.row == FIXED:
        said = f"differs from {newest.name}: {values}, and cannot be changed on a cluster that exists"
        hint = "put it back"
    elif found.row == REPLACE:
        hint = "a member keeps its name: put it back, or remove the host and add it, one change each"
        if found.host:
            hint = f"if the host has another address now: bundlegen replace SPEC {found.host}"
    return Problem(where(found.path), found.field, said, hint)
