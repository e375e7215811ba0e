"""Builds as a whole: what is in the bundles, who may read them, and what building needs of the machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509

from bundlegen import layout
from bundlegen.trust import bundle
from tests import needs
from tests.building import BUNDLEGEN, ROOT, contents, environment, read, specification, write
from tests.building import build_here as build
from tests.building import run_here as run

KEYS_AND_CERTIFICATES = (
    "apiserver-etcd-client.crt", "apiserver-etcd-client.key", "etcd/ca.crt", "etcd/healthcheck-client.crt",
    "etcd/healthcheck-client.key", "etcd/peer.crt", "etcd/peer.key", "etcd/server.crt", "etcd/server.key",
)  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    write(folder, specification())
    return build(folder)


@pytest.mark.parametrize("host", ["infra0", "infra1", "infra2"])
def test_a_host_gets_the_files_of_the_guide_and_no_other(built: Path, host: str) -> None:
    """Ten files on the first host, where the CA was made; nine, without its key, on the others."""
    lines = {line.destination: line for line in read(built, host).manifest}
    prefix = f"{layout.PKI_DIR}/"
    pki = {name.removeprefix(prefix): line for name, line in lines.items() if name.startswith(prefix)}
    assert set(pki) == {*KEYS_AND_CERTIFICATES, *(["etcd/ca.key"] if host == "infra0" else [])}
    assert {line.mode for name, line in pki.items() if name.endswith(".key")} == {0o600}
    assert {line.mode for name, line in pki.items() if name.endswith(".crt")} == {0o644}
    assert {name: line.mode for name, line in lines.items() if not name.startswith(prefix)} == {
        "install.sh": 0o755,
        "image.sh": 0o644,
        "bundle.conf": 0o600,
        "cluster.json": 0o600,
        layout.FIRSTBOOT_SERVICE: 0o644,
        layout.FIRSTBOOT_CONF: 0o644,
        layout.KUBEADM_CONFIG: 0o600,
        "/etc/systemd/system/kubelet.service.d/kubelet.conf": 0o644,
        layout.KUBELET_DROPIN: 0o644,
        layout.HEALTH_COMMAND: 0o755,
        layout.GUARD_COMMAND: 0o755,
        layout.HEALTH_SERVICE: 0o644,
        layout.HEALTH_TIMER: 0o644,
    }


def test_no_host_has_anothers_keys(built: Path) -> None:
    """Every private key is in one bundle only; every certificate is for the host that has it."""
    owners: dict[bytes, list[str]] = {}
    for host in ("infra0", "infra1", "infra2"):
        found = read(built, host)
        for line in found.manifest:
            content = found.content(line.destination)
            if line.destination.endswith(".key") and content is not None:
                owners.setdefault(content, []).append(host)
        server = found.content(f"{layout.PKI_DIR}/etcd/server.crt")
        assert server is not None
        names = x509.load_pem_x509_certificate(server).extensions.get_extension_for_class(x509.SubjectAlternativeName)
        assert names.value.get_values_for_type(x509.DNSName) == [host, "localhost"]
    assert len(owners) == 13
    assert {len(hosts) for hosts in owners.values()} == {1}


def test_the_change_folder_is_private_and_complete(built: Path) -> None:
    assert stat.S_IMODE(built.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in built.iterdir()} == {
        **{f"infra{number}.run": 0o700 for number in range(3)},
        **dict.fromkeys(("SHA256SUMS", "change.json", "CHANGE.md", "change.html", "renewal.ics"), 0o644),
    }
    done = subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=built, capture_output=True, check=False)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 7
    assert [path.name for path in built.parent.iterdir()] == ["create"]


def test_the_record_and_the_bundles_agree(built: Path) -> None:
    change = json.loads((built / "change.json").read_bytes())
    assert [host["name"] for host in change["hosts"]] == ["infra0", "infra1", "infra2"]
    for host in change["hosts"]:
        found = read(built, host["name"])
        assert (found.sha256, found.digest, found.size) == (host["sha256"], host["payloadDigest"], host["size"])
        assert {file["path"]: file["sha256"] for file in host["files"]} == {
            line.destination: line.sha256 for line in found.manifest
        }


def test_one_installer_in_every_bundle(built: Path) -> None:
    assert len({read(built, host).content(layout.INSTALLER) for host in ("infra0", "infra1", "infra2")}) == 1


def test_no_secret_is_outside_the_bundles(built: Path) -> None:
    for name, content in contents(built).items():
        if not name.endswith(".run"):
            assert b"PRIVATE KEY" not in content


def test_the_stub_holds_nothing_of_this_machine(built: Path) -> None:
    stub = read(built).stub
    for word in (str(built), str(ROOT), os.uname().nodename, "/tmp/bundlegen"):
        assert word.encode() not in stub


@pytest.mark.parametrize("manifest", ["kubeadm", "rendered"])
@pytest.mark.parametrize("minor", [22, 27, 31, 37])
def test_every_kind_of_cluster_builds_and_verifies(tmp_path: Path, minor: int, manifest: str) -> None:
    write(tmp_path, specification(hosts=1, kubernetesVersion=f"v1.{minor}.3", manifest=manifest))
    change = build(tmp_path)
    assert (layout.STATIC_POD_MANIFEST in read(change).destinations) is (manifest == "rendered")
    done = run(tmp_path, "verify", "out/prod/create")
    assert done.returncode == 0, done.stdout + done.stderr


def test_building_needs_no_network(tmp_path: Path) -> None:
    write(tmp_path, specification())
    done = run(tmp_path, "build", "cluster.yaml", before=needs.no_network())
    assert done.returncode == 0, done.stderr


def test_building_opens_no_network_socket(tmp_path: Path) -> None:
    """Not bundlegen, makeself or what makeself starts; tar alone asks the name service, over a local socket."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    write(tmp_path, specification())
    trace = tmp_path / "trace"
    done = run(
        tmp_path, "build", "cluster.yaml", before=[strace, "-f", "-qq", "-o", str(trace), "-e", "trace=%net,execve"]
    )
    assert done.returncode == 0, done.stderr
    lines = trace.read_text().splitlines()
    assert any("makeself" in line and "execve(" in line for line in lines)
    opened = [line for line in lines if re.search(r"\b(socket|connect|bind|sendto|listen)\(", line)]
    assert [line for line in opened if "AF_UNIX" not in line] == []


def test_no_secret_is_ever_an_argument(tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    write(tmp_path, specification())
    trace = tmp_path / "trace"
    run(
        tmp_path,
        "build",
        "cluster.yaml",
        before=[strace, "-f", "-qq", "-s", "4096", "-o", str(trace), "-e", "trace=execve"],
    )
    text = trace.read_text()
    assert "PRIVATE" not in text
    assert json.loads((tmp_path / "out/prod/create/change.json").read_text())["ca"]["serial"] not in text


def test_building_again_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, specification())
    change = build(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in [*change.iterdir(), change]}
    done = run(tmp_path, "build", "cluster.yaml")
    assert done.returncode == 0
    assert "there already, byte for byte" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in [*change.iterdir(), change]} == before
    assert [path.name for path in change.parent.iterdir()] == ["create"]


def test_what_was_issued_is_told_even_where_the_change_is_refused(tmp_path: Path) -> None:
    data = specification()
    write(tmp_path, data)
    build(tmp_path)
    data["hosts"][1]["extraSANs"] = ["10.0.0.17"]
    write(tmp_path, data)
    (tmp_path / "out/prod/2-configure").mkdir()
    done = run(tmp_path, "build", "cluster.yaml")
    assert done.returncode == 4
    for name in ("etcd-server", "etcd-peer"):
        assert f"issued infra1 {name}: new, SANs differ from the one issued" in done.stderr
    assert done.stderr.count("added 10.0.0.17") == 2
    assert "issued" not in run(tmp_path, "build", "cluster.yaml").stderr


def test_a_different_change_is_not_replaced_unasked(tmp_path: Path) -> None:
    write(tmp_path, specification())
    change = build(tmp_path)
    before = contents(change)
    done = run(tmp_path, "build", "cluster.yaml", "--seal")
    assert done.returncode == 4
    assert done.stderr == (
        "bundlegen: error: create would come out different from what was built before, for infra0, infra1, infra2 "
        "(built then with no options) (build it as it was built then; or give --replace, if no host has run it)\n"
    )
    assert contents(change) == before
    (change / "infra1.run").write_bytes(b"other")
    done = run(tmp_path, "build", "cluster.yaml")
    assert done.returncode == 4
    assert done.stderr == (
        "bundlegen: error: out/prod/create exists and would come out different: infra1.run differs "
        "(move it away to keep it, or give --replace)\n"
    )
    done = run(tmp_path, "build", "cluster.yaml", "--seal", "--replace")
    assert done.returncode == 0, done.stderr
    assert contents(change).keys() == before.keys()
    assert contents(change) != before
    assert [path.name for path in change.parent.iterdir()] == ["create"]


def test_json_is_alone_on_standard_output(tmp_path: Path) -> None:
    write(tmp_path, specification(hosts=2))
    for words in (("build", "cluster.yaml", "--json"), ("plan", "cluster.yaml", "--json"), ("schema",)):
        done = run(tmp_path, *words)
        assert done.returncode == 0, done.stderr
        assert isinstance(json.loads(done.stdout), dict)
        assert done.stdout.endswith("}\n")


def test_plan_names_what_build_makes_and_writes_nothing(tmp_path: Path) -> None:
    write(tmp_path, specification(manifest="rendered"))
    planned = json.loads(run(tmp_path, "plan", "cluster.yaml", "--json").stdout)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cluster.yaml"]
    change = build(tmp_path)
    for host in planned["hosts"]:
        found = read(change, host["name"])
        assert {(file["path"], file["mode"]) for file in host["files"]} == {
            (line.destination, f"{line.mode:04o}")
            for line in found.manifest
            if line.destination not in (layout.INSTALLER, layout.IMAGE_SCRIPT, layout.CONF, layout.SPECIFICATION)
        }
    assert json.loads(run(tmp_path, "plan", "cluster.yaml", "--json").stdout)["issue"] == []


def test_a_new_host_leaves_the_others_certificates(tmp_path: Path) -> None:
    write(tmp_path, specification(hosts=2))
    change = build(tmp_path)
    before = read(change).content(f"{layout.PKI_DIR}/etcd/server.key")
    assert run(tmp_path, "withdraw", "cluster.yaml").returncode == 0
    write(tmp_path, specification(hosts=3))
    done = run(tmp_path, "build", "cluster.yaml")
    assert done.returncode == 0, done.stderr
    assert "issued 4 certificates and their keys" in done.stderr
    change = change.with_name("2-create")
    assert read(change).content(f"{layout.PKI_DIR}/etcd/server.key") == before


def test_three_hundred_hosts_need_little_memory(tmp_path: Path) -> None:
    """Under 200 MiB. Measured as the largest resident size of the program, makeself included."""
    hosts = [{"name": f"h{number}", "address": f"10.1.{number // 200}.{number % 200 + 1}"} for number in range(300)]
    write(tmp_path, specification(hosts=0) | {"hosts": hosts})
    program = (
        "import resource, subprocess, sys\n"
        "code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode\n"
        "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *BUNDLEGEN, "build", "cluster.yaml"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    code, kilobytes = map(int, done.stdout.split())
    assert code == 0
    assert kilobytes < 200 * 1024
    assert len(list((tmp_path / "out/prod/create").glob("*.run"))) == 300
    assert bundle.read(tmp_path / "out/prod/create/h299.run").conf["HOST"] == "h299"
