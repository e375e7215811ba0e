"""Which change a build makes: from what the history records and what the specification says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bundlegen.change import decision as deciding
from bundlegen.change.asked import made_just_now
from bundlegen.change.decided import Decision
from bundlegen.errors import BundlegenError, ConflictError, SpecError, StoreError, UsageError
from bundlegen.operations.operation import Situation
from bundlegen.operations.renew import RENEW
from bundlegen.operations.table import OPERATIONS
from bundlegen.pki.history import Change, History
from bundlegen.spec import canonical
from bundlegen.spec.check import parse
from bundlegen.spec.finding import FieldPath
from bundlegen.spec.model import Cluster
from tests import histories
from tests.histories import receipt, withdrawal

HOSTS = [{"name": f"infra{number}", "address": f"10.0.0.{6 + number}"} for number in range(3)]
FLAG = {"etcd": {"extraArgs": {"heartbeat-interval": "200"}}}
ORDER = "do one at a time, each built and run: add, then configure, then upgrade"
OTHER = {"etcd": {"extraArgs": {"heartbeat-interval": "300"}}}


def cluster(**fields: Any) -> Cluster:
    return parse({"name": "prod", "kubernetesVersion": "v1.31.4", "hosts": HOSTS, **fields})


def settled(**fields: Any) -> Cluster:
    """As the history keeps it: with the host that has the CA's key written out."""
    return cluster(pki={"caKeyHost": "infra0"}, **fields)


def made(number: int, operation: str, of: Cluster, **fields: Any) -> Change:
    """A change as a build would have written it down."""
    earlier = History() if number == 1 else History((made(1, "create", cluster()),))
    first = deciding.decide(History(), of, where)
    change = histories.change(number, operation, [host.name for host in of.hosts])
    members = first.members if number == 1 else (earlier.changes[0].members)
    return change.model_copy(update={"spec": canonical.tree(of), "members": members, **fields})


def where(path: FieldPath) -> str:
    return f"c.yaml:{path[-1]}" if path else "c.yaml"


def decide(history: History, wanted: Cluster) -> Decision:
    return deciding.decide(history, wanted, where)


def refused(history: History, wanted: Cluster) -> BundlegenError:
    with pytest.raises(BundlegenError) as caught:
        decide(history, wanted)
    return caught.value


CREATE = made(1, "create", cluster())
SECOND = made(2, "configure", cluster(**FLAG))


def test_the_first_change_creates() -> None:
    found = decide(History(), cluster())
    assert (found.name, found.number, found.operation.name, found.before) == ("create", 1, "create", None)
    peers = ",".join(f"infra{number}=https://10.0.0.{6 + number}:2380" for number in range(3))
    assert {(each.initial_cluster, each.state) for each in found.members} == {(peers, "new")}


def test_a_first_change_that_was_withdrawn_does_not_give_back_its_number() -> None:
    found = decide(History((CREATE, withdrawal(1))), cluster())
    assert (found.name, found.number, found.earlier.changes) == ("2-create", 2, ())


def test_nothing_differs() -> None:
    found = decide(History((CREATE, SECOND)), cluster(**FLAG))
    assert (found.name, found.made) == ("2-configure", SECOND)
    assert found.earlier.changes == (CREATE,)
    assert [str(each) for each in found.differences] == ["etcd.extraArgs.heartbeat-interval: (none) -> 200"]


@pytest.mark.parametrize(
    "fields",
    [
        {"images": ["images/*.tar"]},
        {"pki": {"caCertificateValidityPeriod": "99999h"}},
        {"pki": {"ca": {"fingerprint": "5c" * 32}}},
        {"pki": {"caKeyHost": "infra0"}},
        {"etcd": {"extraArgs": {}}},
    ],
)
def test_what_no_host_notices_is_no_change(fields: dict[str, Any]) -> None:
    found = decide(History((CREATE,)), cluster(**fields))
    assert found.made == CREATE
    assert found.cluster.images == cluster(**fields).images
    # What bundles carry of the specification stays as it was.
    assert found.cluster.pki == cluster(pki={"caKeyHost": "infra0"}).pki


def test_an_order_that_means_nothing_stays_as_it_was() -> None:
    """The bytes follow from the order of the flags, so it is the recorded one that counts."""
    flags = {"heartbeat-interval": "200", "election-timeout": "2000"}
    history = History((made(1, "create", cluster(etcd={"extraArgs": flags})),))
    found = decide(history, cluster(etcd={"extraArgs": dict(reversed(flags.items()))}))
    assert list(found.cluster.etcd.extra_args) == list(flags)


def test_a_flag_configures() -> None:
    found = decide(History((CREATE,)), cluster(**FLAG))
    assert (found.name, found.operation.name, found.made) == ("2-configure", "configure", None)
    assert found.before == settled()
    # Members keep what they were born with.
    assert found.members == CREATE.members


def test_a_member_keeps_its_birth_whatever_the_order_of_the_hosts() -> None:
    found = decide(History((CREATE,)), cluster(hosts=HOSTS[::-1]))
    assert found.operation.name == "configure"
    assert [each.name for each in found.members] == ["infra2", "infra1", "infra0"]
    assert {each.initial_cluster for each in found.members} == {CREATE.members[0].initial_cluster}


def test_a_change_after_a_withdrawn_one_builds_on_the_one_before() -> None:
    found = decide(History((CREATE, SECOND, withdrawal(2))), cluster(**OTHER))
    assert (found.name, found.before) == ("3-configure", settled())


@pytest.mark.parametrize("fields", [{"ports": {"peer": 3380}}, {"etcd": {"dataDir": "/srv/etcd"}}])
def test_what_is_fixed_is_refused(fields: dict[str, Any]) -> None:
    error = refused(History((CREATE,)), cluster(**fields))
    assert isinstance(error, SpecError)
    [line] = error.lines()
    assert "differs from create: " in line
    assert line.endswith(", and cannot be changed on a cluster that exists (put it back)")


def test_an_address_is_not_edited() -> None:
    hosts = [HOSTS[0], {**HOSTS[1], "address": "10.0.0.99"}, HOSTS[2]]
    error = refused(History((CREATE,)), cluster(hosts=hosts))
    assert isinstance(error, SpecError)
    assert error.lines()[0].startswith(
        "c.yaml:address: hosts[1].address (infra1): "
        "differs from create (replace): 10.0.0.7 -> 10.0.0.99 "
        "(if the host has another address now: bundlegen replace SPEC infra1)"
    )


def test_an_operation_that_there_is_not_is_refused() -> None:
    known = {operation.name for operation in OPERATIONS}
    missing: dict[str, dict[str, Any]] = {"remove": {"hosts": HOSTS[:2]}}
    for name, fields in missing.items():
        if name in known:
            continue
        error = refused(History((CREATE,)), cluster(**fields))
        assert isinstance(error, SpecError)
        assert f"cannot {name} on a cluster that exists (put back what differs from create)" in error.lines()[-1]


def test_a_mixed_edit_is_refused_with_all_of_it_and_an_order() -> None:
    hosts = [*HOSTS, {"name": "infra3", "address": "10.0.0.9"}]
    error = refused(History((CREATE,)), cluster(hosts=hosts, kubernetesVersion="v1.31.5", **FLAG))
    assert isinstance(error, SpecError)
    assert error.exit_code == 3
    assert list(error.lines()) == [
        "c.yaml:kubernetesVersion: kubernetesVersion: differs from create (upgrade): v1.31.4 -> v1.31.5",
        "c.yaml:3: hosts[3]: differs from create (add): (none) -> infra3=10.0.0.9",
        "c.yaml:heartbeat-interval: etcd.extraArgs.heartbeat-interval: differs from create (configure): (none) -> 200",
        f"c.yaml: these are 3 kinds of change, and one change is of one kind ({ORDER})",
    ]


def test_another_cluster_of_the_same_name_is_refused() -> None:
    hosts = [{"name": f"db{number}", "address": f"10.1.0.{number + 1}"} for number in range(3)]
    error = refused(History((CREATE,)), cluster(hosts=hosts))
    assert isinstance(error, ConflictError)
    assert error.exit_code == 4
    assert "other hosts (infra0=10.0.0.6, infra1=10.0.0.7, infra2=10.0.0.8)" in error.message
    # The same names at other addresses are other hosts as well.
    moved = [{**host, "address": f"10.1.0.{number + 1}"} for number, host in enumerate(HOSTS)]
    assert "other hosts" in refused(History((CREATE,)), cluster(hosts=moved)).message
    # One host in common is enough to be asked what is meant.
    assert isinstance(refused(History((CREATE,)), cluster(hosts=[HOSTS[0], *hosts[1:]])), SpecError)


def test_an_edit_taken_back_is_withdrawn() -> None:
    history = History((CREATE, SECOND))
    error = refused(history, cluster())
    assert isinstance(error, ConflictError)
    assert "again what it was before 2-configure" in error.message
    assert "bundlegen withdraw" in error.hint
    # Once a host has run it, taking it back is a change like any other.
    found = decide(History((*history.entries, receipt(2, "infra0"))), cluster())
    assert (found.name, found.operation.name) == ("3-configure", "configure")
    # If it was undone there, it is as if it never ran.
    undone = receipt(2, "infra0", "rolled-back", minutes=1)
    assert "bundlegen withdraw" in refused(History((*history.entries, receipt(2, "infra0"), undone)), cluster()).hint


def test_an_edit_amended_before_it_ran_is_a_change_of_its_own() -> None:
    found = decide(History((CREATE, SECOND)), cluster(**OTHER))
    assert (found.name, found.before) == ("3-configure", settled(**FLAG))


def test_an_earlier_change_again() -> None:
    third = made(3, "configure", cluster(**OTHER))
    history = History((CREATE, SECOND, receipt(1, "infra0"), third, receipt(2, "infra0")))
    found = deciding.named(history, "2-configure", cluster(images=["x.tar"]))
    assert (found.made, found.number, found.cluster.etcd.extra_args) == (SECOND, 2, {"heartbeat-interval": "200"})
    # What was known when it was made is what counts, so that the same bytes come of it.
    assert found.earlier.entries == (CREATE,)
    assert found.cluster.images == ("x.tar",)
    assert deciding.named(history, "create", cluster()).before is None


def test_a_change_that_there_is_not() -> None:
    history = History((CREATE, SECOND, withdrawal(2)))
    with pytest.raises(UsageError, match="--change 2-configure: it was withdrawn"):
        deciding.named(history, "2-configure", cluster())
    with pytest.raises(UsageError, match="--change 7-renew: the history has no such change") as caught:
        deciding.named(history, "7-renew", cluster())
    assert caught.value.hint == "it has create"


def test_a_history_of_a_later_version() -> None:
    with pytest.raises(StoreError, match="does not know the operation of 2-teleport"):
        decide(History((CREATE, made(2, "teleport", cluster()))), cluster())
    with pytest.raises(StoreError, match="specification of create is damaged"):
        decide(History((CREATE.model_copy(update={"spec": {"name": "prod"}}),)), cluster())


def test_what_the_history_keeps_of_a_specification() -> None:
    kept = canonical.tree(cluster(images=["images/*.tar"], pki={"ca": {"certificate": "a/ca.crt", "key": "a/ca.key"}}))
    assert "images" not in kept
    assert "a/ca" not in str(kept)
    assert kept["pki"]["certificateValidityPeriod"] == "8760h0m0s"
    assert Cluster.model_validate(kept).hosts == cluster().hosts


def test_what_is_asked_for_by_name() -> None:
    found = deciding.asked(History((CREATE, SECOND)), cluster(images=["x.tar"], **FLAG), where, "renew")
    assert (found.name, found.operation.name, found.made, found.differences) == ("3-renew", "renew", None, ())
    assert found.before == found.cluster == settled(**FLAG).model_copy(update={"images": ("x.tar",)})
    assert found.members == CREATE.members
    with pytest.raises(SpecError) as mixed:
        deciding.asked(History((CREATE, SECOND)), cluster(), where, "renew")
    edited, what = mixed.value.lines()
    assert edited.endswith("heartbeat-interval: differs from 2-configure (configure): 200 -> (none)")
    assert what == (
        "c.yaml: the specification differs from 2-configure, and renew changes nothing else "
        "(do one at a time, each built and run: configure, then renew; or put it back)"
    )
    for name in ("create", "configure", "teleport"):
        with pytest.raises(UsageError, match="is no operation that is asked for by name"):
            deciding.asked(History((CREATE,)), cluster(), where, name)
    for history, why in ((History(missing=True), "0.1, which wrote down no change"), (History(), "no change yet")):
        with pytest.raises(ConflictError, match=why):
            deciding.asked(history, cluster(), where, "renew")


def test_a_renewal_that_was_asked_for_just_now_is_the_same_one() -> None:
    third = made(3, "renew", cluster(**FLAG))
    history = History((CREATE, SECOND, third))
    for hours, hosts, same in ((1, ["infra0"], True), (23, [], True), (25, [], False), (1, ["infra7"], False)):
        found = made_just_now(history, hosts, "renew", third.time + timedelta(hours=hours))
        assert (found == third) is same
    ran = History((*history.entries, receipt(3, "infra1")))
    assert made_just_now(ran, [], "renew", third.time) is None
    assert made_just_now(history, [], "rotate-ca", third.time) is None
    assert made_just_now(History(), [], "renew", third.time) is None


def test_an_issue_for_those_that_are_asked_for() -> None:
    situation = Situation(settled(), settled(), (), {"infra0": 4}, {"infra2": 7, "infra0": 5})
    assert RENEW.hosts(situation) == ("infra0", "infra2")
    assert RENEW.issues(situation) == {"infra0": 5, "infra1": 0, "infra2": 7}


def test_who_comes_is_born_into_the_list_as_it_is_then() -> None:
    """One after the other, wherever they stand in the specification; the others keep what they were born with."""
    more = [{"name": f"new{number}", "address": f"10.0.0.{20 + number}"} for number in range(2)]
    found = decide(History((CREATE,)), cluster(hosts=[more[0], *HOSTS, more[1]]))
    assert (found.name, found.operation.name) == ("2-add", "add")
    born = {each.name: each for each in found.members}
    assert {name: born[name] for name in ("infra0", "infra1", "infra2")} == CREATE.births
    three = {f"infra{number}=https://10.0.0.{6 + number}:2380" for number in range(3)}
    first, second = {*three, "new0=https://10.0.0.20:2380"}, "new1=https://10.0.0.21:2380"
    assert {*born["new0"].initial_cluster.split(",")} == first
    assert {*born["new1"].initial_cluster.split(",")} == first | {second}
    assert born["new0"].state == born["new1"].state == "existing"
    situation = Situation(
        found.before, found.cluster, ("infra0", "infra1", "infra2"), {}, unused={"new0": 3, "new1": 0}
    )
    assert found.operation.hosts(situation) == ("new0", "new1", "infra0", "infra1", "infra2")
    assert found.operation.issues(situation)["new0"] == 3
