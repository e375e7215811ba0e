"""``build --base``: the bundle that an image for every host is made with holds what they share and nothing else."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bundlegen import layout
from bundlegen.bundle.conf import IDENTITY, KEYS
from bundlegen.trust import bundle
from tests import image_archives, trust_cases
from tests.building import build_here as build
from tests.building import contents, read, specification, write
from tests.building import run_here as run

HOSTS = ("infra0", "infra1", "infra2")
SHARED = {
    "install.sh": 0o755,
    "image.sh": 0o644,
    "bundle.conf": 0o600,
    "cluster.json": 0o600,
    "firstboot/bundlegen-firstboot.service": 0o644,
    "firstboot/firstboot.conf": 0o644,
    "/etc/systemd/system/kubelet.service.d/kubelet.conf": 0o644,
    layout.KUBELET_DROPIN: 0o644,
    layout.HEALTH_COMMAND: 0o755,
    layout.GUARD_COMMAND: 0o755,
    layout.HEALTH_SERVICE: 0o644,
    layout.HEALTH_TIMER: 0o644,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A specification with everything that could give a host away, built with ``--base``."""
    made = tmp_path_factory.mktemp("base")
    hosts = [
        {
            "name": name,
            "address": f"10.0.0.{6 + index}",
            "extraSANs": [f"{name}.example.net"],
            "machineID": f"{index + 1}" * 32,
        }
        for index, name in enumerate(HOSTS)
    ]
    write(made, specification(hosts=3) | {"hosts": hosts, "manifest": "rendered"})
    build(made, "--base")
    return made


@pytest.fixture(scope="module")
def change(folder: Path) -> Path:
    return folder / "out/prod/create"


def test_it_holds_just_what_hosts_share(change: Path) -> None:
    base = read(change, "base")
    assert {line.destination: line.mode for line in base.manifest} == SHARED
    assert {line.owner for line in base.manifest} == {"root:root"}
    hosts = [read(change, host) for host in HOSTS]
    for name in SHARED.keys() - {"bundle.conf", "cluster.json", "firstboot/bundlegen-firstboot.service"}:
        assert {each.content(name) for each in hosts} == {base.content(name)}, name


def test_it_holds_nothing_of_a_host(change: Path) -> None:
    """No key, certificate, token, name or address; and nothing else that differs between the hosts."""
    everything = b"\n".join([*read(change, "base").files.values(), read(change, "base").stub])
    assert b"PRIVATE KEY-----" not in everything
    assert b"BEGIN CERTIFICATE" not in everything
    confs = [read(change, host).conf for host in HOSTS]
    told = {conf[name] for conf in confs for name in ("HOST", "ADDRESS", "MACHINE_ID", "INITIAL_CLUSTER_TOKEN")}
    assert len(told) == 10
    for value in told:
        assert re.search(rb"(?<![\w.])" + re.escape(value.encode()) + rb"(?![\w.])", everything) is None, value


def test_its_conf_has_every_key_and_no_identity(change: Path) -> None:
    base, host = read(change, "base").conf, read(change).conf
    assert base.keys() == host.keys()
    of_all = {"ARCHITECTURE", "IMAGES_FILE", "WAL_DIR", "BACKUP_SCHEDULE"}
    assert {name for name, value in base.items() if not value} - of_all == set(IDENTITY)
    differing = {name for name in base if base[name] != host[name]} - set(IDENTITY)
    assert differing == {"KIND", "STATE_DIR"}
    assert (base["KIND"], host["KIND"]) == ("base", "host")
    assert base["STATE_DIR"] == "/usr/local/lib/bundlegen"


def test_units_start_the_installer_that_is_left(change: Path) -> None:
    for name, state in (("base", layout.BASE_DIR), ("infra1", "/var/lib/bundlegen/prod")):
        unit = (read(change, name).content(layout.FIRSTBOOT_SERVICE) or b"").decode()
        assert f"\nExecStart=/bin/bash -p {state}/bundle/install.sh firstboot\n" in unit
        assert "\nBefore=kubelet.service\n" in unit


def test_it_is_in_the_change(folder: Path, change: Path) -> None:
    done = subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=change, capture_output=True, check=False)
    assert done.returncode == 0
    assert b"base.run: OK" in done.stdout
    assert (change / "base.run").stat().st_mode & 0o777 == 0o700
    record = json.loads((change / "change.json").read_bytes())
    base = read(change, "base")
    assert record["base"]["bundle"] == "base.run"
    assert (record["base"]["sha256"], record["base"]["size"]) == (base.sha256, base.size)
    assert record["base"]["payloadDigest"] == base.digest
    assert not any(file["secret"] for file in record["base"]["files"])
    assert [host["name"] for host in record["hosts"]] == list(HOSTS)
    for page in ("CHANGE.md", "change.html"):
        assert "base.run" in (change / page).read_text()
    assert "sh base.run -- bake" in (change / "CHANGE.md").read_text()
    schema = run(folder, "schema", "change")
    assert "base" in json.loads(schema.stdout)["properties"]


def test_commands_know_it(folder: Path, change: Path) -> None:
    for words in (("verify", "out/prod/create"), ("verify", "out/prod/create/base.run"), ("audit", "out")):
        done = run(folder, *words)
        assert done.returncode == 0, done.stdout + done.stderr
    shown = run(folder, "inspect", str(change / "base.run"))
    assert shown.returncode == 0, shown.stderr
    assert "for images of all hosts of cluster prod, change create" in shown.stdout
    assert "stub: the one that bundlegen writes" in shown.stdout
    assert "holds no certificate and no private key" in shown.stdout
    label = subprocess.run(["sh", str(change / "base.run"), "--info"], capture_output=True, text=True, check=True)
    assert "etcd prod, create: every host" in label.stdout


def test_plan_lists_it(folder: Path) -> None:
    done = run(folder, "plan", "cluster.yaml", "--base", "--json")
    found = json.loads(done.stdout)["base"]
    assert found["bundle"] == "base.run"
    assert {file["path"] for file in found["files"]} == SHARED.keys() - {
        *("install.sh", "image.sh", "bundle.conf", "cluster.json")
    }
    assert "base.run: 8 files for images of all hosts" in run(folder, "plan", "cluster.yaml", "--base").stdout
    assert json.loads(run(folder, "plan", "cluster.yaml", "--json").stdout)["base"] is None


def test_without_the_option_there_is_none(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("out"))
    plain = build(tmp_path / "copy")
    assert not (plain / "base.run").exists()
    assert json.loads((plain / "change.json").read_bytes())["base"] is None
    for host in HOSTS:
        assert (plain / f"{host}.run").read_bytes() == (folder / f"out/prod/create/{host}.run").read_bytes()


def test_same_bytes_in_another_folder(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("out"))
    assert contents(build(tmp_path / "copy", "--base")) == contents(folder / "out/prod/create")


def test_diff_names_it(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("out"))
    data = json.loads((folder / "cluster.yaml").read_text())
    write(tmp_path / "copy", data | {"kubelet": {"cgroupDriver": "cgroupfs"}})
    newer = build(tmp_path / "copy", "--base")
    done = run(folder, "diff", "out/prod/create", str(newer), "--json")
    assert done.returncode == 1, done.stderr
    found = {host["name"]: host for host in json.loads(done.stdout)["hosts"]}
    assert [each["what"] for each in found["base"]["changes"]] == ["cgroup driver", "kubelet cgroupDriver"]
    assert found["base"]["restarts"] == []
    assert found["infra0"]["restarts"] == ["kubelet"]


def test_it_carries_the_images(tmp_path: Path) -> None:
    image_archives.write(tmp_path / "etcd.tar", image_archives.docker())
    image_archives.write(tmp_path / "pause.tar", image_archives.docker(image_archives.PAUSE))
    write(tmp_path, specification(images=["*.tar"]))
    made = build(tmp_path, "--base")
    base, host = read(made, "base"), read(made)
    carried = {name for name in host.destinations if name.startswith("images/")}
    assert len(carried) >= 3
    assert {name for name in base.destinations if name.startswith("images/")} == carried
    assert base.conf["ARCHITECTURE"] == host.conf["ARCHITECTURE"] != ""


def test_sealing_and_parts(tmp_path: Path) -> None:
    """The hosts' keys are sealed; the bundle without any is not, and is split as the others are."""
    write(tmp_path, specification())
    made = build(tmp_path, "--base", "--seal", "--split", "10K")
    assert read(made, "base").conf["SEALED"] == "no"
    record = json.loads((made / "change.json").read_bytes())["base"]
    assert len(record["parts"]) > 1
    joined = b"".join((made / part["name"]).read_bytes() for part in record["parts"])
    assert hashlib.sha256(joined).hexdigest() == record["sha256"]
    assert run(tmp_path, "verify", "out/prod/create").returncode == 0


def test_a_host_of_that_name(tmp_path: Path) -> None:
    hosts = [{"name": "infra0", "address": "10.0.0.6"}, {"name": "base", "address": "10.0.0.7"}]
    write(tmp_path, specification() | {"hosts": hosts})
    for words in (("build", "cluster.yaml", "--base"), ("plan", "cluster.yaml", "--base")):
        done = run(tmp_path, *words)
        assert done.returncode == 3, done.stderr
        assert "hosts[1].name: is 'base', and base.run would be the bundle for images" in done.stderr
    assert not (tmp_path / "out").exists()
    made = build(tmp_path)
    assert read(made, "base").conf["HOST"] == "base"
    assert run(tmp_path, "verify", "out/prod/create").returncode == 0


KEY = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
PKI = "/etc/kubernetes/pki/etcd"
SECRETS = {
    "a host's key": (f"{PKI}/server.key", KEY, "a private key that a bundle for images does not have"),
    "the CA's key": (f"{PKI}/ca.key", KEY, "a private key that a bundle for images does not have"),
    "a certificate": (f"{PKI}/ca.crt", b"x", "a file that a bundle for images does not have"),
    "a key in a text": (layout.HEALTH_COMMAND, KEY, "holds a private key, which does not belong there"),
    "kubeadm's file": (layout.KUBEADM_CONFIG, b"x", "a file that a bundle for images does not have"),
    "a static Pod": (layout.STATIC_POD_MANIFEST, b"x", "a file that a bundle for images does not have"),
}  # fmt: skip


@pytest.mark.parametrize("what", SECRETS)
def test_what_is_planted_is_found(change: Path, tmp_path: Path, what: str) -> None:
    destination, content, said = SECRETS[what]
    planted = tmp_path / "base.run"
    planted.write_bytes(
        trust_cases.repack(change / "base.run", lambda entries: trust_cases.put(entries, destination, content, 0o600))
    )
    assert bundle.read(planted).is_base
    assert any(said in sentence for sentence in trust_cases.sentences(planted))


EXAMPLES = {key.name: key.example for key in KEYS}


@pytest.mark.parametrize("name", [*IDENTITY, "SEALED"])
def test_an_identity_in_its_conf_is_found(change: Path, tmp_path: Path, name: str) -> None:
    conf = (read(change, "base").content(layout.CONF) or b"").decode()
    value = {"SEALED": "yes"}.get(name) or read(change).conf[name] or EXAMPLES[name] or "0" * 32
    altered = re.sub(rf"^{name}='.*'$", f"{name}='{value}'", conf, flags=re.MULTILINE)
    assert altered != conf
    planted = tmp_path / "base.run"
    planted.write_bytes(
        trust_cases.repack(
            change / "base.run", lambda entries: trust_cases.put(entries, layout.CONF, altered.encode(), 0o600)
        )
    )
    assert trust_cases.findings(planted)


def test_a_host_bundle_in_its_place_is_found(change: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(change, copy)
    (copy / "base.run").write_bytes((change / "infra0.run").read_bytes())
    trust_cases.sum_up(copy)
    assert "base.run: is not as change.json says: it is the bundle of infra0" in trust_cases.sentences(copy)
