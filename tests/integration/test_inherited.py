"""Stores that version 0.1 made, which know certificates and no change: read as those of one change, ``create``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bundlegen import __version__, layout
from tests.building import contents, main, read, specification, write
from tests.older import Older

FLAG = {"etcd": {"extraArgs": {"heartbeat-interval": "200"}}}
UNEDITED = "put the specification back to what create was built from, build once, and make the change then"


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Older:
    return Older(tmp_path_factory.mktemp("older"))


@pytest.fixture(scope="module")
def old(older: Older, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("old")
    write(folder, specification())
    older.run(["build", "cluster.yaml"], folder)
    return folder


@pytest.fixture
def here(old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = Path(shutil.copytree(old, tmp_path / "here"))
    monkeypatch.chdir(folder)
    return folder


def history(folder: Path) -> list[dict[str, Any]]:
    path = folder / "pki/prod/changes.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def edit(folder: Path, **fields: Any) -> None:
    write(folder, {**specification(), **fields})


def test_the_first_build_writes_down_what_create_was(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(here / "out")
    assert main(["build", "cluster.yaml"]) == 0
    out, err = capsys.readouterr()
    assert out == "create of prod is in out/prod/create\n"
    assert "out/prod/create was made by bundlegen 0.1.0, and is left as it is" in err
    assert contents(here / "out") == before
    [entry] = history(here)
    assert (entry["number"], entry["name"], entry["bundlegen"]) == (1, "create", "0.1.0")
    for host in ("infra0", "infra1", "infra2"):
        bundle = read(here / "out/prod/create", host)
        assert entry["hosts"][host].pop("files")
        assert entry["hosts"][host] == {"payloadDigest": bundle.digest, "sha256": bundle.sha256}
    assert {each["state"] for each in entry["members"]} == {"new"}
    # Once it is written down, building again changes nothing.
    written = (here / "pki/prod/changes.jsonl").read_bytes()
    assert main(["build", "cluster.yaml"]) == 0
    assert (here / "pki/prod/changes.jsonl").read_bytes() == written
    assert contents(here / "out") == before


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--seal"], {"seal": True}),
        (["--base", "--extension", "txt"], {"base": True, "extension": "txt"}),
        (["--split", "40000", "--extension", "txt"], {"split": 40000, "extension": "txt"}),
        (["--split", "40000"], {"split": 40000}),
    ],
)
def test_how_it_was_built_is_known(
    older: Older, words: list[str], options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that making it again lays no sealed key open, and makes what was made."""
    write(tmp_path, specification())
    older.run(["build", "cluster.yaml", *words], tmp_path)
    made = contents(tmp_path / "out").keys()
    monkeypatch.chdir(tmp_path)
    build_quietly()
    [entry] = history(tmp_path)
    plain: dict[str, Any] = {
        "seal": False,
        "base": False,
        "sharedImages": False,
        "split": None,
        "extension": "",
        "signed": False,
        "by": "",
        "now": False,
        "snapshot": "",
        "signer": "",
        "signers": [],
    }
    assert entry["options"] == {**plain, **options}
    shutil.rmtree(tmp_path / "out")
    assert main(["build", "cluster.yaml", "--change", "create", "--replace", "--quiet"]) == 0
    assert json.loads((tmp_path / "out/prod/create/change.json").read_text())["sealed"] is options.get("seal", False)
    assert made <= contents(tmp_path / "out").keys()


def test_then_it_is_configured(here: Path) -> None:
    build_quietly()
    first = read(here / "out/prod/create", "infra1")
    edit(here, **FLAG)
    build_quietly()
    conf = read(here / "out/prod/2-configure", "infra1").conf
    assert (conf["AFTER_CHANGE"], conf["REQUIRED_CHANGE"], conf["CHANGE_NUMBER"]) == ("create", "create", "2")
    assert conf["INITIAL_CLUSTER"] == first.conf["INITIAL_CLUSTER"]
    assert conf["INITIAL_CLUSTER_TOKEN"] == first.conf["INITIAL_CLUSTER_TOKEN"]
    made = json.loads((here / "out/prod/2-configure/change.json").read_text())
    assert made["comparedWith"]["change"] == "create"
    assert [each["field"] for each in made["differences"]] == ["etcd.extraArgs.heartbeat-interval"]


def test_what_the_newer_bundlegen_changes_by_itself_is_said_as_well(here: Path) -> None:
    """Its drop-in restarts kubelet, though no field asks for that."""
    build_quietly()
    edit(here, **FLAG)
    build_quietly()
    made = json.loads((here / "out/prod/2-configure/change.json").read_text())
    for host in made["comparedWith"]["hosts"]:
        assert host["restarts"] == ["kubelet", "etcd"]
        changes = {each["what"]: (each["old"], each["new"]) for each in host["changes"]}
        assert changes["bundlegen"] == ("0.1.0", __version__)
        assert changes[f"file {layout.GUARD_COMMAND}"] == ("", "there")
        assert f"file {layout.KUBELET_DROPIN}" in changes
        assert {file["path"]: file["effect"] for file in host["files"]} == {
            layout.KUBEADM_CONFIG: "pod",
            layout.KUBELET_DROPIN: "kubelet",
            layout.GUARD_COMMAND: "none",
        }
    text = (here / "out/prod/2-configure/CHANGE.md").read_text()
    assert "On infra0, infra1 and infra2: kubelet restarts; etcd goes on running." in text


def build_quietly() -> None:
    assert main(["build", "cluster.yaml", "--quiet"]) == 0


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (FLAG, "/etc/kubernetes/kubeadmcfg.yaml of infra0 differs; /etc/kubernetes/kubeadmcfg.yaml of infra1 differs"),
        ({"kubelet": {"cgroupDriver": "cgroupfs"}}, "kubelet.conf of infra0 differs"),
        ({"kubernetesVersion": "v1.31.5"}, "/etc/kubernetes/kubeadmcfg.yaml of infra0 differs"),
        ({"manifest": "rendered"}, "/etc/kubernetes/manifests/etcd.yaml of infra0 differs"),
        ({"pki": {"encryptionAlgorithm": "ECDSA-P256", "caKeyHost": "infra1"}}, "etcd/ca.key of infra0 differs"),
        ({"hosts": specification()["hosts"][:2]}, "infra2 is not in it"),
    ],
)
def test_an_edit_before_that_is_not_taken_for_create(
    here: Path, fields: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(here, **fields)
    assert main(["build", "cluster.yaml"]) == 4
    err = capsys.readouterr().err
    assert "the specification is not what create was built from by bundlegen 0.1.0" in err
    assert said in err
    assert UNEDITED in err
    assert history(here) == []


def test_an_edit_that_needs_certificates_is_found_without_the_folder(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(here / "out")
    hosts = specification()["hosts"]
    hosts[1]["extraSANs"] = ["etcd1.example.net"]
    edit(here, hosts=hosts)
    for words in (["build", "cluster.yaml"], ["build", "cluster.yaml", "--change", "create"]):
        assert main(words) == 4
        err = capsys.readouterr().err
        assert "pki/prod was made by bundlegen 0.1, which did not write down what it built from" in err
        assert "infra1 etcd-server: new, SANs differ from the one issued" in err
    assert history(here) == []


def test_without_the_folder_the_user_has_to_say_so(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = contents(here / "out/prod/create")
    shutil.rmtree(here / "out")
    assert main(["build", "cluster.yaml"]) == 4
    assert "if this specification is the one, unedited, say so: --change create" in capsys.readouterr().err
    assert history(here) == []
    assert main(["build", "cluster.yaml", "--change", "create"]) == 0
    again = contents(here / "out/prod/create")
    assert {name for name in made if name.endswith(".run")} <= again.keys()
    [entry] = history(here)
    assert entry["hosts"]["infra0"]["sha256"] == read(here / "out/prod/create").sha256
    edit(here, **FLAG)
    build_quietly()
    assert len(history(here)) == 2


def test_a_folder_of_another_cluster_says_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = here / "out/prod/create/change.json"
    path.write_text(path.read_text().replace('"cluster": "prod"', '"cluster": "other"'))
    assert main(["build", "cluster.yaml"]) == 4
    assert "--change create" in capsys.readouterr().err


def test_plan_says_what_is_known(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "cluster.yaml"]) == 0
    assert "Nothing is to be issued" in capsys.readouterr().out
    assert history(here) == []


def test_a_store_that_was_begun_and_never_finished_is_no_older_one(here: Path) -> None:
    """Killed between its certificates and its first change: the history is there, and empty."""
    shutil.rmtree(here / "out")
    (here / "pki/prod/changes.jsonl").touch(mode=0o600)
    build_quietly()
    assert (here / "out/prod/create/SHA256SUMS").exists()
    assert len(history(here)) == 1
