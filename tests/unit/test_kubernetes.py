"""The facts about Kubernetes minors, against tables written down apart from the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundlegen import kubernetes
from bundlegen.bundle import member
from bundlegen.spec.types import NEWEST_MINOR, OLDEST_MINOR
from tests.pki_cases import cluster

FIXTURES = Path(__file__).parent.parent / "fixtures" / "kubeadm"

# minor: kubeadm's API, its probes, image repository, etcd tag at .0, pause tag (CHANGELOGs, constants.go of each minor)
FACTS = {
    22: ("v1beta3", "old", "k8s.gcr.io", "3.5.0-0", "3.5"),
    23: ("v1beta3", "old", "k8s.gcr.io", "3.5.1-0", "3.6"),
    24: ("v1beta3", "old", "k8s.gcr.io", "3.5.3-0", "3.7"),
    25: ("v1beta3", "mid", "registry.k8s.io", "3.5.4-0", "3.8"),
    26: ("v1beta3", "mid", "registry.k8s.io", "3.5.6-0", "3.9"),
    27: ("v1beta3", "mid", "registry.k8s.io", "3.5.7-0", "3.9"),
    28: ("v1beta3", "mid", "registry.k8s.io", "3.5.9-0", "3.9"),
    29: ("v1beta3", "mid", "registry.k8s.io", "3.5.10-0", "3.9"),
    30: ("v1beta3", "mid", "registry.k8s.io", "3.5.12-0", "3.9"),
    31: ("v1beta4", "new", "registry.k8s.io", "3.5.15-0", "3.10"),
    32: ("v1beta4", "new", "registry.k8s.io", "3.5.16-0", "3.10"),
    33: ("v1beta4", "new", "registry.k8s.io", "3.5.21-0", "3.10"),
    34: ("v1beta4", "new", "registry.k8s.io", "3.6.4-0", "3.10.1"),
    35: ("v1beta4", "new", "registry.k8s.io", "3.6.6-0", "3.10.1"),
    36: ("v1beta4", "new", "registry.k8s.io", "3.6.8-0", "3.10.2"),
    37: ("v1beta4", "new", "registry.k8s.io", "3.7.0-0", "3.10.2"),
}
PROBES = {
    "old": ("/health", "/health", ""),
    "mid": ("/health?exclude=NOSPACE&serializable=true", "/health?serializable=false", ""),
    "new": ("/livez", "/readyz", "/readyz"),
}
CHECK = ("experimental-initial-corrupt-check", "true")
NOTIFY = ("experimental-watch-progress-notify-interval", "5s")
RENAMED = {"feature-gates": "InitialCorruptCheck=true", "watch-progress-notify-interval": "5s"}


def test_every_supported_minor_is_in_the_table() -> None:
    assert set(kubernetes.MINORS) == set(FACTS) == set(range(OLDEST_MINOR, NEWEST_MINOR + 1))


@pytest.mark.parametrize("minor", FACTS)
def test_facts(minor: int) -> None:
    api, probes, repository, etcd, pause = FACTS[minor]
    facts, asked = kubernetes.for_version(minor), cluster(version=f"v1.{minor}.0")
    assert facts.api_version == f"kubeadm.k8s.io/{api}"
    assert facts.args_are_a_list is (api == "v1beta4")
    found = member.probes(asked)
    assert (found.liveness, found.startup, found.readiness) == PROBES[probes]
    assert facts.named_probe_port is (minor >= 34)
    assert facts.explicit_priority is (minor >= 27)
    assert facts.runtime_endpoint_is_a_field is (minor >= 27)
    assert facts.needs_remote_runtime_flag is (minor <= 23)
    assert facts.fails_on_cgroup_v1 is (minor >= 35)
    assert member.image(asked) == f"{repository}/etcd:{etcd}"
    assert member.pause_image(asked) == f"{repository}/pause:{pause}"


@pytest.mark.parametrize(
    ("version", "tag"),
    [
        ("v1.22.16", "3.5.0-0"),
        ("v1.22.17", "3.5.6-0"),
        ("v1.23.14", "3.5.5-0"),
        ("v1.24.9", "3.5.6-0"),
        ("v1.25.15", "3.5.9-0"),
        ("v1.26.13", "3.5.10-0"),
        ("v1.27.12", "3.5.12-0"),
        ("v1.28.14", "3.5.15-0"),
        ("v1.29.11", "3.5.16-0"),
        ("v1.30.5", "3.5.15-0"),
        ("v1.31.13", "3.5.15-0"),
        ("v1.31.14", "3.5.24-0"),
        ("v1.32.9", "3.5.16-0"),
        ("v1.33.6", "3.5.24-0"),
        ("v1.34.99", "3.6.5-0"),
    ],
)
def test_the_tag_follows_the_patch_release(version: str, tag: str) -> None:
    assert member.image_tag(cluster(version=version)) == tag


@pytest.mark.parametrize("version", ["v1.22.3", "v1.31.14", "v1.36.2"])
def test_images_are_those_kubeadm_lists(version: str) -> None:
    images = (FIXTURES / f"{version}-images.txt").read_text().split()
    asked = cluster(version=version)
    assert {member.image(asked), member.pause_image(asked)} <= set(images)


@pytest.mark.parametrize(
    ("minor", "patch", "tag", "expected"),
    [
        (22, 9, "3.5.0-0", {}),
        (22, 10, "3.5.0-0", dict([CHECK])),
        (23, 6, "3.5.1-0", {}),
        (23, 7, "3.5.1-0", dict([CHECK])),
        (24, 0, "3.5.3-0", dict([CHECK])),
        (24, 17, "3.5.6-0", dict([CHECK])),
        *((minor, 0, "3.5.9-0", dict([CHECK, NOTIFY])) for minor in range(25, 34)),
        (34, 0, "3.5.24-0", dict([CHECK, NOTIFY])),
        (34, 0, "3.6.4-0", RENAMED),
        (35, 0, "v3.5.24", dict([CHECK, NOTIFY])),
        (35, 0, "latest", RENAMED),
        (36, 0, "3.5.24-0", RENAMED),
        (37, 0, "3.7.0-0", RENAMED),
    ],
)
def test_consistency_flags(minor: int, patch: int, tag: str, expected: dict[str, str]) -> None:
    assert kubernetes.consistency_flags(kubernetes.for_version(minor), patch, tag) == expected


@pytest.mark.parametrize("minor", FACTS)
def test_tags_ascend(minor: int) -> None:
    tags = kubernetes.for_version(minor).etcd_tags
    assert tags[0][0] == 0
    assert list(tags) == sorted(tags, key=lambda each: (each[0], kubernetes.etcd_version(each[1])))
    assert all(kubernetes.etcd_version(tag) for _, tag in tags)


@pytest.mark.parametrize(
    ("tag", "version"), [("3.5.15-0", (3, 5, 15)), ("v3.6.4", (3, 6, 4)), ("latest", None), ("3.5", None)]
)
def test_etcd_version(tag: str, version: tuple[int, int, int] | None) -> None:
    assert kubernetes.etcd_version(tag) == version


def test_only_new_kubeadm_knows_p384() -> None:
    assert [minor for minor in FACTS if kubernetes.for_version(minor).knows_algorithm("ECDSA-P384")] == [34, 35, 36, 37]
    assert all(kubernetes.for_version(minor).knows_algorithm("ECDSA-P256") for minor in FACTS)


def test_other_minors_are_refused() -> None:
    for minor in (21, 38):
        with pytest.raises(KeyError):
            kubernetes.for_version(minor)
