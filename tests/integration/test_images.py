"""Container image archives of every kind and every kind of damage, and what bundles carry of them."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bundlegen.errors import SpecError
from bundlegen.images.archive import blocks, read, survey
from bundlegen.images.contents import ImageError
from tests import image_archives as made
from tests.building import run

SPEC = """\
name: demo
kubernetesVersion: v1.31.4
pki: {encryptionAlgorithm: ECDSA-P256}
hosts: [{name: infra0, address: 10.0.0.6}, {name: infra1, address: 10.0.0.7}, {name: infra2, address: 10.0.0.8}]
images: ["*.tar*"]
"""


def bundlegen(folder: Path, *words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = run(folder, *words)
    assert done.returncode == expect, done.stdout + done.stderr
    return done


@pytest.mark.parametrize(
    "compress", [bytes, gzip.compress, bz2.compress, lzma.compress], ids=["plain", "gzip", "bzip2", "xz"]
)
@pytest.mark.parametrize(
    "files",
    [made.docker(), made.oci(), made.oci(nested=True), {**made.docker(), **made.oci()}],
    ids=["docker", "oci", "index", "both"],
)
def test_every_kind_is_read_and_carried_as_a_plain_tar(
    files: dict[str, bytes], compress: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    plain = made.pack(files)
    path = tmp_path / "etcd.tar"
    path.write_bytes(compress(plain))
    found = read(path)
    assert [(image.names, image.machine) for image in found.images] == [((made.ETCD,), "x86_64")]
    assert (found.size, found.sha256) == (len(plain), hashlib.sha256(plain).hexdigest())
    assert b"".join(blocks(path)) == plain


def test_a_layouts_folder_becomes_an_archive_that_depends_on_its_files_alone(tmp_path: Path) -> None:
    for name in ("one", "two"):
        for file, content in (sorted if name == "one" else reversed)(list(made.oci().items())):
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_bytes(content)
    one, two = read(tmp_path / "one"), read(tmp_path / "two")
    assert one.sha256 == two.sha256
    (tmp_path / "layout.tar").write_bytes(b"".join(blocks(tmp_path / "one")))
    with tarfile.open(tmp_path / "layout.tar") as tar:
        assert {name.removeprefix("./") for name in tar.getnames()} == set(made.oci())
    assert read(tmp_path / "layout.tar").images == one.images


def test_the_id_of_an_image_is_that_of_its_configuration(tmp_path: Path) -> None:
    files = made.docker()
    (name,) = (name for name in files if name.endswith(".json") and name != "manifest.json")
    found = read(made.write(tmp_path / "a.tar", files))
    assert found.images[0].config == f"sha256:{name.removesuffix('.json')}"


def test_a_layer_may_be_named_by_a_link(tmp_path: Path) -> None:
    files = made.docker()
    entry = json.loads(files["manifest.json"])
    entry[0]["Layers"] = ["1/layer.tar"]
    files["manifest.json"] = json.dumps(entry).encode()
    (tmp_path / "a.tar").write_bytes(made.pack(files, {"1/layer.tar": "../0/layer.tar"}))
    assert read(tmp_path / "a.tar").images[0].names == (made.ETCD,)


@pytest.mark.parametrize(
    ("saved", "kept"),
    [
        ("busybox:1", "docker.io/library/busybox:1"),
        ("mirror/etcd:1", "docker.io/mirror/etcd:1"),
        ("docker.io/etcd:1", "docker.io/library/etcd:1"),
        ("docker.io/mirror/etcd", "docker.io/mirror/etcd:latest"),
        ("localhost/etcd:1", "localhost/etcd:1"),
        ("registry:5000/etcd:1", "registry:5000/etcd:1"),
        (made.ETCD, made.ETCD),
    ],
)
def test_docker_images_are_listed_by_the_names_that_runtimes_keep(saved: str, kept: str, tmp_path: Path) -> None:
    """docker leaves out its own registry, and containerd does not."""
    archive = made.write(tmp_path / "a.tar", made.docker(saved))
    listed = survey([archive], Path("cluster.yaml")).index.decode()
    assert [line.split(" ")[2] for line in listed.splitlines()] == [kept]
    files = {**made.oci(f"x/{saved}"), **made.docker(saved)}
    config = next(name for name in files if b"diff_ids" in files[name])
    files["manifest.json"] = json.dumps([{"Config": config, "RepoTags": [saved]}]).encode()
    both = read(made.write(tmp_path / "both.tar", files))
    assert both.images[0].names == tuple(sorted({f"x/{saved}", kept}))


def test_a_bare_tag_is_no_name(tmp_path: Path) -> None:
    archive = made.write(tmp_path / "a.tar", made.oci("3.5.15-0"))
    assert survey([archive], Path("cluster.yaml")).index == b""


def test_a_mirror_at_docker_is_what_the_hosts_need(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(SPEC + "etcd: {imageRepository: mirror/k8s}\n")
    made.write(tmp_path / "etcd.tar", made.docker("mirror/k8s/etcd:3.5.15-0"))
    warnings = bundlegen(tmp_path, "plan", "cluster.yaml").stderr
    assert "hosts need registry.k8s.io/pause:3.10; carried is docker.io/mirror/k8s/etcd:3.5.15-0" in warnings
    assert warnings.count("the hosts need") == 1


def changed(files: dict[str, bytes], name: str, content: bytes | None) -> dict[str, bytes]:
    result = {**files, name: content or b""}
    if content is None:
        del result[name]
    return result


def flipped(files: dict[str, bytes]) -> dict[str, bytes]:
    """A byte of the largest file is another."""
    name = max(files, key=lambda each: len(files[each]))
    content = bytearray(files[name])
    content[len(content) // 2] ^= 1
    return {**files, name: bytes(content)}


def extended(size: int = 0, **records: str) -> bytes:
    """An extended header with these records, and the header of a file of that size."""
    info = tarfile.TarInfo("file")
    info.size = size
    info.pax_headers = {name.replace("_", "."): value for name, value in records.items()}
    return info.tobuf(tarfile.PAX_FORMAT)


def garbled(packed: bytes) -> bytes:
    middle = len(packed) // 2
    return packed[:middle] + bytes(64) + packed[middle + 64 :]


def long_name() -> bytes:
    """The header that says the next one's name."""
    info = tarfile.TarInfo("@")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2
    return info.tobuf(tarfile.GNU_FORMAT) + b"a\0" + bytes(510)


BROKEN: dict[str, tuple[bytes, str]] = {
    "text": (b"hello\n" * 200, "no image archive"),
    "no image": (made.pack({"a": b"b"}), "neither manifest.json nor an OCI layout"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(100), "zstd"),
    "truncated": (made.pack(made.docker())[:4000], "truncated"),
    "truncated gzip": (gzip.compress(made.pack(made.docker()))[:-9], "truncated"),
    "damaged gzip": (gzip.compress(made.pack(made.docker()))[:-9] + bytes(9), "damaged"),
    "truncated xz": (lzma.compress(made.pack(made.docker()))[:-40], "truncated"),
    "truncated bzip2": (bz2.compress(made.pack(made.docker()))[:-9], "truncated"),
    "damaged bzip2": (garbled(bz2.compress(made.pack(made.docker()))), "damaged"),
    "damaged xz": (garbled(lzma.compress(made.pack(made.docker()))), "damaged"),
    "headers of headers": (long_name() * 2000 + made.pack(made.docker()), "damaged"),
    "endless sparse file": (
        extended(512, GNU_sparse_map="0,1", GNU_sparse_size="9" * 15) + bytes(9999),
        "a sparse file",
    ),
    "odd sparse file": (extended(512, GNU_sparse_map="0,x", GNU_sparse_size="x") + bytes(9999), "a sparse file"),
    "newer sparse file": (extended(512, GNU_sparse_major="1", GNU_sparse_minor="0") + bytes(9999), "a sparse file"),
    "layer missing": (made.pack(changed(made.docker(), "0/layer.tar", None)), "0/layer.tar is not in it"),
    "layer damaged": (made.pack(flipped(made.docker())), "does not have its SHA-256"),
    "blob damaged": (made.pack(flipped(made.oci())), "does not have its SHA-256"),
    "windows": (made.pack(made.docker(system="windows")), "an image for windows"),
    "z80": (made.pack(made.docker(architecture="z80")), "the architecture z80"),
    "not JSON": (made.pack(changed(made.docker(), "manifest.json", b"[{")), "manifest.json is not JSON"),
    "deep JSON": (made.pack(changed(made.docker(), "manifest.json", b"[" * 200000)), "manifest.json is not JSON"),
    "odd JSON": (made.pack(changed(made.docker(), "manifest.json", b"[3]")), "cannot be understood"),
    "empty list": (made.pack(changed(made.docker(), "manifest.json", b"[]")), "holds no image"),
    "odd digest": (
        made.pack(changed(made.oci(), "index.json", b'{"manifests": [{"digest": "md5:1"}]}')),
        "something else than its SHA-256",
    ),
    "index without its blobs": (
        made.pack(changed(made.oci(), "index.json", b'{"manifests": [{"digest": "sha256:%s"}]}' % (b"0" * 64))),
        "is incomplete",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_is_said_with_the_files_name_and_what_to_do(case: str, tmp_path: Path) -> None:
    content, message = BROKEN[case]
    (tmp_path / "etcd.tar").write_bytes(content)
    with pytest.raises(SpecError) as caught:
        survey([tmp_path / "etcd.tar"], Path("cluster.yaml"))
    (problem,) = caught.value.problems
    assert f"{tmp_path}/etcd.tar " in problem.message
    assert message in problem.message
    assert problem.hint


def test_every_broken_archive_is_named_at_once(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.tar" for number in range(3)]
    for path in paths:
        path.write_bytes(b"x" * 2000)
    with pytest.raises(SpecError) as caught:
        survey(paths, Path("cluster.yaml"))
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_an_endless_header_is_refused_before_it_is_read(kind: bytes, tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, 1 << 40
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    with pytest.raises(ImageError, match="header of more than 1 MiB"):
        read(tmp_path / "a.tar")


def test_two_architectures_do_not_mix(tmp_path: Path) -> None:
    one = made.write(tmp_path / "one.tar", made.docker())
    two = made.write(tmp_path / "two.tar", made.docker(made.PAUSE, "arm64"))
    with pytest.raises(SpecError) as caught:
        survey([one, two], Path("cluster.yaml"))
    assert "one.tar is for x86_64" in caught.value.problems[0].message
    assert "two.tar for aarch64" in caught.value.problems[0].message


def test_an_archive_for_several_architectures_goes_with_one_for_any_of_them(tmp_path: Path) -> None:
    both = made.write(tmp_path / "both.tar", made.oci(architectures=("amd64", "arm64"), nested=True))
    assert survey([both], Path("cluster.yaml")).machine == ""
    for architecture, machine in (("amd64", "x86_64"), ("arm64", "aarch64")):
        one = made.write(tmp_path / f"{architecture}.tar", made.docker(made.PAUSE, architecture))
        assert survey([both, one], Path("cluster.yaml")).machine == machine


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    (folder / "cluster.yaml").write_text(SPEC)
    made.write(folder / "pause.tar", made.docker(made.PAUSE))
    (folder / "etcd.tar.gz").write_bytes(gzip.compress(made.pack(made.docker())))
    done = bundlegen(folder, "build", "cluster.yaml")
    assert "images:" not in done.stderr
    return folder


def test_bundles_carry_plain_archives_and_a_list_of_what_is_in_them(built: Path, tmp_path: Path) -> None:
    bundle = built / "out/demo/create/infra1.run"
    unpacked = tmp_path / "unpacked"
    bundlegen(built, "extract", str(bundle), str(unpacked))
    plain = {"etcd.tar": made.pack(made.docker()), "pause.tar": made.pack(made.docker(made.PAUSE))}
    for name, content in plain.items():
        assert (unpacked / "images" / name).read_bytes() == content
    listed = [line.split(" ") for line in (unpacked / "images/LIST").read_text().splitlines()]
    assert sorted((name, reference) for _, name, reference in listed) == [
        ("etcd.tar", made.ETCD),
        ("pause.tar", made.PAUSE),
    ]
    assert "ARCHITECTURE='x86_64'\n" in (unpacked / "bundle.conf").read_text()


def test_makeselfs_own_switches_work_and_the_same_bytes_come_again(built: Path, tmp_path: Path) -> None:
    bundle = built / "out/demo/create/infra0.run"
    for words in (["--check"], ["--list"], ["--noexec", "--target", str(tmp_path / "target")]):
        subprocess.run(["sh", bundle, *words], check=True, capture_output=True)
    assert (tmp_path / "target/images/etcd.tar").read_bytes() == made.pack(made.docker())
    assert "byte for byte" in bundlegen(built, "build", "cluster.yaml").stderr
    bundlegen(built, "verify", "out/demo/create")


def test_what_the_hosts_need_and_do_not_get_is_named_with_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(SPEC)
    made.write(tmp_path / "etcd.tar", made.docker("registry.k8s.io/etcd:3.5.9-0"))
    done = bundlegen(tmp_path, "plan", "cluster.yaml")
    assert f"the hosts need {made.ETCD}; carried is registry.k8s.io/etcd:3.5.9-0" in done.stderr
    assert f"the hosts need {made.PAUSE}; carried is registry.k8s.io/etcd:3.5.9-0" in done.stderr
    assert " images/LIST " in done.stdout


def test_names_in_archives_cannot_steer_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(SPEC)
    made.write(tmp_path / "etcd.tar", made.docker("etcd:\x1b[2J\ud800", content=made.layer()))
    done = bundlegen(tmp_path, "plan", "cluster.yaml", "--json")
    assert "carried is docker.io/library/etcd:\\x1b[2J\\ud800" in done.stderr
    assert "carried is docker.io/library/etcd:\\x1b[2J\\ud800" in json.loads(done.stdout)["warnings"][0]


def test_a_damaged_image_stops_the_build_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(SPEC)
    (tmp_path / "etcd.tar").write_bytes(made.pack(made.docker())[:3000])
    done = bundlegen(tmp_path, "build", "cluster.yaml", expect=3)
    assert "etcd.tar is truncated" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cluster.yaml", "etcd.tar"]


def test_images_prints_commands_that_save_just_what_is_needed(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(SPEC)  # no image is there yet
    lines = bundlegen(tmp_path, "images", "cluster.yaml").stdout.splitlines()
    assert lines[0] == "mkdir -p images"
    assert [line.split()[-2:] for line in lines[1:]] == [
        [f"docker://{made.ETCD}", f"docker-archive:images/registry.k8s.io_etcd_3.5.15-0.tar:{made.ETCD}"],
        [f"docker://{made.PAUSE}", f"docker-archive:images/registry.k8s.io_pause_3.10.tar:{made.PAUSE}"],
    ]
    found = json.loads(bundlegen(tmp_path, "images", "cluster.yaml", "--json").stdout)
    assert [each["image"] for each in found["images"]] == [made.ETCD, made.PAUSE]
    assert found["images"][0]["command"][:2] == ["skopeo", "copy"]


def test_the_frozen_registry_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(SPEC.replace("v1.31.4", "v1.22.0"))
    text = bundlegen(tmp_path, "images", "cluster.yaml").stdout
    assert "docker://registry.k8s.io/etcd:3.5.0-0" in text
    assert ":k8s.gcr.io/etcd:3.5.0-0" in text
