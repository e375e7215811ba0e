"""``build --shared-images``: one file with the images of all bundles, and what binds it to each of them."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bundlegen import layout
from bundlegen.errors import VerificationError
from bundlegen.operations.create import CREATE
from bundlegen.record.schema import Change
from bundlegen.record.write import render
from bundlegen.system.clock import now
from bundlegen.system.resources import template_text
from bundlegen.trust.bundle import read
from bundlegen.trust.compare import compare
from bundlegen.trust.verify import verify
from tests import image_archives
from tests.building import build_here as build
from tests.building import contents, forget, specification, write
from tests.building import run_here as run
from tests.trust_cases import Entries, findings, put, repack, replace_bundle, sentences, sum_up

NAME = layout.SHARED_IMAGES
PLAIN = {
    "etcd.tar": image_archives.pack(image_archives.docker(content=image_archives.layer(size=200_000))),
    "pause.tar": image_archives.pack(image_archives.docker(image_archives.PAUSE)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("shared")
    for name, content in PLAIN.items():
        (made / name).write_bytes(content)
    write(made, specification(hosts=2) | {"images": ["*.tar"]})
    build(made, "--shared-images", "--base")
    return made


@pytest.fixture(scope="module")
def built(folder: Path) -> Path:
    return folder / "out/prod/create"


@pytest.fixture
def change(built: Path, tmp_path: Path) -> Path:
    """A copy to be spoiled."""
    shutil.copytree(built, tmp_path / "change")
    return tmp_path / "change"


def test_the_images_are_in_one_file_that_tar_unpacks_and_in_no_bundle(built: Path, tmp_path: Path) -> None:
    subprocess.run(["tar", "--ignore-zeros", "-xzf", built / NAME, "-C", tmp_path], check=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "images").iterdir()} == PLAIN
    file = (built / NAME).read_bytes()
    for name in ("infra0", "infra1", "base"):
        bundle = read(built / f"{name}.run")
        assert bundle.conf["IMAGES_FILE"] == NAME
        assert len(bundle.pieces) == 1
        assert {each for each in bundle.destinations if each.startswith("images/")} == {"images/LIST", "images/PIECES"}
        assert [image.archive for image in bundle.images] == sorted(PLAIN)
        for image in bundle.images:
            assert hashlib.sha256(file[image.offset : image.offset + image.size]).hexdigest() == image.sha256
        assert sum(image.size for image in bundle.images) == len(file)
        assert bundle.size < 150_000 < len(file)


def test_it_is_the_very_pieces_that_bundles_carry_on_board(folder: Path, built: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "on-board", ignore=shutil.ignore_patterns("out"))
    forget(tmp_path / "on-board/pki/prod")
    build(tmp_path / "on-board")
    bundle = (tmp_path / "on-board/out/prod/create/infra0.run").read_bytes()
    assert bundle.endswith((built / NAME).read_bytes())


def test_the_record_says_what_it_is_and_that_it_goes_along(built: Path) -> None:
    record = json.loads((built / layout.RECORD).read_text())
    content = (built / NAME).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert record["images"] == {"file": NAME, "size": len(content), "sha256": digest, "parts": []}
    assert f"{digest}  {NAME}\n" in (built / layout.SUMS).read_text()
    for name in (layout.RECORD_MARKDOWN, layout.RECORD_HTML):
        text = (built / name).read_text().replace("<code>", "`").replace("</code>", "`").replace("<wbr>", "")
        assert f"Carry to each host its own bundle, `{NAME}` and `SHA256SUMS`" in text
        assert f"{NAME}: OK" in text
        assert f"the container images of `{NAME}`, which goes beside it" in text
        assert digest in text


def test_the_same_bytes_come_again(folder: Path, built: Path) -> None:
    before = contents(built)
    assert "byte for byte" in run(folder, "build", "cluster.yaml", "--shared-images", "--base").stderr
    assert contents(built) == before


def test_it_is_split_like_the_bundles(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "split", ignore=shutil.ignore_patterns("out"))
    build(tmp_path / "split", "--shared-images", "--split", "60k", "--extension", "txt")
    made = tmp_path / "split/out/prod/create"
    parts = sorted(made.glob(f"{NAME}.*"))
    assert len(parts) > 1
    assert all(part.name.endswith(".txt") for part in parts)
    assert b"".join(part.read_bytes() for part in parts) == (made / NAME).read_bytes()
    record = json.loads((made / layout.RECORD).read_text())
    assert [part["name"] for part in record["images"]["parts"]] == [part.name for part in parts]
    assert f"cat {' '.join(part.name for part in parts)} > {NAME}" in (made / layout.RECORD_MARKDOWN).read_text()
    assert findings(made) == []


def test_without_images_there_is_nothing_to_share(tmp_path: Path) -> None:
    write(tmp_path, specification())
    done = run(tmp_path, "build", "cluster.yaml", "--shared-images")
    assert done.returncode == 2
    assert "--shared-images: cluster.yaml names no images" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_change_is_good_and_so_is_a_bundle_beside_the_file(built: Path) -> None:
    assert findings(built) == []
    assert findings(built / "infra0.run") == []


def test_a_bundle_alone_says_where_its_images_are(change: Path, tmp_path: Path) -> None:
    (tmp_path / "infra1.run").write_bytes((change / "infra1.run").read_bytes())
    found = verify(tmp_path / "infra1.run", now())
    assert f"infra1.run: its images travel in {NAME}, which is not beside it here" in [str(each) for each in found]
    assert not any(each.fatal for each in found)


def _flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_flip, "it does not belong to "),
        (lambda content: content[:-1], "bytes long and should be"),
        (lambda content: content + b"x", "bytes long and should be"),
        (lambda content: bytes(len(content)), "it does not belong to "),
    ],
    ids=["one bit", "truncated", "longer", "zeros"],
)
def test_a_file_that_is_not_theirs_is_refused_though_every_sum_fits(
    change: Path, spoil: Callable[[bytes], bytes], said: str
) -> None:
    (change / NAME).write_bytes(spoil((change / NAME).read_bytes()))
    assert any(said in each for each in sentences(change))
    assert any("was altered" in each for each in sentences(change))
    sum_up(change)
    record = json.loads((change / layout.RECORD).read_text())
    record["images"]["sha256"] = hashlib.sha256((change / NAME).read_bytes()).hexdigest()
    _rewrite(change, record)
    assert [each for each in sentences(change) if said not in each] == []
    assert any(said in each for each in sentences(change))
    assert any(said in each for each in sentences(change / "infra0.run"))


def _rewrite(change: Path, record: dict[str, object]) -> None:
    for name, content in render(Change.model_validate(record), template_text, CREATE.story).items():
        (change / name).write_bytes(content)
    sum_up(change)


def test_a_file_that_is_missing_is_missed(change: Path) -> None:
    (change / NAME).unlink()
    assert f"{NAME}: is missing, though SHA256SUMS lists it" in sentences(change)
    sum_up(change)
    assert any(f"{NAME}: is not in SHA256SUMS" in each for each in sentences(change))
    assert any(
        each.startswith("change.json: says otherwise than the bundles: images is ") for each in sentences(change)
    )


def test_a_file_that_nobody_needs_is_refused(folder: Path, change: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "on-board", ignore=shutil.ignore_patterns("out"))
    forget(tmp_path / "on-board/pki/prod")
    build(tmp_path / "on-board")
    other = tmp_path / "on-board/out/prod/create"
    shutil.copy(change / NAME, other)
    sum_up(other)
    assert f"{NAME}: is needed by no bundle" in sentences(other)


def _pieces(change: Path, old: str, new: str) -> Callable[[Entries], None]:
    text = (read(change / "infra1.run").content(layout.IMAGE_PIECES) or b"").decode()
    assert old in text
    return lambda entries: put(entries, layout.IMAGE_PIECES, text.replace(old, new, 1).encode())


def test_a_bundle_that_asks_for_other_bytes_is_refused(change: Path) -> None:
    digest = read(change / "infra1.run").images[0].sha256
    replace_bundle(change, "infra1.run", repack(change / "infra1.run", _pieces(change, digest, "0" * 64)))
    assert f"{NAME}: holds other bytes for etcd.tar: it does not belong to infra1.run" in sentences(change)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("etcd.tar 0 ", "etcd.tar 1 ", "is not archive, offset"),
        ("etcd.tar ", "../x.tar ", "is not archive, offset"),
        ("etcd.tar ", "pause.tar ", "is not archive, offset"),
        ("etcd.tar ", "other.tar ", "images/LIST names an archive that is not in images/PIECES: etcd.tar"),
        ("\n", " \n", "is not archive, offset"),
    ],
)
def test_an_odd_list_of_pieces_is_refused(change: Path, tmp_path: Path, old: str, new: str, said: str) -> None:
    (tmp_path / "odd.run").write_bytes(repack(change / "infra1.run", _pieces(change, old, new)))
    with pytest.raises(VerificationError, match=said):
        read(tmp_path / "odd.run")


@pytest.mark.parametrize(
    ("value", "said"),
    [("", "is not about the images that follow"), ("x.tar.gz", "names a file of images that it does not need")],
)
def test_another_place_for_images_is_refused(change: Path, tmp_path: Path, value: str, said: str) -> None:
    conf = (read(change / "infra1.run").content(layout.CONF) or b"").replace(
        f"IMAGES_FILE='{NAME}'".encode(), f"IMAGES_FILE='{value}'".encode()
    )
    (tmp_path / "odd.run").write_bytes(
        repack(change / "infra1.run", lambda entries: put(entries, layout.CONF, conf, 0o600))
    )
    with pytest.raises(VerificationError, match=said):
        read(tmp_path / "odd.run")


def test_what_changes_from_bundles_with_images_to_those_without(folder: Path, built: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "on-board", ignore=shutil.ignore_patterns("out"))
    forget(tmp_path / "on-board/pki/prod")
    build(tmp_path / "on-board", "--base")
    found = compare(tmp_path / "on-board/out/prod/create", built)
    assert {str(each) for each in found.common} == {
        f"images carried in: (none) -> {NAME}",
        *(f"file images/{name}: there -> (none)" for name in PLAIN),
        *(f"image {image.archive}, compressed: (none) -> {image.sha256}" for image in read(built / "base.run").images),
    }
    assert all(host.restarts == () for host in found.hosts)
