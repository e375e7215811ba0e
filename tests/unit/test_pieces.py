"""The compressed pieces of a bundle: the same bytes for the same plan, and a tar that any tar reads."""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundlegen import layout
from bundlegen.bundle import pieces
from bundlegen.bundle.entry import Entry
from bundlegen.bundle.plan import BundlePlan
from tests import plans

CONTENT = bytes(range(256)) * 50


def image(content: bytes, name: str = "etcd.tar") -> Entry:
    return Entry(
        f"{layout.IMAGES}/{name}", layout.MODE_PLAIN, hashlib.sha256(content).hexdigest(), len(content), "an image"
    )


def opened(packed: bytes) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed)))


def test_a_piece_holds_the_plan_and_nothing_of_this_machine() -> None:
    plan = plans.host(plans.cluster())
    piece = pieces.configuration_piece(plan)
    packed = b"".join(piece.blocks())
    assert (piece.size, piece.sha256) == (len(packed), hashlib.sha256(packed).hexdigest())
    with opened(packed) as tar:
        members = tar.getmembers()
        files = {member.name.removeprefix("./"): tar.extractfile(member) for member in members if member.isfile()}
        wanted = {layout.payload_path(each.destination): each.content for each in plan.entries}
        assert {name: file.read() for name, file in files.items() if file} == wanted | {"MANIFEST": plan.manifest}
        for member in members:
            assert (member.uid, member.gid, member.uname, member.gname, member.mtime) == (
                *(0, 0, "root", "root"),
                pieces.MTIME,
            )
            assert member.mode == (layout.MODE_PRIVATE_DIR if member.isdir() else layout.MODE_SECRET)
    assert piece.unpacked == sum(each.size for each in plan.entries) + len(plan.manifest)


def test_a_folder_comes_before_what_is_in_it() -> None:
    with opened(b"".join(pieces.configuration_piece(plans.host(plans.cluster())).blocks())) as tar:
        seen = {"."}
        for member in tar:
            assert member.name.rpartition("/")[0] in seen, member.name
            if member.isdir():
                seen.add(member.name)
    assert len(seen) > 5


def test_scripts_come_first_and_are_the_same_members_in_every_bundle() -> None:
    cluster = plans.cluster()
    one, two = (b"".join(pieces.configuration_piece(plans.host(cluster, number)).blocks()) for number in (0, 1))
    scripts = (("image.sh", plans.IMAGE_SCRIPT), ("install.sh", plans.INSTALLER))
    shared = b"".join(pieces._shared_member(*script) for script in scripts)
    assert one.startswith(shared)
    assert two.startswith(shared)
    assert one != two
    with opened(one) as tar:
        assert tar.getnames()[:2] == ["./image.sh", "./install.sh"]


def test_sealed_keys_are_not_in_it() -> None:
    plan = plans.host(plans.cluster())
    hidden = BundlePlan(plan.host, tuple(each for each in plan.written.entries if each.private))
    with opened(b"".join(pieces.configuration_piece(hidden).blocks())) as tar:
        assert [member.name for member in tar if member.isfile()] == ["./MANIFEST"]


@given(st.binary(max_size=3000), st.lists(st.integers(0, 3000), max_size=5))
def test_blocks_are_cut_anew_and_nothing_is_lost(content: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(content)]
    blocks = [content[begin:end] for begin, end in itertools.pairwise(edges)]
    content = b"".join(blocks)
    found = list(pieces._cut(blocks, 1000))
    assert b"".join(found) == content
    assert all(len(each) == 1000 for each in found[:-1])
    assert all(found)


@pytest.mark.parametrize("processors", [1, 3, None])
def test_an_image_is_the_same_bytes_however_many_processors_pack_it(
    processors: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "MEMBER_SIZE", 2048)
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    blocks = [CONTENT[:100], CONTENT[100:9000], CONTENT[9000:]]
    piece = pieces.image_piece(image(CONTENT), blocks, tmp_path / "piece")
    packed = (tmp_path / "piece").read_bytes()
    assert (piece.size, piece.sha256) == (len(packed), hashlib.sha256(packed).hexdigest())
    assert b"".join(piece.blocks()) == packed
    members = [pieces._pack(each) for each in pieces._cut([gzip.decompress(packed)], 2048)]
    assert packed == b"".join(members)
    assert len(members) > 3
    with opened(packed) as tar:
        (member,) = tar.getmembers()
        read = tar.extractfile(member)
        assert read is not None
        assert (member.name, read.read()) == ("./images/etcd.tar", CONTENT)


def test_an_image_that_changed_while_it_was_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it changed while it was read"):
        pieces.image_piece(image(CONTENT), [CONTENT[:-1] + b"x"], tmp_path / "piece")


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "piece").write_text("somebody's")
    with pytest.raises(FileExistsError):
        pieces.image_piece(image(CONTENT), [CONTENT], tmp_path / "piece")
    assert (tmp_path / "piece").read_text() == "somebody's"


def test_the_index_says_where_each_piece_begins() -> None:
    made = [("a.tar", pieces.Piece(10, "1" * 64, 30)), ("b.tar", pieces.Piece(7, "2" * 64, 9))]
    assert pieces.image_index(made).decode() == f"a.tar 0 10 {'1' * 64}\nb.tar 10 7 {'2' * 64}\n"
    assert pieces.image_index([]) == b""


def test_a_name_too_long_for_a_plain_header_is_kept() -> None:
    name = "files/" + "x" * 150
    with tarfile.open(fileobj=io.BytesIO(pieces._member(name, b"content") + bytes(1024))) as tar:
        assert tar.getnames() == [f"./{name}"]
