"""What the installer refuses, having touched nothing: wrong hosts, damaged bundles, wrong usage, a busy host."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.shell.payload import STATE, Payload
from tests.shell.sandbox import Sandbox

THREE = {"infra0": "10.0.0.6", "infra1": "10.0.0.7", "infra2": "10.0.0.8"}


def test_every_bundle_on_every_host(tmp_path: Path) -> None:
    done = {}
    for name, address in THREE.items():
        with Sandbox(tmp_path / name, name, address) as host:
            host.stub("etcd-mode", "waiting")
            for bundle in sorted(THREE, key=lambda one: one == name):
                before = host.tree(times=True)
                result = host.install(Payload(host=bundle, members=THREE))
                done[bundle, name] = result.returncode
                if bundle != name:
                    assert host.tree(times=True) == before
                    assert f"this is not {bundle}: no interface here has its address" in result.stderr
    wrong = [code for (bundle, name), code in done.items() if bundle != name]
    print(f"{len(done)} pairs of bundle and host, {len(wrong)} refused")
    assert wrong == [10] * 6
    assert [done[name, name] for name in THREE] == [0, 0, 0]


def test_a_pinned_machine_id(host: Sandbox) -> None:
    payload = Payload(conf={"MACHINE_ID": "f" * 32})
    before = host.tree(times=True)
    done = host.install(payload)
    assert done.returncode == 10
    assert "its machine-id is 0123456789abcdef0123456789abcdef" in done.stderr
    assert host.tree(times=True) == before
    payload.conf["MACHINE_ID"] = "0123456789abcdef0123456789abcdef"
    assert host.install(payload).returncode == 0


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: (f / "files/etc/kubernetes/pki/etcd/ca.crt").write_text("x"), "ca.crt was altered"),
        (lambda f: (f / "files/etc/kubernetes/pki/etcd/ca.crt").unlink(), "ca.crt is missing"),
        (lambda f: (f / "files/etc/passwd").write_text("x"), "/etc/passwd is not in MANIFEST"),
        (lambda f: (f / ".hidden").write_text("x"), ".hidden is not in MANIFEST"),
        (lambda f: (f / "bundle.conf").unlink(), "bundle.conf is missing"),
        (lambda f: (f / "MANIFEST").unlink(), "MANIFEST is missing"),
        (lambda f: append(f / "bundle.conf", "X='$(touch /etc/pwned)'; rm -rf /\n"), "is not KEY='value'"),
        (lambda f: append(f / "bundle.conf", "X=$(touch /etc/pwned)\n"), "is not KEY='value'"),
        (lambda f: append(f / "bundle.conf", "HOST='twice'\n"), "names HOST twice"),
        (lambda f: append(f / "bundle.conf", "Z='1'\n"), "bundle.conf was altered"),
        (lambda f: append(f / "MANIFEST", "0600 root:root x /etc/x\n"), "cannot be understood"),
        (lambda f: append(f / "MANIFEST", f"0600 root:root {'0' * 64} /etc/../x\n"), "not a plain path"),
        (lambda f: append(f / "MANIFEST", f"0600 root:root {'0' * 64} /etc/x\n"), "/etc/x is missing"),
    ],
    ids=range(13),
)
def test_a_damaged_bundle(host: Sandbox, spoil, says: str) -> None:
    folder = host.unpack(Payload())
    spoil(host.path(folder))
    before = host.tree(times=True)
    done = host.run(folder)
    assert done.returncode == 12, done.stderr
    assert says in done.stderr
    assert "Nothing was changed" in done.stderr
    assert host.tree(times=True) == before


def test_an_operation_that_this_installer_does_not_know(host: Sandbox) -> None:
    before = host.tree(times=True)
    done = host.install(Payload(conf={"OPERATION": "undo"}))
    assert done.returncode == 12
    assert 'this installer knows no operation "undo"' in done.stderr
    assert host.tree(times=True) == before
    assert host.install(Payload(conf={"OPERATION": "create"})).returncode == 0


@pytest.mark.parametrize("verb", ["bake", "hygiene", "firstboot"])
def test_a_bundle_that_no_image_is_made_with(host: Sandbox, verb: str) -> None:
    payload = Payload()
    payload.with_image_script = False
    before = host.tree(times=True)
    done = host.install(payload, verb)
    assert done.returncode == 2
    assert (
        f"{verb} needs image.sh, which this bundle does not have: use a bundle that creates a member, or base.run"
        in done.stderr
    )
    assert host.tree(times=True) == before
    assert host.install(payload).returncode == 0


def test_what_images_need_is_not_read_unless_it_is_as_manifest_says(host: Sandbox) -> None:
    folder = host.unpack(Payload())
    append(host.path(f"{folder}/image.sh"), "touch /etc/read\n")
    done = host.run(folder, "hygiene")
    assert done.returncode == 12
    assert "image.sh was altered" in done.stderr
    assert not host.path("/etc/read").exists()


def append(file: Path, text: str) -> None:
    with file.open("a") as stream:
        stream.write(text)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("FORMAT", "2"),
        ("DATA_DIR", "/"),
        ("DATA_DIR", "/var/lib/../.."),
        ("CLIENT_PORT", "2379;id"),
        ("MEMBERS", "x=1"),
        ("SEALED", "yes"),
    ],
)
def test_a_bundle_that_cannot_be(host: Sandbox, key: str, value: str) -> None:
    before = host.tree(times=True)
    done = host.install(Payload(conf={key: value}))
    assert done.returncode == 12, done.stderr
    assert host.tree(times=True) == before


def test_the_other_run_ends_meanwhile(host: Sandbox) -> None:
    """It takes the file along, while this run has opened it and is about to lock it."""
    once = "[ -e /var/stub/locked ] || { : > /var/stub/locked; rm -rf /run/bundlegen; }"
    host.write("/usr/local/sbin/flock", f'#!/bin/sh\n{once}\nexec /usr/bin/flock "$@"\n').chmod(0o755)
    done = host.run(host.unpack(Payload()), "install")
    assert done.returncode == 0, done.stderr
    assert "No such file" not in done.stderr
    assert host.stubbed("locked") == ""
    assert host.path("/var/stub/locked").exists()
    assert not host.path("/run/bundlegen").exists()


def test_only_one_run_at_a_time(host: Sandbox) -> None:
    host.stub("etcd-mode", "waiting")
    folder = host.unpack(Payload())
    first = subprocess.Popen(
        host.command(["/bin/bash", "-p", f"{folder}/install.sh", "--wait", "100"]),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    host.until(lambda: host.path("/run/bundlegen/lock").exists() and host.path("/run/bundlegen/lock").read_text() != "")
    for verb in ("install", "rollback", "uninstall"):
        done = host.run(folder, verb)
        assert done.returncode == 15
        assert "another run of this installer is busy on this host (process" in done.stderr
    host.stub("etcd-mode", "healthy")
    assert first.wait() == 0
    assert not host.path("/run/bundlegen").exists()


def test_a_dead_runs_lock_is_no_obstacle(host: Sandbox) -> None:
    # process 1 lives, and holds no lock
    host.write("/run/bundlegen/lock", "1\n")
    assert host.install(Payload()).returncode == 0
    assert not host.path("/run/bundlegen").exists()


@pytest.mark.parametrize("program", ["flock", "ip"])
def test_a_host_without_what_comes_first(host: Sandbox, program: str) -> None:
    place = host.execute("/bin/bash", "-c", f"command -v {program}").stdout.strip()
    host.execute("/bin/mount", "--bind", "/dev/null", place)
    before = host.tree(times=True)
    done = host.install(Payload())
    assert done.returncode == 11
    assert f"{program} is not installed" in done.stderr
    assert host.tree(times=True) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["install", "health"],
        ["--wait"],
        ["--wait", "x"],
        ["--root", "etc"],
        ["--cluster"],
        ["install", "--json"],
        ["--ignore"],
        ["--metrics", "/srv/etcd.prom"],
        ["health", "--metrics", "etcd.prom"],
        ["health", "--metrics", "/srv/../etcd.prom"],
    ],
    ids=" ".join,
)
def test_wrong_usage(host: Sandbox, arguments: list[str]) -> None:
    before = host.tree(times=True)
    done = host.install(Payload(), *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert host.tree(times=True) == before


def test_help(host: Sandbox) -> None:
    done = host.install(Payload(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    for verb in ("install", "preflight", "plan", "health", "rollback", "uninstall"):
        assert f"\n  {verb} " in done.stdout


def test_the_installed_copy_installs_nothing(host: Sandbox) -> None:
    assert host.install(Payload()).returncode == 0
    done = host.run(f"{STATE}/bundle", "install")
    assert done.returncode == 2
    assert "run the bundle itself" in done.stderr
    assert host.run(f"{STATE}/bundle", "rollback").returncode == 0
    assert not host.path(f"{STATE}/bundle").exists()
