"""The table of etcd's flags, held against what etcd's own help lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundlegen import kubernetes
from bundlegen.bundle.member import founding, own_args
from bundlegen.kubernetes import MINORS, consistency_flags, etcd_version
from bundlegen.spec.check import parse
from bundlegen.spec.etcd_flags import FLAGS, GATES, gate_of, names, unfit

HELP = sorted((Path(__file__).parents[1] / "fixtures" / "etcd-flags").glob("*.txt"))
UNLISTED = {"config-file", "version"}
"""What etcd takes although its help has no entry of its own for it, in every version."""
UNLISTED_IN = {
    "3.4.23": {
        "enable-grpc-gateway",
        "experimental-enable-lease-checkpoint-persist",
        "log-output",
        "unsafe-no-fsync",
    },
    "3.5.16": {"experimental-snapshot-catchup-entries"},
    "3.5.30": {"experimental-snapshot-catchup-entries"},
}
GONE = {"3.7.1": {"discovery", "discovery-proxy"}}
"""What help still lists although etcd no longer takes it."""


@pytest.mark.parametrize("file", HELP, ids=[file.stem for file in HELP])
def test_the_table_has_what_help_lists(file: Path) -> None:
    major, minor, patch = map(int, file.stem.split("."))
    listed = set(file.read_text().split())
    known = names((major, minor, patch))
    assert listed - known == GONE.get(file.stem, set())
    assert known - listed == UNLISTED | UNLISTED_IN.get(file.stem, set())


def test_every_minor_has_been_looked_at() -> None:
    assert {file.stem.rpartition(".")[0] for file in HELP} == {"3.4", "3.5", "3.6", "3.7"}


@pytest.mark.parametrize(
    ("name", "version", "there"),
    [
        ("listen-client-http-urls", (3, 5, 7), False),
        ("listen-client-http-urls", (3, 5, 8), True),
        ("experimental-compaction-sleep-interval", (3, 5, 15), False),
        ("experimental-compaction-sleep-interval", (3, 6, 0), True),
        ("experimental-compaction-sleep-interval", (3, 7, 0), False),
        ("enable-v2", (3, 5, 33), True),
        ("enable-v2", (3, 6, 0), False),
        ("feature-gates", (3, 6, 0), True),
        ("feature-gates", (3, 5, 33), False),
        ("snapshot-count", (3, 8, 0), False),
    ],
)
def test_patch_releases_and_minors(name: str, version: tuple[int, int, int], there: bool) -> None:
    assert FLAGS[name].is_in(version) is there


@pytest.mark.parametrize("minor", sorted(MINORS))
def test_what_kubeadm_and_bundlegen_set_is_known(minor: int) -> None:
    """The etcd of each kubeadm knows the flags that it and bundlegen pass."""
    facts = kubernetes.for_version(minor)
    for patch, tag in facts.etcd_tags:
        version = etcd_version(tag)
        assert version is not None
        data = {
            "name": "a",
            "kubernetesVersion": f"v1.{minor}.{patch}",
            "hosts": [{"name": "h", "address": "10.0.0.1"}],
        }
        cluster = parse(data)
        own = own_args(cluster, cluster.hosts[0], "token", founding(cluster))
        assert {*consistency_flags(facts, patch, tag), *own} <= names(version)


def test_gates_of_experimental_flags_are_gates() -> None:
    gates = {gate_of(name) for name in FLAGS if gate_of(name)}
    assert len(gates) == 6
    assert all(gates <= known for known in GATES.values())


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("bool", ("true", "False", "1", "t"), ("", "yes", "on", "tRUE")),
        ("uint", ("0", "100000", "0x10", "1_000"), ("", "-1", "1.5", "10k", "100ms", "\u0661")),
        ("int", ("-1", "+5", "0"), ("", "1e6", "8GiB")),
        ("duration", ("0", "5m", "1h30m", "1.5s", "-1s", "100\u00b5s"), ("", "5", "5 m", "1d", "1m30")),
        ("text", ("", "anything"), ()),
    ],
)
def test_values(kind: str, good: tuple[str, ...], bad: tuple[str, ...]) -> None:
    assert [value for value in good if unfit(kind, value)] == []  # type: ignore[arg-type]
    assert [value for value in bad if not unfit(kind, value)] == []  # type: ignore[arg-type]
