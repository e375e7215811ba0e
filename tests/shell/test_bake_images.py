"""Container images in an image: kept as they are carried, for the bundles that are installed there later."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.shell.payload import GOLDEN, STATE, Base, Payload
from tests.shell.sandbox import Sandbox
from tests.shell.test_bake import bake, image, tree

IMAGES = f"{GOLDEN}/images.tar.gz"
ETCD = "registry.k8s.io/etcd:3.5.15-0"


def with_images(made: Payload) -> Payload:
    made.add_image("images/etcd.tar", ETCD)
    made.add_image("images/pause.tar", "registry.k8s.io/pause:3.10")
    return made


def test_images_are_kept_as_they_are_carried(host: Sandbox) -> None:
    payload = with_images(Base())
    folder = host.unpack(payload)
    done = host.run(folder, "bake")
    assert done.returncode == 0, done.stderr
    place = host.path(IMAGES)
    assert place.read_bytes() == b"".join(payload.pieces.values())
    assert place.stat().st_mode & 0o7777 == 0o644
    assert place.stat().st_mtime == 315532800
    assert host.stubbed("ctr-calls") == ""
    before = host.tree(times=True)
    assert host.run(folder, "bake").returncode == 0
    assert host.tree(times=True) == before


def test_an_image_of_one_host_keeps_what_its_first_boot_imports(host: Sandbox) -> None:
    done = host.run(host.unpack(with_images(Payload())), "bake")
    assert done.returncode == 0, done.stderr
    copy = host.path(f"{STATE}/bundle/images")
    assert sorted(path.name for path in copy.iterdir()) == ["LIST", "PIECES"]
    host.path("/media/infra0.run").unlink()
    host.stub("images", "")
    host.stub("enabled", "enabled\n")
    done = host.execute("/bin/bash", "-p", f"{STATE}/bundle/install.sh", "firstboot")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ETCD in host.stubbed("images")


def test_a_host_bundle_without_images_on_board_finds_them(host: Sandbox) -> None:
    assert host.run(host.unpack(with_images(Base())), "bake").returncode == 0
    payload = with_images(Payload())
    payload.conf["IMAGES_FILE"] = "images.tar.gz"
    folder = host.unpack(payload)
    host.path("/media/infra0.run").unlink()
    host.path("/media/images.tar.gz").unlink()
    host.stub("images", "")
    done = host.run(folder, "install")
    assert done.returncode == 0, done.stderr
    assert ETCD in host.stubbed("images")


def test_damaged_images_are_not_baked(host: Sandbox) -> None:
    folder = host.unpack(with_images(Base()))
    before = host.tree(times=True)
    place = host.path("/media/infra0.run")
    place.write_bytes(place.read_bytes()[:-1] + b"?")
    done = host.run(folder, "bake")
    assert done.returncode == 12
    assert "images/pause.tar is missing, cannot be read, or was altered" in done.stderr
    assert host.tree(times=True) == before


def test_images_beside_the_bundle(host: Sandbox) -> None:
    payload = with_images(Base())
    payload.conf["IMAGES_FILE"] = "images.tar.gz"
    folder = host.unpack(payload)
    host.path("/media/images.tar.gz").unlink()
    before = host.tree(times=True)
    done = host.run(folder, "bake")
    assert done.returncode == 11
    assert "images.tar.gz of this change was not found" in done.stderr
    assert host.tree(times=True) == before
    host.path("/media/images.tar.gz").write_bytes(b"".join(payload.pieces.values())[:-1])
    done = host.run(folder, "bake")
    assert done.returncode == 11
    assert "/media/images.tar.gz does not hold the images of this bundle: it is damaged" in done.stderr
    host.path("/media/images.tar.gz").write_bytes(b"".join(payload.pieces.values()))
    done = host.run(folder, "bake")
    assert done.returncode == 0, done.stderr
    assert host.path(IMAGES).read_bytes() == host.path("/media/images.tar.gz").read_bytes()


def test_a_payload_that_was_unpacked_whole_says_what_to_run(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("baking needs root")
    root = image(tmp_path / "image")
    before = tree(root)
    done = bake(root, with_images(Base()), work=tmp_path / "work", whole=True)
    assert done.returncode == 2
    assert "Run the bundle itself: sh FILE.run -- bake" in done.stderr
    assert tree(root) == before
