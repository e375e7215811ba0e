"""What is in an image archive, from its parts alone: no file is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from bundlegen.images.contents import JSON_MAX, MACHINES, Image, ImageError, Part, full_name, images_in
from tests import image_archives as made

Files = dict[str, bytes]


def parts(files: Mapping[str, bytes]) -> dict[str, Part]:
    return {
        name: Part(len(content), made.digest(content), content[:8], content if len(content) <= JSON_MAX else None)
        for name, content in files.items()
    }


def found(files: Mapping[str, bytes], **links: str) -> tuple[Image, ...]:
    return images_in(parts(files), links)


def refused(files: Mapping[str, bytes]) -> str:
    with pytest.raises(ImageError) as caught:
        found(files)
    assert caught.value.hint
    return caught.value.message


@pytest.mark.parametrize("files", [made.docker(), made.oci(), made.oci(nested=True), made.docker() | made.oci()])
def test_every_kind_names_its_image(files: Files) -> None:
    (image,) = found(files)
    assert (image.names, image.machine) == ((made.ETCD,), "x86_64")
    assert image.config.removeprefix("sha256:") in {made.digest(content) for content in files.values()}


@pytest.mark.parametrize(("architecture", "machine"), MACHINES.items())
def test_architectures_are_named_as_uname_does(architecture: str, machine: str) -> None:
    for files in (made.docker(architecture=architecture), made.oci(architectures=[architecture])):
        assert [image.machine for image in found(files)] == [machine]


def test_an_index_of_several_platforms_gives_an_image_for_each() -> None:
    images = found(made.oci(architectures=("amd64", "arm64"), nested=True))
    assert [(image.names, image.machine) for image in images] == [
        ((made.ETCD,), "x86_64"),
        ((made.ETCD,), "aarch64"),
    ]


def test_a_platform_that_was_not_saved_is_passed_over() -> None:
    files = made.oci(architectures=("amd64", "arm64"))
    second = json.loads(files["index.json"])["manifests"][1]
    del files[f"blobs/sha256/{second['digest'].partition(':')[2]}"]
    assert [image.machine for image in found(files)] == ["x86_64"]


def test_an_attestation_is_no_image() -> None:
    files = made.oci()
    index = json.loads(files["index.json"])
    index["manifests"].append({**index["manifests"][0], "platform": {"architecture": "unknown", "os": "unknown"}})
    files["index.json"] = json.dumps(index).encode()
    assert len(found(files)) == 1


def test_names_of_docker_are_added_to_those_of_a_layout() -> None:
    files = made.oci("3.5")
    assert found(files)[0].names == ("3.5",)
    config = next(name for name in files if b"diff_ids" in files[name])
    files["manifest.json"] = json.dumps([{"Config": config, "RepoTags": ["mirror/etcd:1"]}]).encode()
    assert found(files)[0].names == ("docker.io/mirror/etcd:1",)


def test_a_layer_may_be_a_link_and_links_have_an_end() -> None:
    files = made.docker()
    entry = json.loads(files["manifest.json"])
    entry[0]["Layers"] = ["1/layer.tar"]
    files["manifest.json"] = json.dumps(entry).encode()
    assert len(images_in(parts(files), {"1/layer.tar": "0/layer.tar"})) == 1
    with pytest.raises(ImageError, match="is incomplete"):
        images_in(parts(files), {"1/layer.tar": "1/layer.tar"})


def test_a_compressed_layer_is_not_compared_with_the_sum_of_what_it_unpacks_to() -> None:
    files = made.docker()
    files["0/layer.tar"] = b"\x1f\x8b" + files["0/layer.tar"]
    assert len(found(files)) == 1


def _blob(files: Files, kind: str) -> str:
    """The name of the blob of that kind in a layout of one image."""
    index = json.loads(files["index.json"])["manifests"][0]
    manifest = f"blobs/sha256/{index['digest'].partition(':')[2]}"
    inside = json.loads(files[manifest])
    digests = {"config": inside["config"]["digest"], "layer": inside["layers"][0]["digest"]}
    return manifest if kind == "manifest" else f"blobs/sha256/{digests[kind].partition(':')[2]}"


@pytest.mark.parametrize("kind", ["manifest", "config", "layer"])
@pytest.mark.parametrize("change", [lambda content: content[:-1] + b" ", lambda content: content + b" "])
def test_a_changed_blob_is_damage(kind: str, change: Callable[[bytes], bytes]) -> None:
    files = made.oci()
    name = _blob(files, kind)
    files[name] = change(files[name])
    assert refused(files) == f"is damaged: {name} does not have its SHA-256 or size"


@pytest.mark.parametrize("kind", ["manifest", "config", "layer"])
def test_a_missing_blob_is_named(kind: str) -> None:
    files = made.oci()
    name = _blob(files, kind)
    del files[name]
    assert refused(files) == f"is incomplete: {name} is not in it"


def _index(**changes: Any) -> Files:
    return {"oci-layout": b"{}", "index.json": json.dumps(changes).encode()}


def _endless() -> Files:
    files = made.oci()
    for _ in range(4):
        content = files["index.json"]
        files[f"blobs/sha256/{made.digest(content)}"] = content
        descriptor = {"digest": f"sha256:{made.digest(content)}", "size": len(content)}
        files["index.json"] = json.dumps({"manifests": [descriptor]}).encode()
    return files


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "holds neither manifest.json nor an OCI layout"),
        ({"oci-layout": b"{}"}, "holds neither manifest.json nor an OCI layout"),
        ({"manifest.json": b"[]"}, "holds no image"),
        ({"manifest.json": b"{}"}, "has an index that cannot be understood"),
        ({"manifest.json": b"[3]"}, "has a manifest.json that cannot be understood"),
        ({"manifest.json": b"[{"}, "is damaged: manifest.json is not JSON"),
        ({"manifest.json": b"[" * 100_000}, "is damaged: manifest.json is not JSON"),
        ({"manifest.json": bytes(JSON_MAX + 1)}, "has an index file of more than 4 MiB: manifest.json"),
        (_index(), "has an index that cannot be understood"),
        (_index(manifests=[3]), "has an index that cannot be understood"),
        (_index(manifests=[{"digest": "md5:1"}]), "names a part by something else than its SHA-256"),
        (_endless(), "has indexes within indexes without end"),
        (made.docker(system="windows"), "is an image for windows, not for linux"),
        (made.docker(architecture="z80\x1b[31m"), "is an image for the architecture z80\\x1b[31m"),
        (made.docker() | {"0/layer.tar": b"x"}, "is damaged: the layer 0/layer.tar does not have its SHA-256"),
    ],
)
def test_what_is_not_sound_is_said(files: Files, said: str) -> None:
    assert refused(files) == said


def test_layers_that_the_configuration_does_not_name() -> None:
    files = made.docker()
    entry = json.loads(files["manifest.json"])
    entry[0]["Layers"] *= 2
    files["manifest.json"] = json.dumps(entry).encode()
    assert refused(files) == "has 2 layers, its configuration names 1"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1", "docker.io/library/busybox:1"),
        ("mirror/etcd:1", "docker.io/mirror/etcd:1"),
        ("docker.io/etcd:1", "docker.io/library/etcd:1"),
        ("localhost/etcd", "localhost/etcd:latest"),
        ("registry:5000/etcd", "registry:5000/etcd:latest"),
        ("registry.k8s.io/etcd@sha256:0", "registry.k8s.io/etcd@sha256:0"),
    ],
)
def test_a_name_is_the_one_that_runtimes_keep(name: str, kept: str) -> None:
    assert full_name(name) == kept
    assert full_name(kept) == kept
