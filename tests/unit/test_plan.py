"""What a bundle will hold, before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundlegen import layout
from bundlegen.bundle.entry import ImageFile, ImageSet, entry, sha256
from bundlegen.bundle.facts import Position
from bundlegen.bundle.plan import BundlePlan
from bundlegen.pki import sealing
from tests import plans

IMAGES = ImageSet((ImageFile("etcd.tar", Path("/x/etcd.tar"), "0" * 64, 5),), b"list\n", b"pieces\n", "x86_64")
CODE = sealing.code(5)


def keys(plan: BundlePlan) -> set[str]:
    return {each.destination for each in plan.entries if each.private}


def test_what_is_placed_and_what_is_only_carried() -> None:
    plan = plans.host(plans.cluster())
    assert [each.destination for each in plan.entries] == sorted({each.destination for each in plan.entries})
    assert {each.destination for each in plan.entries if not each.placed} == {
        layout.INSTALLER,
        layout.IMAGE_SCRIPT,
        layout.CONF,
        layout.SPECIFICATION,
        layout.FIRSTBOOT_SERVICE,
        layout.FIRSTBOOT_CONF,
    }
    own = {layout.KUBEADM_CONFIG, layout.HEALTH_COMMAND, layout.GUARD_COMMAND, layout.KUBELET_DROPIN}
    assert own <= {each.destination for each in plan.entries}
    assert not any(each.destination == layout.STATIC_POD_MANIFEST for each in plan.entries)


def test_a_rendered_manifest_is_placed() -> None:
    plan = plans.host(plans.cluster(manifest="rendered"))
    (pod,) = (each for each in plan.entries if each.destination == layout.STATIC_POD_MANIFEST)
    assert pod.mode == layout.MODE_SECRET
    assert layout.STATIC_POD_MANIFEST in plan.configured


def test_a_key_can_be_read_by_root_alone() -> None:
    plan = plans.host(plans.cluster())
    assert {each.mode for each in plan.entries if each.private} == {layout.MODE_KEY}
    assert all(each.private == each.destination.endswith(".key") for each in plan.entries)
    secret = {each.destination for each in plan.entries if each.mode & 0o077 == 0}
    assert {layout.CONF, layout.KUBEADM_CONFIG, *keys(plan)} <= secret


def test_the_cas_key_goes_to_one_host() -> None:
    cluster = plans.cluster(pki={"encryptionAlgorithm": "ECDSA-P256", "caKeyHost": "infra1"})
    holders = [number for number in range(3) if layout.pki_path("etcd/ca.key") in keys(plans.host(cluster, number))]
    assert holders == [1]


def test_manifest_covers_every_byte_and_the_digest_covers_manifest() -> None:
    plan = plans.host(plans.cluster())
    lines = plan.manifest.decode().splitlines()
    assert len(lines) == len(plan.entries)
    for line, each in zip(lines, plan.entries, strict=True):
        assert line == f"{each.mode:04o} root:root {sha256(each.content or b'')} {each.destination}"
    assert plan.digest == sha256(plan.manifest)
    assert plan.digest == plans.host(plans.cluster()).digest
    assert plan.digest != plans.host(plans.cluster(), 1).digest


def test_what_the_store_writes_down_leaves_out_what_it_keeps_itself() -> None:
    plan = plans.host(plans.cluster())
    placed = {each.destination for each in plan.entries if each.placed}
    assert set(plan.configured) == {name for name in placed if not name.startswith(f"{layout.PKI_DIR}/")}
    assert len(placed) > len(plan.configured) > 5


def test_once_written_no_bytes_are_held() -> None:
    plan = plans.host(plans.cluster())
    assert all(each.content is None for each in plan.written.entries)
    assert plan.written.digest == plan.digest


def test_sealed_keys_travel_encrypted_and_are_listed_as_they_will_be() -> None:
    open_, sealed = (plans.host(plans.cluster(), unlock_code=code) for code in ("", CODE))
    assert keys(sealed) == keys(open_)
    assert all(each.content is None for each in sealed.entries if each.private)
    boxes = {each.destination: each for each in sealed.entries if each.destination.startswith(f"{layout.SEALED}/")}
    assert set(boxes) == {layout.sealed_path(name) for name in keys(open_)}
    assert {each.mode for each in boxes.values()} == {layout.MODE_SECRET}
    carried = b"".join(each.content or b"" for each in sealed.entries)
    for each in open_.entries:
        assert not each.private or (each.content not in (None, b"") and each.content not in carried)
    sums = [{each.destination: each.sha256 for each in plan.entries if each.private} for plan in (open_, sealed)]
    assert sums[0] == sums[1]


def test_a_member_gets_nothing_that_an_image_is_made_with() -> None:
    members = (("infra0", "10.0.0.6"), ("infra1", "10.0.0.7"))
    position = Position("2-configure", 2, "configure", "create", "create", members)
    cluster = plans.cluster()
    has = [
        any(each.destination == layout.IMAGE_SCRIPT for each in plans.host(cluster, number, position=position).entries)
        for number in range(3)
    ]
    assert has == [False, False, True]


def test_images_within_and_beside() -> None:
    inside = plans.host(plans.cluster(), images=IMAGES)
    (archive,) = (each for each in inside.entries if each.what == "container image")
    assert (archive.destination, archive.content, archive.source) == ("images/etcd.tar", None, Path("/x/etcd.tar"))
    beside = plans.host(plans.cluster(), images=ImageSet(IMAGES.files, b"list\n", b"pieces\n", "", "images.tar.gz"))
    assert not any(each.what == "container image" for each in beside.entries)
    for plan in (inside, beside):
        named = {each.destination: each.content for each in plan.entries}
        assert (named[layout.IMAGE_LIST], named[layout.IMAGE_PIECES]) == (b"list\n", b"pieces\n")


def test_the_bundle_for_images_tells_no_host_apart() -> None:
    cluster = plans.cluster()
    plan = plans.base(cluster)
    assert (plan.host, plan.kind, keys(plan)) == (layout.BASE, layout.KIND_BASE, set())
    content = b"".join(each.content or b"" for each in plan.entries)
    for host in cluster.hosts:
        assert host.name.encode() not in content
        assert str(host.address).encode() not in content
    assert b"prod-5c1e" not in content
    assert layout.KUBEADM_CONFIG not in {each.destination for each in plan.entries}


@pytest.mark.parametrize("name", ["/etc/a b", "/etc/../x", "/etc//x", "/etc/x\n", "", "/etc/./x", "/etc/x/"])
def test_what_manifest_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a destination"):
        entry(name, b"", layout.MODE_PLAIN, "")
