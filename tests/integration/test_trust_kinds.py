"""Every kind of cluster that can be built is verified as good, by itself and as a change, sealed or not."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from bundlegen.trust.bundle import read
from bundlegen.trust.extract import extract
from tests import image_archives
from tests.trust_cases import SPEC, findings, make

ONE = SPEC["hosts"][:1]
KINDS: dict[str, dict[str, Any]] = {
    "the oldest Kubernetes, organized clients": {"kubernetesVersion": "v1.22.17"},
    "a newer Kubernetes": {"kubernetesVersion": "v1.34.2"},
    "IPv6": {"hosts": [{"name": "a", "address": "fd00::a"}]},
    "more names": {"hosts": [ONE[0] | {"extraSANs": ["etcd.example.net", "192.0.2.7", "*.example.net"]}]},
    "a rendered manifest": {"manifest": "rendered"},
    "no CA key anywhere": {"pki": {"encryptionAlgorithm": "ECDSA-P384", "caKeyHost": "none"}},
    "another place for kubelet's configuration": {"kubelet": {"configFile": "/etc/kubernetes/kubelet.yaml"}},
    "images": {"images": ["etcd.tar"]},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seal", [False, True])
def test_it_is_good(tmp_path: Path, kind: str, seal: bool) -> None:
    image = image_archives.write(
        tmp_path / "etcd.tar", image_archives.docker(content=image_archives.layer(size=700_000))
    )
    change = make(tmp_path, SPEC | {"hosts": ONE} | KINDS[kind], seal=seal).folder
    bundle = next(change.glob("*.run"))
    assert findings(change) == []
    assert findings(bundle) == []
    extract(bundle, tmp_path / "unpacked")
    found = {path.relative_to(tmp_path / "unpacked").as_posix(): path for path in (tmp_path / "unpacked").rglob("*")}
    files = {name: path.read_bytes() for name, path in found.items() if path.is_file()}
    assert files.keys() - {"MANIFEST"} == read(bundle).sizes.keys()
    if kind == "images":
        assert files["images/etcd.tar"] == image.read_bytes()


def test_a_ca_of_your_own(tmp_path: Path) -> None:
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650"]
    words += ["-subj", "/O=Example/CN=Example etcd CA", "-addext", "keyUsage=critical,keyCertSign,digitalSignature"]
    subprocess.run(
        ["openssl", *words, "-keyout", "ca.key", "-out", "ca.crt"], cwd=tmp_path, check=True, capture_output=True
    )
    (tmp_path / "ca.key").chmod(0o600)
    pki = {"encryptionAlgorithm": "ECDSA-P256", "ca": {"certificate": "ca.crt", "key": "ca.key"}}
    assert findings(make(tmp_path, SPEC | {"pki": pki}).folder) == []
