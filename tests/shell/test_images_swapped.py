"""What is imported is what was verified: who owns the medium may swap it, and a manifest may say anything."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.shell.payload import Payload, image_id, script
from tests.shell.sandbox import BUNDLE, Sandbox

ETCD = "registry.k8s.io/etcd:3.5.15-0"
PAUSE = "registry.k8s.io/pause:3.10"
API = "registry.k8s.io/api:1"
COREDNS = "registry.k8s.io/dns:1"


@pytest.fixture
def payload() -> Payload:
    made = Payload()
    made.conf["IMAGES_FILE"] = "images.tar.gz"
    made.add_image("images/etcd.tar", ETCD)
    made.add_image("images/pause.tar", PAUSE)
    return made


def archive(*names: str) -> bytes:
    """Another piece with an archive of these names."""
    text = json.dumps([{"Config": "c.json", "RepoTags": names, "Layers": []}]).encode()
    inner, outer = io.BytesIO(), io.BytesIO()
    for stream, name, data in ((inner, "manifest.json", text), (outer, "./images/etcd.tar", None)):
        member = tarfile.TarInfo(name)
        content = inner.getvalue() if data is None else data
        member.size = len(content)
        with tarfile.open(fileobj=stream, mode="w") as tar:
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(outer.getvalue(), mtime=0)


def swapped(payload: Payload, *names: str) -> bytes:
    """The file with the images, with another archive in the place of the first, of the same length."""
    evil = archive(*names)
    return evil.ljust(len(payload.pieces["images/etcd.tar"]), b"\0") + payload.pieces["images/pause.tar"]


SWAPS = {
    "the same name": (ETCD,),
    "another name": (API,),
    "one more name": (ETCD, API),
    "two more names": (ETCD, API, COREDNS),
    "the name of an image that is there": (COREDNS,),
    "that one beside its own": (ETCD, COREDNS),
    "the other image's name": (PAUSE,),
}


@pytest.mark.parametrize("back", [False, True], ids=["stays", "is put back"])
@pytest.mark.parametrize("what", SWAPS)
def test_what_was_swapped_after_it_was_verified_is_taken_back(
    host: Sandbox, payload: Payload, what: str, back: bool
) -> None:
    folder = host.unpack(payload)
    shared = host.path(BUNDLE).with_name("images.tar.gz")
    good = shared.read_bytes()
    host.stub("images", f"{COREDNS}\nexample.org/same:1 - {COREDNS}\n")
    before = sorted(host.stubbed("images").split("\n"))
    host.path("/media/.evil").write_bytes(swapped(payload, *SWAPS[what]))
    host.path("/media/.good").write_bytes(good)
    host.stub("on-list", "[[ ! -e /media/.evil ]] || mv /media/.evil /media/images.tar.gz\n")
    if back:
        host.stub("on-import", "cp /media/.good /media/images.tar.gz\n")
    done = host.run(folder)
    assert done.returncode == 13, done.stdout
    assert ("was another one while it was imported" if back else "cannot be read as it was made") in done.stderr
    assert sorted(host.stubbed("images").split("\n")) == before
    assert host.stubbed("imported") != ""


def test_a_name_that_is_in_no_list_is_not_kept(host: Sandbox) -> None:
    """The archive is the one that was verified, and holds more than images/LIST says."""
    payload = Payload()
    payload.add_image("images/more.tar", ETCD, PAUSE, API)
    lines = payload.files["images/LIST"][1].decode().splitlines(keepends=True)
    payload.files["images/LIST"] = ("0644", "".join(line for line in lines if API not in line).encode())
    host.stub("images", "")
    done = host.install(payload)
    assert done.returncode == 0, done.stderr
    assert f"the archive brought an image called {API}, which images/LIST does not have" in done.stderr
    assert API not in host.stubbed("images").split()


GOOD, EVIL = image_id("good"), image_id("evil")
PART = f"sha256:{'5' * 64}"
OTHER = f"sha256:{'6' * 64}"
MIPS = '{"digest": "PART", "platform": {"architecture": "mips"}}'
MANIFESTS = {
    "plain": ('{"schemaVersion": 2, "config": {"digest": "GOOD", "size": 7}, "layers": []}', True),
    "spread": ('{\n "config" : {\n "size" : 7 ,\n "digest" :\n "GOOD" } }', True),
    "an annotation of a config": ('{"config": {"digest": "GOOD"}, "annotations": {"config": "x"}}', True),
    "an index": ('{"manifests": [{"digest": "PART", "platform": {"architecture": "ARCH"}}]}', True),
    "an index with others": (
        '{"manifests": [{"platform": {"architecture": "mips"}, "digest": "OTHER"}, {"digest": "PART"}]}', True,
    ),
    "an annotation": ('{"config": {"digest": "EVIL"}, "annotations": {"x": "GOOD"}}', False),
    "a layer": ('{"config": {"digest": "EVIL"}, "layers": [{"digest": "GOOD"}]}', False),
    "a field that nobody knows": ('{"x": {"config": {"digest": "GOOD"}}, "config": {"digest": "EVIL"}}', False),
    "twice": ('{"config": {"digest": "GOOD"}, "config": {"digest": "EVIL"}}', False),
    "twice in other letters": ('{"config": {"digest": "GOOD"}, "Config": {"digest": "EVIL"}}', False),
    "twice, the second escaped": ('{"config": {"digest": "GOOD"}, "\\u0063onfig": {"digest": "EVIL"}}', False),
    "a digest twice": ('{"config": {"digest": "GOOD", "digest": "EVIL"}}', False),
    "a digest in a text": ('{"x": "\\"config\\": {\\"digest\\": \\"GOOD\\"}", "config": {"digest": "EVIL"}}', False),
    "a key with a dot": ('{"config.digest": "GOOD", "config": {"digest": "EVIL"}}', False),
    "a list": ('{"config": [{"digest": "GOOD"}]}', False),
    "only the subject": ('{"subject": {"digest": "GOOD"}}', False),
    "a longer digest": ('{"config": {"digest": "GOOD0"}}', False),
    "no JSON after it": ('{"config": {"digest": "GOOD"}} {"config": {"digest": "EVIL"}}', False),
    "a key in a list": ('["a[$(touch PWNED >&2; echo PWNED >&2)]": 1, 2]', False),
    "no end": ('{"config": {"digest": "GOOD"}', False),
    "nothing": ("", False),
    "without end": ('{"config": {"digest": "GOOD"}, "x": "' + "x" * 70000 + '"}', False),
    "an index of both": ('{"manifests": [{"digest": "PART"}, {"digest": "OTHER"}]}', False),
    "an index of the other, for this machine": (f'{{"manifests": [{{"digest": "OTHER"}}, {MIPS}]}}', False),
    "an index in an annotation": ('{"annotations": {"manifests": [{"digest": "PART"}]}}', False),
    "an index that names the configuration": ('{"manifests": [{"digest": "GOOD"}]}', False),
}  # fmt: skip


@pytest.mark.parametrize("what", MANIFESTS)
def test_a_manifest_names_one_configuration(tmp_path: Path, what: str) -> None:
    text, fits = MANIFESTS[what]
    arch = {"x86_64": "amd64", "aarch64": "arm64"}[subprocess.check_output(["uname", "-m"], text=True).strip()]
    for old, new in (("GOOD", GOOD), ("EVIL", EVIL), ("PART", PART), ("OTHER", OTHER), ("ARCH", arch)):
        text = text.replace(old, new)
    answers = (
        f'ctr() {{ case ${{!#}} in TOP) cat;; {PART}) echo \'{{"config": {{"digest": "{GOOD}"}}}}\' ;;'
        f' {OTHER}) echo \'{{"config": {{"digest": "{EVIL}"}}}}\' ;; *) return 1 ;; esac; }}\n'
    )
    program = script().removesuffix('\nmain "$@"\n') + f"\n{answers}CONF[RUNTIME_ENDPOINT]=x\nhas_id TOP {GOOD}\n"
    (tmp_path / "program").write_text(program)
    argv = ["/bin/bash", str(tmp_path / "program")]
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert (done.returncode == 0) == fits
