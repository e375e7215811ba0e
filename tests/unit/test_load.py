"""Reading a specification's file: encodings, kinds of file, lines, files beside it, and nothing that crashes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bundlegen.errors import SpecError
from bundlegen.spec.load import MAX_BYTES, load
from tests.strategies import as_yaml, specifications, yaml_like

GOOD = "name: a\nkubernetesVersion: v1.31.4\nhosts:\n  - {name: h0, address: 10.0.0.1}\n"
FAST = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def problems(path: Path) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load(path)
    return [line.removeprefix(str(path)) for line in caught.value.lines()]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", ":1: holds no specification (bundlegen init NAME=ADDRESS... writes one to start from)"),
        (b"\xef\xbb\xbf", ":1: holds no specification (bundlegen init NAME=ADDRESS... writes one to start from)"),
        (b"name: a\nx: \xff\n", ":2: is not UTF-8: byte 0xff (save it as UTF-8)"),
        (b"name: \xc3", ":1: is not UTF-8: byte 0xc3 (save it as UTF-8)"),
        (
            "name: a\n".encode("utf-16"),
            ":1: is not UTF-8: byte 0xff (save it as UTF-8 without a byte order mark)",
        ),
        (b"name: a\n\0", ":2: contains the control character \\x00 (remove it: a specification is plain text)"),
        (b"name: \x1b[31m", ":1: contains the control character \\x1b (remove it: a specification is plain text)"),
        (b"#" * (MAX_BYTES + 1), " is larger than 1 MiB (no specification is that large: is it the right file?)"),
    ],
)
def test_unusable_bytes(tmp_path: Path, raw: bytes, expected: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_bytes(raw)
    assert [line.replace(": is larger", " is larger") for line in problems(path)] == [expected]


def test_no_file(tmp_path: Path) -> None:
    assert problems(tmp_path / "no.yaml") == [
        ": does not exist (bundlegen init NAME=ADDRESS... writes one to start from)"
    ]


def test_a_folder(tmp_path: Path) -> None:
    assert problems(tmp_path) == [": is not a file (name a file)"]


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert problems(tmp_path / "pipe") == [": is not a file (name a file)"]


def test_a_link_to_itself(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert problems(tmp_path / "loop")[0].startswith(": cannot be read: Too many levels")


def test_a_name_with_nul() -> None:
    with pytest.raises(SpecError) as caught:
        load(Path("a\0b"))
    # Python's words, which 3.13 has made longer
    (line,) = caught.value.lines()
    assert re.fullmatch(r"a\\x00b: cannot be read: .*embedded null .*\(check the path\)", line)


@pytest.mark.parametrize("prefix", [b"", b"\xef\xbb\xbf", b"# comment\r\n"])
def test_usual_bytes(tmp_path: Path, prefix: bytes) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_bytes(prefix + GOOD.replace("\n", "\r\n" if prefix.endswith(b"\r\n") else "\n").encode())
    assert load(path).cluster.hosts[0].address == "10.0.0.1"


def test_warnings_come_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(GOOD)
    (warning,) = load(path).warnings
    assert str(warning) == (
        f"{path}:3: hosts: one host: when it is lost, the cluster and its data are "
        "(use 3 hosts to survive the loss of one)"
    )


@pytest.mark.parametrize("may_be_searched", [True, False])
def test_a_folder_that_is_no_layout_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, may_be_searched: bool
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    real = os.stat

    def stat(path: Any, **options: Any) -> os.stat_result:
        if not may_be_searched and str(path).startswith(f"{folder}/"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **options)

    monkeypatch.setattr(os, "stat", stat)
    (tmp_path / "cluster.yaml").write_text(GOOD + "images: [folder]\n")
    hint = "name an archive, or the folder that holds oci-layout and index.json"
    assert problems(tmp_path / "cluster.yaml") == [f":5: images[0]: {folder} is a folder and no OCI layout ({hint})"]


def test_own_ca_and_images_are_resolved_against_the_specification(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub" / "images").mkdir(parents=True)
    for name in ("ca.crt", "ca.key", "images/b.tar", "images/a.tar"):
        (tmp_path / "sub" / name).write_text("x")
    text = GOOD + "pki: {ca: {certificate: ca.crt, key: ca.key}}\nimages: ['images/*.tar', images/a.tar]\n"
    (tmp_path / "sub" / "cluster.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    loaded = load(Path("sub/cluster.yaml"))
    assert loaded.path == Path("sub/cluster.yaml")
    assert loaded.images == (tmp_path / "sub/images/a.tar", tmp_path / "sub/images/b.tar")
    assert loaded.cluster.pki.ca_files is not None
    assert loaded.cluster.pki.ca_files.key == str(tmp_path / "sub/ca.key")
    assert loaded.cluster.images == ("images/*.tar", "images/a.tar")


def test_a_file_name_with_glob_characters_is_taken_literally(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(GOOD + "images: ['etcd[1].tar']\n")
    (tmp_path / "etcd[1].tar").write_text("x")
    assert problems(tmp_path / "cluster.yaml") == [
        ':5: images[0]: "etcd[1].tar" holds characters no bundle carries (rename it: letters, digits and . _ + @ -)'
    ]


def test_aliases_that_only_repeat_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(GOOD + "kubelet:\n  extraConfig: {a: &a {x: 1}, b: *a}\n")
    assert load(path).cluster.kubelet.extra_config == {"a": {"x": 1}, "b": {"x": 1}}


def test_three_hundred_hosts(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    hosts = "".join(
        f"  - {{name: h{i}, address: 10.0.{i // 256}.{i % 256}, extraSANs: [s{i}.example]}}\n" for i in range(1, 301)
    )
    path.write_text(f"name: a\nkubernetesVersion: v1.31.4\nhosts:\n{hosts}")
    assert len(load(path).cluster.hosts) == 300


@FAST
@given(data=specifications())
def test_valid_specifications_load(tmp_path: Path, data: dict[str, Any]) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(as_yaml(data))
    cluster = load(path).cluster
    assert [host.name for host in cluster.hosts] == [host["name"] for host in data["hosts"]]
    assert cluster.etcd.extra_args == data.get("etcd", {}).get("extraArgs", {})


def loads_or_explains(path: Path) -> None:
    try:
        load(path)
    except SpecError as error:
        problems = error.problems
    else:
        return
    assert problems
    assert all(str(problem).isprintable() and problem.hint for problem in problems)


@FAST
@given(
    raw=st.binary(max_size=200)
    | yaml_like.map(str.encode)
    | st.text(max_size=100).map(lambda s: s.encode("utf-8", "replace"))
)
def test_anything_is_loaded_or_explained(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_bytes(raw)
    loads_or_explains(path)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def test_a_character_that_cannot_be_shown_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(GOOD.replace("10.0.0.1", '10.0.0.1, extraSANs: "\\x1f"'))
    assert problems(path) == [":4: hosts[0].extraSANs: must be a list, not text (write ['\\x1f'])"]


@FAST
@given(data=specifications(), choice=st.randoms(use_true_random=False), value=anything)
def test_a_valid_specification_with_one_value_replaced(
    tmp_path: Path, data: dict[str, Any], choice: Any, value: Any
) -> None:
    node: Any = data
    while True:
        key = choice.choice(sorted(node) if isinstance(node, dict) else range(len(node)))
        if not isinstance(node[key], dict | list) or not node[key] or choice.random() < 0.3:
            break
        node = node[key]
    node[key] = value
    path = tmp_path / "cluster.yaml"
    path.write_text(as_yaml(data))
    loads_or_explains(path)
