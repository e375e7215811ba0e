"""Bundles that are changed by somebody who knows the format, every sum made to fit: ``verify`` and ``inspect`` make
everything but keys, certificates and images again, and find each of them."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bundlegen import layout
from bundlegen.bundle.entry import sha256
from bundlegen.bundle.stub import Stub, blanked
from bundlegen.cli import main
from bundlegen.trust.bundle import Bundle, read
from bundlegen.trust.check_bundle import examine
from tests import image_archives
from tests.trust_cases import SPEC, Entries, findings, make, put, repack, replace_bundle, sentences, sum_up

CHANGED = 120
"""How many single bytes are changed; every one of them in the long run."""
NOT_RENDERED = (layout.INSTALLER, layout.IMAGE_SCRIPT, layout.IMAGE_PIECES)
SPECIFIED = SPEC | {
    "hosts": [SPEC["hosts"][0], SPEC["hosts"][1] | {"extraSANs": ["etcd.example.net"], "machineID": "ab" * 16}],
    "manifest": "rendered",
    "images": ["etcd.tar"],
    "kubelet": {"extraConfig": {"failSwapOn": False, "tags": ["a", None]}},
    "etcd": {"extraArgs": {"quota-backend-bytes": "8589934592"}},
}
HOST = "infra1"

How = Callable[[Entries], None]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("content")
    image_archives.write(folder / "etcd.tar", image_archives.docker(content=image_archives.layer(size=9000)))
    return make(folder, SPECIFIED, base=True).folder


@pytest.fixture
def change(built: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(built, tmp_path / "create"))


def edit(destination: str, old: bytes, new: bytes, *, mode: int | None = None) -> How:
    def how(entries: Entries) -> None:
        content = entries[destination].content or b""
        assert old in content, (destination, old)
        put(entries, destination, content.replace(old, new, 1), mode or entries[destination].mode)

    return how


def conf(**values: str) -> How:
    def how(entries: Entries) -> None:
        text = (entries[layout.CONF].content or b"").decode()
        for key, value in values.items():
            text, changed = re.subn(rf"^{key}='[^']*'$", f"{key}='{value}'", text, flags=re.MULTILINE)
            assert changed == 1
        put(entries, layout.CONF, text.encode(), layout.MODE_SECRET)

    return how


def specification(**fields: Any) -> How:
    """A field of cluster.json, by its path with ``__`` between the parts."""

    def how(entries: Entries) -> None:
        found = json.loads(entries[layout.SPECIFICATION].content or b"")
        for path, value in fields.items():
            *parents, last = path.split("__")
            place = found
            for each in parents:
                place = place[int(each)] if isinstance(place, list) else place[each]
            place[last] = value
        text = json.dumps(found, indent=2) + "\n"
        put(entries, layout.SPECIFICATION, text.encode(), layout.MODE_SECRET)

    return how


def both(*several: How) -> How:
    def how(entries: Entries) -> None:
        for each in several:
            each(entries)

    return how


def plant(destination: str, content: bytes = b"x\n", mode: int = 0o644) -> How:
    return lambda entries: put(entries, destination, content, mode)


def gone(destination: str) -> How:
    def how(entries: Entries) -> None:
        del entries[destination]

    return how


def moved(old: str, new: str) -> How:
    def how(entries: Entries) -> None:
        put(entries, new, entries.pop(old).content or b"", 0o644)

    return how


CONFIG = "/etc/systemd/system/kubelet.service.d/kubelet.conf"
EVIL = b"#!/bin/bash -p\nid > /evil\n"
CHANGES: dict[str, How] = {
    "another health command": plant(layout.HEALTH_COMMAND, EVIL, 0o755),
    "a line more in the health command": edit(layout.HEALTH_COMMAND, b"\nset -", b"\nid > /evil\nset -"),
    "health unit runs something else": edit(layout.HEALTH_SERVICE, b"ExecStart=", b"ExecStartPre=/bin/id\nExecStart="),
    "health timer every second": edit(layout.HEALTH_TIMER, b"[Timer]", b"[Timer]\nOnUnitActiveSec=1s"),
    "drop-in starts another kubelet": edit(
        layout.KUBELET_DROPIN, b"ExecStart=/usr/bin/kubelet", b"ExecStart=/tmp/evil"
    ),
    "drop-in with a line more": edit(layout.KUBELET_DROPIN, b"Restart=always", b"ExecStartPre=/evil\nRestart=always"),
    "kubelet open to all": edit(CONFIG, b"address: 127.0.0.1", b"address: 0.0.0.0"),
    "kubelet takes other Pods": edit(CONFIG, b"/etc/kubernetes/manifests", b"/var/tmp"),
    "kubeadm's image from elsewhere": edit(
        layout.KUBEADM_CONFIG, b"    dataDir:", b"    imageRepository: e.net\n    dataDir:"
    ),
    "kubeadm starts another cluster": edit(layout.KUBEADM_CONFIG, b"10.0.0.6:2380", b"10.6.6.6:2380"),
    "manifest of another image": edit(layout.STATIC_POD_MANIFEST, b"registry.k8s.io", b"evil.example"),
    "manifest without client certificates": edit(
        layout.STATIC_POD_MANIFEST, b"--client-cert-auth=true", b"--client-cert-auth=false"
    ),
    "manifest that mounts the root": edit(layout.STATIC_POD_MANIFEST, b"path: /var/lib/etcd", b"path: /"),
    "first boot runs something else": edit(layout.FIRSTBOOT_SERVICE, b"ExecStart=", b"ExecStart=/bin/id\nExecStart="),
    "first boot looks elsewhere": edit(layout.FIRSTBOOT_CONF, b"='", b"='/tmp"),
    "installer with a line more": edit(layout.INSTALLER, b"\nset -Eeuo pipefail\n", b"\nid\nset -Eeuo pipefail\n"),
    "conf: another kubelet": conf(KUBELET_BINARY="/tmp/evil"),
    "conf: another kubelet, with the drop-in": both(
        conf(KUBELET_BINARY="/opt/evil"), edit(layout.KUBELET_DROPIN, b"/usr/bin/kubelet", b"/opt/evil")
    ),
    "conf: data elsewhere": conf(DATA_DIR="/etc"),
    "conf: another etcd": conf(ETCD_IMAGE="evil.example/etcd:3.5.15-0"),
    "conf: other members": conf(MEMBERS="infra1=10.0.0.7 evil=10.6.6.6"),
    "conf: another token": conf(INITIAL_CLUSTER_TOKEN="evil"),
    "conf: ports": conf(METRICS_PORT="1", METRICS_URL="http://127.0.0.1:1"),
    "conf: not pinned to its machine": conf(MACHINE_ID=""),
    "conf: of another architecture": conf(ARCHITECTURE="aarch64"),
    "conf: another runtime": conf(RUNTIME_ENDPOINT="unix:///tmp/evil.sock"),
    "conf: issued tomorrow": conf(ISSUED_AT="1999999999"),
    "conf: valid for ever": conf(NOT_AFTER="99999999999"),
    "conf: a later change": conf(CHANGE="7-configure", CHANGE_NUMBER="7", OPERATION="configure"),
    "conf: a change that is no number": conf(CHANGE="7-configure"),
    "conf: an operation that there is not": conf(CHANGE="2-evil", CHANGE_NUMBER="2", OPERATION="evil"),
    "conf: a state that is not": conf(INITIAL_STATE="existing"),
    "conf: no key is sealed": conf(SEALED="yes"),
    "conf: another version": conf(BUNDLEGEN_VERSION="0.0.1"),
    "conf: a command for a cluster": conf(CLUSTER="$(id > evil)"),
    "conf: a command for a host": conf(HOST='x"; id > evil; "'),
    "conf: a key more": edit(layout.CONF, b"ADDRESS=", b"ADDED='x'\nADDRESS="),
    "conf: in another order": lambda entries: put(
        entries,
        layout.CONF,
        b"".join(reversed((entries[layout.CONF].content or b"").splitlines(keepends=True))),
        layout.MODE_SECRET,
    ),
    "a preload for every program": both(
        moved(CONFIG, "/etc/ld.so.preload"),
        conf(KUBELET_CONFIG="/etc/ld.so.preload"),
        edit(layout.KUBELET_DROPIN, CONFIG.encode(), b"/etc/ld.so.preload"),
    ),
    "a preload that the specification asks for": both(
        moved(CONFIG, "/etc/ld.so.preload"),
        conf(KUBELET_CONFIG="/etc/ld.so.preload"),
        edit(layout.KUBELET_DROPIN, CONFIG.encode(), b"/etc/ld.so.preload"),
        specification(kubelet__configFile="/etc/ld.so.preload"),
    ),
    "a job for cron": plant("/etc/cron.d/x", b"* * * * * root id\n"),
    "a key for root": plant("/root/.ssh/authorized_keys", b"ssh-ed25519 AAAA\n", 0o600),
    "a static Pod more": plant("/etc/kubernetes/manifests/evil.yaml"),
    "a drop-in more": plant(f"{layout.KUBELET_DROPIN_DIR}/30-evil.conf", b"[Service]\nExecStartPre=/evil\n"),
    "a script that is only carried": plant("extra.sh", EVIL, 0o755),
    "a file that everybody may write": lambda entries: put(
        entries, layout.HEALTH_COMMAND, entries[layout.HEALTH_COMMAND].content or b"", 0o777
    ),
    "a health unit less": gone(layout.HEALTH_SERVICE),
    "no specification": gone(layout.SPECIFICATION),
    "specification: binary in /tmp": both(
        specification(kubelet__binary="/tmp/evil"),
        conf(KUBELET_BINARY="/tmp/evil"),
        edit(layout.KUBELET_DROPIN, b"/usr/bin/kubelet", b"/tmp/evil"),
    ),
    "specification: another flag": specification(etcd__extraArgs={"quota-backend-bytes": "1"}),
    "specification: a flag that opens etcd": specification(etcd__extraArgs={"client-cert-auth": "false"}),
    "specification: a field more": specification(evil="x"),
    "specification: a name more for the host": specification(hosts__1__extraSANs=["etcd.example.net", "bank.example"]),
    "specification: other hosts' secrets": specification(hosts__0__machineID="cd" * 16),
    "specification: of another cluster": specification(name="other"),
    "specification: without the host": specification(
        hosts=[{"name": "infra0", "address": "10.0.0.6", "extraSANs": []}]
    ),
    "specification: the CA's key for this host": specification(pki__caKeyHost=HOST),
    "specification: certificates for ever": specification(pki__certificateValidityPeriod="87600h0m0s"),
    "specification: written otherwise": edit(layout.SPECIFICATION, b'"name": ', b'"name":  '),
    "specification: a key twice": edit(layout.SPECIFICATION, b'"name": ', b'"name": "other", "name": '),
    "specification: no JSON": plant(layout.SPECIFICATION, b"{", layout.MODE_SECRET),
    "specification: nested without end": plant(layout.SPECIFICATION, b"[" * 100_000, layout.MODE_SECRET),
    "specification: a list": plant(layout.SPECIFICATION, b"[]\n", layout.MODE_SECRET),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_bundle_is_found(
    change: Path, what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = change / f"{HOST}.run"
    monkeypatch.chdir(change)
    evil = repack(path, CHANGES[what])
    replace_bundle(change, path.name, evil)
    assert [each for each in sentences(change) if each.startswith(f"{HOST}.run: ")]
    assert findings(path)
    assert main(["verify", str(path)]) == 6
    capsys.readouterr()
    assert main(["inspect", str(path)]) == 6
    assert "\nNOT WHAT BUNDLEGEN MAKES:\n" in capsys.readouterr().out
    assert main(["inspect", str(path), "--json"]) == 6
    assert json.loads(capsys.readouterr().out)["faults"]
    assert not (change / "evil").exists()


BASE_CHANGES: dict[str, How] = {
    "another health command": plant(layout.HEALTH_COMMAND, EVIL, 0o755),
    "a drop-in with a line more": edit(layout.KUBELET_DROPIN, b"Restart=always", b"ExecStartPre=/evil\nRestart=always"),
    "conf: of a host": conf(HOST="infra0"),
    "conf: a token": conf(INITIAL_CLUSTER_TOKEN="evil"),
    "conf: state elsewhere": conf(STATE_DIR="/tmp"),
    "conf: another kubelet": conf(KUBELET_BINARY="/opt/evil"),
    "specification: hosts": specification(hosts=[{"name": "infra0", "address": "10.0.0.6"}]),
    "specification: a token": specification(etcd__initialClusterToken="evil"),
    "first boot runs something else": edit(layout.FIRSTBOOT_SERVICE, b"ExecStart=", b"ExecStart=/bin/id\nExecStart="),
    "a certificate": plant("/etc/kubernetes/pki/etcd/ca.crt"),
}


@pytest.mark.parametrize("what", BASE_CHANGES)
def test_a_changed_bundle_for_images_is_found(change: Path, what: str) -> None:
    path = change / "base.run"
    path.write_bytes(repack(path, BASE_CHANGES[what]))
    assert findings(path)
    assert main(["inspect", str(path)]) == 6


def positions(bundle: Bundle) -> list[tuple[str, int]]:
    """Every byte of every file that is rendered."""
    secret = re.compile(r"\.(crt|key)$|^images/.*\.tar$")
    names = [name for name in sorted(bundle.destinations) if not secret.search(name) and name not in NOT_RENDERED]
    return [(name, place) for name in names for place in range(len(bundle.content(name) or b""))]


def flipped(bundle: Bundle, name: str, place: int, luck: random.Random) -> Bundle:
    """As it would be read with one byte changed and every sum made to fit."""
    content = bytearray(bundle.content(name) or b"")
    content[place] ^= luck.randrange(1, 256)
    lines = tuple(
        replace(line, sha256=sha256(bytes(content))) if line.destination == name else line for line in bundle.manifest
    )
    return replace(bundle, manifest=lines, files={**bundle.files, layout.payload_path(name): bytes(content)})


@pytest.mark.parametrize("host", [HOST, "base"])
def test_a_changed_byte_of_a_rendered_file_is_found(built: Path, host: str) -> None:
    bundle, luck = read(built / f"{host}.run", looking=True), random.Random(12)
    assert examine(bundle).faults == ()
    everywhere = positions(bundle)
    assert len(everywhere) > 4500
    assert len({name for name, _ in everywhere}) == {HOST: 13, "base": 11}[host]
    for name, place in luck.sample(everywhere, CHANGED):
        assert examine(flipped(bundle, name, place, luck)).faults, (name, place)


def test_a_changed_byte_of_a_file_of_a_bundle_is_found(change: Path) -> None:
    """The same through the file that somebody would be given."""
    path, luck = change / f"{HOST}.run", random.Random(13)
    bundle, whole = read(path), path.read_bytes()
    for name, place in luck.sample(positions(bundle), 20):
        path.write_bytes(whole)
        content = flipped(bundle, name, place, luck).content(name) or b""
        path.write_bytes(
            repack(path, plant(name, content, {line.destination: line.mode for line in bundle.manifest}[name]))
        )
        assert main(["verify", str(path)]) == 6, (name, place)
        assert main(["inspect", str(path)]) == 6, (name, place)


def test_a_stub_that_runs_a_label_is_none_of_ours(change: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = change / f"{HOST}.run"
    monkeypatch.chdir(change)
    bundle = read(path)
    header = Stub("", blanked(bundle.stub)).header("etcd $(id > evil), create: infra1", bundle.pieces)
    path.write_bytes(header + path.read_bytes()[len(bundle.stub) :])
    sum_up(change)
    assert any("its stub" in sentence for sentence in sentences(path))
    assert main(["inspect", str(path)]) == 6


@pytest.mark.parametrize("where", ["on board", "beside"])
@pytest.mark.parametrize("lie", ["another image", "another name", "a name more", "a name less", "another machine"])
def test_images_that_are_not_what_the_list_says_are_found(tmp_path: Path, where: str, lie: str) -> None:
    """What a host would import is what LIST, which its owner reads, says."""
    folder = tmp_path / "good"
    folder.mkdir()
    image_archives.write(folder / "etcd.tar", image_archives.docker(content=image_archives.layer(size=9000)))
    good = make(folder, SPECIFIED | {"hosts": SPEC["hosts"][:1]}, shared_images=where == "beside").folder
    listed = (read(good / "infra0.run").content(layout.IMAGE_LIST) or b"").decode()
    digest, archive, name = listed.split()
    lies = {
        "another image": listed.replace(digest, f"sha256:{'0' * 64}"),
        "another name": listed.replace(name, "registry.k8s.io/kube-apiserver:v1.31.4"),
        "a name more": listed + f"{digest} {archive} registry.k8s.io/zzz:1\n",
        "a name less": "",
        "another machine": listed,
    }
    path = good / "infra0.run"
    assert findings(good) == []
    how = both(
        plant(layout.IMAGE_LIST, lies[lie].encode()),
        *([conf(ARCHITECTURE="s390x")] if lie == "another machine" else []),
    )
    replace_bundle(good, "infra0.run", repack(path, how))
    assert sentences(good)
    assert sentences(path)


def test_a_file_among_the_images_is_refused(change: Path) -> None:
    path = change / f"{HOST}.run"
    path.write_bytes(repack(path, plant("images/evil.txt")))
    sum_up(change)
    assert any("does not hold what it should" in sentence for sentence in sentences(change))
    assert main(["inspect", str(path)]) == 6


def test_a_bundle_of_another_version_is_for_that_one_to_prove(change: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = change / f"{HOST}.run"
    path.write_bytes(repack(path, conf(BUNDLEGEN_VERSION="7.0")))
    sum_up(change)
    assert main(["inspect", str(path)]) == 6
    assert "was made by bundlegen 7.0, which alone can prove its files" in " ".join(capsys.readouterr().out.split())
