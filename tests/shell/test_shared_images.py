"""Images that are carried beside the bundle: where the file is looked for, and what is said where it is not right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shell.payload import Payload
from tests.shell.sandbox import BUNDLE, Sandbox

ETCD = "registry.k8s.io/etcd:3.5.15-0"
PAUSE = "registry.k8s.io/pause:3.10"
NAME = "images.tar.gz"
BESIDE = str(Path(BUNDLE).with_name(NAME))


@pytest.fixture
def payload() -> Payload:
    made = Payload()
    made.conf["IMAGES_FILE"] = NAME
    made.add_image("images/etcd.tar", ETCD)
    made.add_image("images/pause.tar", PAUSE)
    return made


@pytest.fixture
def bare(host: Sandbox, payload: Payload) -> str:
    """The unpacked payload, on a host whose runtime holds nothing."""
    host.stub("images", "")
    return host.unpack(payload)


def imported(host: Sandbox) -> list[str]:
    return host.stubbed("imported").splitlines()


def test_the_file_beside_the_bundle_is_used(host: Sandbox, bare: str) -> None:
    done = host.run(bare)
    assert done.returncode == 0, done.stderr
    assert imported(host) == [ETCD, PAUSE]


@pytest.mark.parametrize("place", [f"/root/{NAME}", f"/usr/local/lib/bundlegen/{NAME}", "/var/tmp/other name"])
def test_it_may_be_elsewhere(host: Sandbox, bare: str, place: str) -> None:
    if place.startswith("/usr"):
        host.execute("/usr/bin/mount", "-t", "tmpfs", "tmpfs", "/usr/local/lib")
    host.path(place).parent.mkdir(parents=True, exist_ok=True)
    host.path(place).write_bytes(host.path(BESIDE).read_bytes())
    host.path(BESIDE).unlink()
    words = ["--images", "tmp/other name"] if "other" in place else []
    done = host.run(bare, *words, env={"USER_PWD": "/var" if words else "/root"})
    assert done.returncode == 0, done.stderr
    assert imported(host) == [ETCD, PAUSE]


def test_the_first_that_is_right_is_taken(host: Sandbox, bare: str) -> None:
    host.path(f"/root/{NAME}").write_bytes(host.path(BESIDE).read_bytes())
    host.path(BESIDE).write_bytes(b"of another change")
    done = host.run(bare, "preflight", env={"USER_PWD": "/root"})
    assert f"/root/{NAME} holds the images of this bundle" in done.stdout
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("verb", ["install", "preflight"])
def test_where_it_is_missing_that_is_said_and_nothing_is_changed(host: Sandbox, bare: str, verb: str) -> None:
    host.path(BESIDE).unlink()
    before = host.tree(times=True)
    done = host.run(bare, verb, env={"USER_PWD": "/root"})
    assert done.returncode == 11
    said = done.stdout + done.stderr
    assert f"{NAME} is missing, which holds the images of this bundle" in said
    assert f"looked for: {BESIDE} /root/{NAME} /usr/local/lib/bundlegen/{NAME}" in said
    assert host.tree(times=True) == before


@pytest.mark.parametrize("how", ["altered", "cut", "empty", "folder"])
def test_a_file_with_other_bytes_is_named_and_not_used(host: Sandbox, bare: str, how: str) -> None:
    file = host.path(BESIDE)
    content = file.read_bytes()
    if how == "folder":
        file.unlink()
        file.mkdir()
    else:
        spoilt = {"altered": content[:100] + b"x" + content[101:], "cut": content[:-1], "empty": b""}
        file.write_bytes(spoilt[how])
    before = host.tree(times=True)
    done = host.run(bare)
    assert done.returncode == 11
    assert f"{BESIDE} does not hold the images of this bundle" in done.stderr
    assert host.tree(times=True) == before
    assert imported(host) == []


def test_it_is_not_missed_where_the_runtime_holds_the_images(host: Sandbox, payload: Payload) -> None:
    folder = host.unpack(payload)
    host.path(BESIDE).unlink()
    done = host.run(folder)
    assert done.returncode == 0, done.stderr
    assert imported(host) == []
    assert "images/etcd.tar is in the runtime already" in done.stdout


def test_ignoring_that_it_is_missing_ends_in_the_import_and_all_is_as_before(host: Sandbox, bare: str) -> None:
    host.path(BESIDE).unlink()
    done = host.run(bare, "--ignore", "image-file")
    assert done.returncode == 13
    assert f"images/etcd.tar cannot be read as it was made, from {NAME}" in done.stderr
    assert not host.path("/etc/kubernetes/pki").exists()


def test_a_file_that_is_named_must_be_the_right_one(host: Sandbox, bare: str) -> None:
    done = host.run(bare, "--images", "/etc/passwd")
    assert done.returncode == 11
    assert "/etc/passwd does not hold the images of this bundle" in done.stderr
    done = host.run(bare, "--images", "/nowhere")
    assert done.returncode == 2
    assert '--images needs a file that can be read, not "/nowhere"' in done.stderr


def test_a_bundle_with_its_images_on_board_wants_no_file(host: Sandbox, payload: Payload) -> None:
    payload.conf["IMAGES_FILE"] = ""
    done = host.install(payload, "--images", "/etc/passwd")
    assert done.returncode == 2
    assert "this bundle brings all the images it has itself" in done.stderr


def test_a_second_run_needs_no_file(host: Sandbox, bare: str) -> None:
    assert host.run(bare).returncode == 0
    host.path(BESIDE).unlink()
    host.stub("images", "")
    done = host.run(bare)
    assert (done.returncode, "Already installed" in done.stdout) == (0, True), done.stderr
