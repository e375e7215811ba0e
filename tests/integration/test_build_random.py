"""Random specifications: a valid one builds and is read back as it was meant, any other is refused in words."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bundlegen import cli
from bundlegen.bundle import member
from bundlegen.spec import check
from bundlegen.trust import bundle
from tests.strategies import as_yaml, specifications, yaml_like


def built(folder: Path, text: str) -> tuple[int, str]:
    (folder / "cluster.yaml").write_text(text, encoding="utf-8", errors="surrogatepass")
    words = ["build", str(folder / "cluster.yaml"), "--output", str(folder / "out"), "--pki", str(folder / "pki")]
    out, errors = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(errors):
        code = cli.main(words)
    return code, errors.getvalue()


@settings(max_examples=15)
@given(specifications(max_hosts=3))
def test_a_valid_specification_builds_and_is_read_back(data: dict[str, Any]) -> None:
    data["pki"] = data.get("pki", {}) | {"encryptionAlgorithm": "ECDSA-P256"}
    folder = Path(tempfile.mkdtemp(prefix="bundlegen-test."))
    try:
        code, errors = built(folder, as_yaml(data))
        assert code == 0, errors
        cluster = check.parse(data)
        for host in cluster.hosts:
            found = bundle.read(folder / "out" / cluster.name / "create" / f"{host.name}.run")
            assert (found.conf["HOST"], found.conf["ADDRESS"]) == (host.name, host.address)
            assert found.conf["INITIAL_CLUSTER"] == member.initial_cluster(cluster)
            assert ("/etc/kubernetes/pki/etcd/ca.key" in found.destinations) is (host.name == cluster.ca_key_host)
            assert ("/etc/kubernetes/manifests/etcd.yaml" in found.destinations) is (cluster.manifest == "rendered")
    finally:
        shutil.rmtree(folder)


@settings(max_examples=100)
@given(yaml_like | st.text(max_size=60) | specifications(max_hosts=2).map(lambda data: as_yaml(data)[:-40]))
def test_anything_else_is_refused_in_words(text: str) -> None:
    folder = Path(tempfile.mkdtemp(prefix="bundlegen-test."))
    try:
        code, errors = built(folder, text)
        assert code == 3, errors
        assert "Traceback" not in errors
        assert errors.startswith("bundlegen: error: ")
        assert [path.name for path in folder.iterdir()] == ["cluster.yaml"]
    finally:
        shutil.rmtree(folder)
