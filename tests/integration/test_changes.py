"""Builds one after the other: which change each makes, that none is made otherwise later, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bundlegen import layout
from tests.building import build, contents, environment, main, read, run, specification, write
from tests.changing import FLAG, OTHER, edit, entries, kept, take_in, with_name


def test_each_change_has_its_folder_and_its_line(lived: Path) -> None:
    assert sorted(path.name for path in (lived / "out/prod").iterdir()) == ["2-configure", "3-configure", "create"]
    made = entries(lived)
    assert [(each["number"], each["name"], each["operation"]) for each in made] == [
        (1, "create", "create"), (2, "2-configure", "configure"), (3, "3-configure", "configure"),
    ]  # fmt: skip
    assert [list(each["hosts"]) for each in made] == [["infra0", "infra1", "infra2"]] * 2 + [["infra1"]]
    for each in made:
        folder = lived / "out/prod" / each["name"]
        sums = dict(reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines())
        assert {host: sums[f"{host}.run"] for host in each["hosts"]} == {
            host: bundle["sha256"] for host, bundle in each["hosts"].items()
        }
        assert {host: read(folder, host).digest for host in each["hosts"]} == {
            host: bundle["payloadDigest"] for host, bundle in each["hosts"].items()
        }
    assert (lived / "pki/prod/changes.jsonl").stat().st_mode & 0o777 == 0o600


def test_the_history_holds_no_secret(lived: Path) -> None:
    text = (lived / "pki/prod/changes.jsonl").read_text()
    store = json.loads((lived / "pki/prod/store.json").read_text())
    assert "PRIVATE" not in text
    assert store["initialClusterToken"] not in text
    assert store["ca"]["fingerprint"] in text
    assert str(lived) not in text


def test_a_bundle_says_where_it_stands(lived: Path) -> None:
    conf = read(lived / "out/prod/3-configure", "infra1").conf
    told = {name: conf[name] for name in ("OPERATION", "CHANGE", "CHANGE_NUMBER", "AFTER_CHANGE", "REQUIRED_CHANGE")}
    assert told == {
        "OPERATION": "configure",
        "CHANGE": "3-configure",
        "CHANGE_NUMBER": "3",
        "AFTER_CHANGE": "2-configure",
        "REQUIRED_CHANGE": "create",
    }
    first = read(lived / "out/prod/create", "infra1").conf
    assert (first["AFTER_CHANGE"], first["REQUIRED_CHANGE"], first["MEMBERS_BEFORE"]) == ("", "", "")
    assert conf["MEMBERS_BEFORE"] == conf["MEMBERS"] == first["MEMBERS"]
    assert (conf["INITIAL_CLUSTER"], conf["INITIAL_STATE"]) == (first["INITIAL_CLUSTER"], first["INITIAL_STATE"])


def test_only_what_changed_is_issued_anew(lived: Path) -> None:
    def certificate(change: str, host: str, name: str) -> bytes | None:
        return read(lived / "out/prod" / change, host).content(layout.pki_path(f"etcd/{name}.crt"))

    assert certificate("2-configure", "infra1", "server") == certificate("create", "infra1", "server")
    assert certificate("3-configure", "infra1", "server") != certificate("create", "infra1", "server")
    assert certificate("3-configure", "infra1", "healthcheck-client") == certificate(
        "create", "infra1", "healthcheck-client"
    )


@pytest.mark.parametrize("change", ["create", "2-configure", "3-configure"])
def test_every_change_can_be_made_again(here: Path, change: str) -> None:
    """In another folder, at another time, after later changes, whatever the specification says by then."""
    expected = contents(here / "out/prod" / change)
    shutil.rmtree(here / "out")
    edit(here, **OTHER)
    env = environment(TZ="Pacific/Auckland", SOURCE_DATE_EPOCH="2000000000")
    for _ in range(2):
        again = build(here, "--change", change, "--source-date", env=env)
        assert again.name == change
        assert contents(again) == expected
    assert len(entries(here)) == 3


def test_the_newest_again_where_nothing_differs(here: Path) -> None:
    before = kept(here)
    done = run(here, "build", "cluster.yaml")
    assert done.returncode == 0
    assert "out/prod/3-configure is there already, byte for byte; nothing was changed" in done.stderr
    assert kept(here) == before


def test_what_build_says_of_a_change(here: Path) -> None:
    edit(here, **OTHER, **with_name(1, "etcd1.example.net"))
    done = run(here, "build", "cluster.yaml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "Change 4-configure of prod, after 3-configure:\n  etcd.extraArgs.heartbeat-interval: 200 -> 300\n\nHOST "
    )
    assert "one host after the other, each when the one before has ended with exit code 0:" in done.stdout
    assert "no receipt says that a host has run 3-configure" in done.stderr
    assert "create" not in done.stdout


def test_who_gets_no_bundle_is_said(here: Path) -> None:
    done = run(here, "build", "cluster.yaml")
    assert (
        "Change 3-configure of prod, after 2-configure:\n"
        "  hosts[1].extraSANs (infra1): (none) -> etcd1.example.net\n"
        "  no bundle for infra0, infra2: nothing is different there\n"
    ) in done.stdout
    assert done.stdout.count("scp ") == 1


def test_what_machines_are_told(here: Path) -> None:
    edit(here, **OTHER, **with_name(1, "etcd1.example.net"))
    planned = json.loads(run(here, "plan", "cluster.yaml", "--json").stdout)
    told = json.loads(run(here, "build", "cluster.yaml", "--json").stdout)
    differences = [{"field": "etcd.extraArgs.heartbeat-interval", "old": "200", "new": "300"}]
    assert planned["differences"] == told["differences"] == told["change"]["differences"] == differences
    assert (planned["change"], planned["operation"], planned["new"]) == ("4-configure", "configure", True)
    assert (told["folder"], told["operation"], told["written"]) == ("out/prod/4-configure", "configure", True)
    assert [host["name"] for host in planned["hosts"]] == [host["name"] for host in told["change"]["hosts"]]
    again = json.loads(run(here, "plan", "cluster.yaml", "--json").stdout)
    assert (again["change"], again["new"]) == ("4-configure", False)


def test_plan_writes_nothing(here: Path) -> None:
    edit(here, **OTHER)
    before = contents(here)
    done = run(here, "plan", "cluster.yaml")
    assert done.stdout.startswith("The next change is 4-configure, after 3-configure:\n")
    assert contents(here) == before
    # The name that infra1 loses again is in certificates, and those of the first day are found.
    assert "Nothing is to be issued" in done.stdout
    edit(here, **FLAG, **with_name(1, "etcd1.example.net"))
    assert run(here, "plan", "cluster.yaml").stdout.startswith("Nothing differs from 3-configure")


def test_the_record_compares_with_the_change_before(here: Path) -> None:
    """From the store alone: the folders of other changes are no matter."""
    shutil.rmtree(here / "out")
    made = json.loads((build(here) / "change.json").read_text())
    found = made["comparedWith"]
    assert found["change"] == "2-configure"
    assert found["sha256"] == entries(here)[1]["sums"]
    [host] = found["hosts"]
    assert host["name"] == "infra1"
    assert any(each["what"] == "certificate etcd-server, names" for each in host["changes"])


def test_mixed_edits_are_refused(refused: Callable[..., str], at: Path) -> None:
    hosts = [*specification()["hosts"], {"name": "infra3", "address": "10.0.0.9"}]
    edit(at, kubernetesVersion="v1.31.5", hosts=hosts, **OTHER)
    said = refused(3, "build", "cluster.yaml")
    for sentence in (
        "kubernetesVersion: differs from 3-configure (upgrade): v1.31.4 -> v1.31.5",
        "hosts[3]: differs from 3-configure (add): (none) -> infra3=10.0.0.9",
        "hosts[1].extraSANs (infra1): differs from 3-configure (configure): etcd1.example.net -> (none)",
        "etcd.extraArgs.heartbeat-interval: differs from 3-configure (configure): 200 -> 300",
        "do one at a time, each built and run: add, then configure, then upgrade",
    ):
        assert sentence in said
    assert refused(3, "plan", "cluster.yaml") == said


def test_another_cluster_of_the_same_name(refused: Callable[..., str], at: Path) -> None:
    edit(at, hosts=[{"name": f"db{number}", "address": f"10.1.0.{number + 1}"} for number in range(3)])
    said = refused(4, "build", "cluster.yaml")
    assert "the store of prod is that of a cluster with other hosts (infra0=10.0.0.6, infra1=" in said
    assert "give this cluster a name of its own" in said


def test_what_was_approved_is_never_overwritten(refused: Callable[..., str], at: Path) -> None:
    said = refused(4, "build", "cluster.yaml", "--seal")
    assert "3-configure would come out different from what was built before, for infra1 (built then with no " in said
    # Not in another folder either: one name stands for one set of bundles.
    assert "would come out different" in refused(4, "build", "cluster.yaml", "--seal", "--output", "other")
    (at / "out/prod/3-configure/CHANGE.md").write_text("approved")
    assert "out/prod/3-configure exists and would come out different: CHANGE.md differs" in refused(
        4, "build", "cluster.yaml"
    )


def test_the_newest_may_be_made_anew_until_a_host_has_run_it(at: Path, refused: Callable[..., str]) -> None:
    assert main(["build", "cluster.yaml", "--seal", "--replace"]) == 0
    assert [each["options"]["seal"] for each in entries(at)] == [False, False, False, True]
    sealed = contents(at / "out/prod/3-configure")
    assert b"SEALED='yes'" in read(at / "out/prod/3-configure", "infra1").files["bundle.conf"]
    shutil.rmtree(at / "out/prod/3-configure")
    assert main(["build", "cluster.yaml", "--change", "3-configure"]) == 0
    assert contents(at / "out/prod/3-configure") == sealed
    assert "infra0.run" not in sealed
    take_in(at, "3-configure", 0)
    said = refused(4, "build", "cluster.yaml", "--replace")
    assert "would come out different" in said
    assert "and infra1 ran it" in said


def test_a_change_whose_keys_are_gone_is_not_made_with_others(refused: Callable[..., str], at: Path) -> None:
    for pair in (at / "pki/prod/hosts/infra0").glob("etcd-peer-*"):
        shutil.rmtree(pair)
    said = refused(4, "build", "cluster.yaml", "--change", "create", "--output", "again")
    assert "pki/prod no longer has what create was made with: infra0 etcd-peer (restore it from a backup)" in said


def test_made_again_as_it_was_made(tmp_path: Path) -> None:
    write(tmp_path, specification(2))
    first = build(tmp_path, "--base", "--seal", "--split", "30K", "--extension", "txt")
    expected = contents(first)
    write(tmp_path, specification(2, **FLAG))
    build(tmp_path)
    shutil.rmtree(first)
    assert contents(build(tmp_path, "--change", "create")) == expected
    done = run(tmp_path, "build", "cluster.yaml", "--change", "create", "--seal")
    assert done.returncode == 2
    assert "--change create makes it as it was made (leave out --seal)" in done.stderr
    done = run(tmp_path, "build", "cluster.yaml", "--change", "create", "--sign-key", "key")
    assert (done.returncode, "it was not signed" in done.stderr) == (2, True)


def test_what_another_bundlegen_made_is_left(at: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history = at / "pki/prod/changes.jsonl"
    version = entries(at)[0]["bundlegen"]
    history.write_text(history.read_text().replace(f'"bundlegen":"{version}"', '"bundlegen":"0.2.99"'))
    before = kept(at)
    capsys.readouterr()
    assert main(["build", "cluster.yaml"]) == 0
    out, err = capsys.readouterr()
    assert "out/prod/3-configure was made by bundlegen 0.2.99, and is left as it is" in err
    assert out == "3-configure of prod is in out/prod/3-configure\n"
    assert kept(at) == before
    assert main(["build", "cluster.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["madeBy"] == "0.2.99"
    shutil.rmtree(at / "out/prod/3-configure")
    assert main(["build", "cluster.yaml"]) == 4
    assert "3-configure was made by bundlegen 0.2.99, and bundlegen " in capsys.readouterr().err
    assert main(["build", "cluster.yaml", "--replace"]) == 0
    assert len(entries(at)) == 4
