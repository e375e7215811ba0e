"""Keys stay where they are: no CA out of another cluster's store, no change among keys, no key under two names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from bundlegen.cli import main
from bundlegen.errors import StoreError
from bundlegen.pki.survey import survey
from tests.pki_cases import cluster, ensure

HOSTS = [{"name": "infra0", "address": "10.0.0.6"}]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the store of a cluster ``prod``; the specification will be another's."""
    ensure(tmp_path / "pki", cluster(1))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def specify(folder: Path, **pki: object) -> None:
    spec = {
        "name": "evil",
        "kubernetesVersion": "v1.31.4",
        "hosts": HOSTS,
        "pki": {**pki, "encryptionAlgorithm": "ECDSA-P256"},
    }
    folder.joinpath("cluster.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")


@pytest.mark.parametrize("way", ["absolute", "relative", "link", "link to the folder", "copied store", "no store.json"])
def test_a_ca_of_another_clusters_store_is_refused(work: Path, way: str, capsys: pytest.CaptureFixture[str]) -> None:
    ca = work / "pki" / "prod" / "ca"
    match way:
        case "relative":
            ca = Path("pki/prod/../prod/ca")
        case "link":
            (work / "mine").mkdir()
            for name in ("ca.crt", "ca.key"):
                (work / "mine" / name).symlink_to(ca / name)
            ca = work / "mine"
        case "link to the folder":
            (work / "mine").symlink_to(ca)
            ca = work / "mine"
        case "copied store":
            (work / "pki" / "prod").rename(work / "saved")
            ca = work / "saved" / "ca"
        case "no store.json":
            (work / "pki" / "prod" / "store.json").unlink()
    specify(work, ca={"certificate": str(ca / "ca.crt"), "key": str(ca / "ca.key")})
    for command in ("plan", "build"):
        assert main([command, "cluster.yaml"]) == 4
        said = capsys.readouterr()
        assert "the store of a cluster (a store's CA is that cluster's alone" in said.err
        assert said.out == ""
    assert not (work / "out").exists()
    assert not (work / "pki" / "evil" / "hosts").exists()


def test_a_ca_beside_stores_is_as_good_as_elsewhere(work: Path) -> None:
    for name in ("ca.crt", "ca.key"):
        (work / "pki" / name).write_bytes((work / "pki" / "prod" / "ca" / name).read_bytes())
        (work / "pki" / name).chmod(0o600)
    specify(work, ca={"certificate": "pki/ca.crt", "key": "pki/ca.key"})
    assert main(["build", "cluster.yaml", "--quiet"]) == 0


@pytest.mark.parametrize("output", ["pki", "pki/prod", "pki/evil", "pki/new/out", "link"])
@pytest.mark.parametrize("command", ["build", "packer"])
def test_no_change_is_made_among_keys(
    work: Path, command: str, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "link").symlink_to("pki/prod")
    specify(work)
    before = sorted(work.rglob("*"))
    assert main([command, "cluster.yaml", "--output", output]) == 2
    assert "where keys are kept (choose a folder outside of it with --output)" in capsys.readouterr().err
    assert sorted(work.rglob("*")) == before


def test_no_change_is_made_in_a_store_that_is_not_named(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    specify(work)
    assert main(["build", "cluster.yaml", "--pki", "other", "--output", "pki/prod/out"]) == 2
    assert "where keys are kept" in capsys.readouterr().err
    assert not (work / "other").exists()


def test_no_store_is_made_in_what_is_carried_away(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    specify(work)
    assert main(["build", "cluster.yaml", "--pki", "out/evil/pki"]) == 2
    assert "which holds what is carried away" in capsys.readouterr().err
    assert not (work / "out").exists()


@pytest.mark.parametrize("file", ["ca/ca.key", "ca/ca.crt", "store.json", "issued.jsonl"])
def test_a_file_of_a_store_has_one_name(work: Path, file: str) -> None:
    os.link(work / "pki" / "prod" / file, work / "other")
    with pytest.raises(StoreError, match="is there under another name as well"):
        ensure(work / "pki", cluster(1))
    (work / "other").unlink()
    ensure(work / "pki", cluster(1))


def test_a_key_of_ones_own_has_one_name(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("ca.crt", "ca.key"):
        (work / name).write_bytes((work / "pki" / "prod" / "ca" / name).read_bytes())
        (work / name).chmod(0o600)
    os.link(work / "ca.key", work / "pki" / "prod" / "link")
    specify(work, ca={"certificate": "ca.crt", "key": "ca.key"})
    assert main(["build", "cluster.yaml"]) == 4
    assert "is there under another name as well" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["emptied", "missing", "cut in its first line"])
def test_a_record_that_was_emptied_is_not_written_anew(work: Path, how: str) -> None:
    record = work / "pki" / "prod" / "issued.jsonl"
    if how == "missing":
        record.unlink()
    else:
        record.write_bytes(b"" if how == "emptied" else record.read_bytes()[:40])
    before = record.read_bytes() if record.exists() else None
    for read in (lambda: ensure(work / "pki", cluster(1)), lambda: survey(work / "pki", cluster(1))):
        with pytest.raises(StoreError, match="is empty or missing, and the store has certificates"):
            read()
    assert (record.read_bytes() if record.exists() else None) == before
