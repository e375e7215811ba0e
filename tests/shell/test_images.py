"""Images on board: what is imported, what is left alone, and what happens when the runtime does not want them."""

from __future__ import annotations

import re
import socket

import pytest

from tests.shell.payload import Payload, image_id
from tests.shell.sandbox import BUNDLE, Sandbox

ETCD = "registry.k8s.io/etcd:3.5.15-0"
PAUSE = "registry.k8s.io/pause:3.10"


@pytest.fixture
def payload() -> Payload:
    made = Payload()
    made.add_image("images/etcd.tar", ETCD)
    made.add_image("images/pause.tar", PAUSE)
    return made


def held(host: Sandbox) -> list[str]:
    """Everything that has a name in the runtime, the IDs apart that containerd's CRI adds."""
    return [line for line in every_name(host) if not line.startswith("sha256:")]


def every_name(host: Sandbox) -> list[str]:
    return sorted(line.strip() for line in host.stubbed("images").splitlines())


def imports(host: Sandbox) -> list[str]:
    return host.stubbed("imported").splitlines()


def test_an_empty_store_gets_all_of_them_before_kubelet_starts(host: Sandbox, payload: Payload) -> None:
    host.stub("images", "")
    done = host.install(payload)
    assert done.returncode == 0, done.stderr
    assert imports(host) == [ETCD, PAUSE]
    assert held(host) == [ETCD, PAUSE]
    assert done.stdout.index("imported images/pause.tar") < done.stdout.index("Waiting for etcd")


def test_what_is_there_is_not_imported_again(host: Sandbox, payload: Payload) -> None:
    host.stub("images", f"{ETCD}\n")
    done = host.install(payload)
    assert done.returncode == 0, done.stderr
    assert imports(host) == [PAUSE]
    assert "images/etcd.tar is in the runtime already" in done.stdout


def test_another_image_under_the_same_name_is_replaced(host: Sandbox, payload: Payload) -> None:
    host.stub("images", f"{ETCD} other\n{PAUSE}\n")
    assert host.install(payload).returncode == 0
    assert imports(host) == [ETCD]
    assert [name for name in held(host) if not name.startswith("bundlegen.local/kept:")] == [ETCD, PAUSE]


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("ctr: write /var/lib/containerd/x: no space left on device: unknown", "Make room in the file system"),
        ("ctr: unrecognized image format", "journalctl -u containerd"),
    ],
)
def test_a_runtime_that_refuses_ends_it_and_all_is_as_before(
    host: Sandbox, payload: Payload, said: str, advice: str
) -> None:
    host.stub("images", f"{PAUSE}\n")
    host.stub("refuse-import", f"{said}\n")
    host.stub("refuse-only", f"{ETCD}\n")
    before = {path: facts for path, facts in host.tree().items() if not path.startswith("var/lib/bundlegen")}
    done = host.install(payload)
    assert done.returncode == 13
    assert f"the runtime did not accept images/etcd.tar: {said}" in done.stderr
    assert advice in done.stderr
    after = {path: facts for path, facts in host.tree().items() if not path.startswith("var/lib/bundlegen")}
    assert after == before
    assert every_name(host) == [PAUSE]


def test_a_runtime_that_took_something_else_is_not_believed(host: Sandbox, payload: Payload) -> None:
    host.stub("images", "")
    host.stub("import-salt", "other")
    done = host.install(payload)
    assert done.returncode == 13
    assert f"does not hold {ETCD} as it is in there" in done.stderr
    assert held(host) == []


def test_a_name_goes_back_to_the_image_that_had_it(host: Sandbox, payload: Payload) -> None:
    host.stub("images", f"{ETCD} other\n")
    host.stub("refuse-import", "no more of it\n")
    host.stub("refuse-only", f"{PAUSE}\n")
    done = host.install(payload)
    assert done.returncode == 13
    assert imports(host) == [ETCD]
    assert every_name(host) == [f"{ETCD} other"]
    assert "could not be given back" not in done.stderr


def test_a_name_goes_back_when_a_finished_install_is_undone(host: Sandbox, payload: Payload) -> None:
    host.stub("images", f"{ETCD} other\n{PAUSE}\n")
    folder = host.unpack(payload)
    assert host.run(folder).returncode == 0
    assert [name for name in held(host) if not name.startswith("bundlegen.local/kept:")] == [ETCD, PAUSE]
    assert len(held(host)) == 3
    assert host.run(folder, "rollback").returncode == 0
    assert every_name(host) == [f"{ETCD} other", PAUSE]


def test_a_name_that_cannot_be_given_back_is_said(host: Sandbox, payload: Payload) -> None:
    host.stub("images", f"{ETCD} other\n{PAUSE}\n")
    folder = host.unpack(payload)
    assert host.run(folder).returncode == 0
    host.stub("images", "\n".join(line for line in every_name(host) if "kept:" not in line) + "\n")
    done = host.run(folder, "rollback")
    assert done.returncode == 0, done.stderr
    assert f"the image name {ETCD} could not be given back to sha256:" in done.stderr


def test_undoing_removes_only_what_came_with_the_bundle(host: Sandbox, payload: Payload) -> None:
    host.stub("images", f"{PAUSE}\n")
    folder = host.unpack(payload)
    assert host.run(folder).returncode == 0
    assert held(host) == [ETCD, PAUSE]
    assert host.run(folder, "uninstall").returncode == 0
    assert every_name(host) == [PAUSE]


@pytest.fixture
def cri_o(host: Sandbox, payload: Payload) -> None:
    """The host's runtime is CRI-O, and the payload is for that."""
    host.path("/run/crio").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(host.path("/run/crio/crio.sock")))
    payload.conf["RUNTIME_ENDPOINT"] = "unix:///run/crio/crio.sock"


@pytest.mark.usefixtures("cri_o")
def test_a_name_goes_back_in_cri_o_too(host: Sandbox, payload: Payload) -> None:
    host.stub("images", f"{ETCD} other\n{PAUSE}\n")
    folder = host.unpack(payload)
    assert host.run(folder).returncode == 0
    assert held(host) == [ETCD, PAUSE, f"untagged other {ETCD}"]
    host.stub("podman-calls", "")
    done = host.run(folder, "rollback")
    assert done.returncode == 0
    assert "could not be given back" not in done.stderr
    assert held(host) == [f"{ETCD} other", PAUSE]
    assert f"image rm {image_id(ETCD)}" in host.stubbed("podman-calls")


@pytest.mark.usefixtures("cri_o")
def test_cri_o_gets_them_through_podman_and_undoing_removes_them_there(host: Sandbox, payload: Payload) -> None:
    host.stub("images", f"{PAUSE}\n")
    folder = host.unpack(payload)
    done = host.run(folder)
    assert done.returncode == 0, done.stderr
    assert imports(host) == [ETCD]
    assert held(host) == [ETCD, PAUSE]
    assert not any(" import " in call for call in host.stubbed("ctr-calls").splitlines())
    assert host.run(folder, "uninstall").returncode == 0
    assert held(host) == [PAUSE]


def test_a_payload_that_was_unpacked_whole_needs_no_bundle(host: Sandbox, payload: Payload) -> None:
    host.stub("images", "")
    folder = host.unpack(payload)
    payload.write(host.path("/root/unpacked"), whole=True)
    host.told = {}
    done = host.run("/root/unpacked")
    assert done.returncode == 0, done.stderr
    assert imports(host) == [ETCD, PAUSE]
    assert not host.path(f"{folder}/images/etcd.tar").exists()


def test_an_archive_that_was_altered_after_unpacking_is_refused(host: Sandbox, payload: Payload) -> None:
    payload.write(host.path("/root/unpacked"), whole=True)
    host.write("/root/unpacked/images/pause.tar", "something else")
    done = host.run("/root/unpacked")
    assert done.returncode == 12
    assert "images/pause.tar was altered" in done.stderr


@pytest.mark.parametrize("verb", ["install", "preflight"])
@pytest.mark.parametrize("how", ["altered", "cut", "gone", "moved", "elsewhere", "nonsense"])
def test_a_damaged_image_ends_it_before_anything_is_changed(
    host: Sandbox, payload: Payload, verb: str, how: str
) -> None:
    folder = host.unpack(payload)
    before = host.tree(times=True)
    file = host.path(BUNDLE)
    content = file.read_bytes()
    if how == "altered":
        file.write_bytes(content[:-20] + bytes([content[-20] ^ 1]) + content[-19:])
    elif how == "cut":
        file.write_bytes(content[:-1])
    elif how == "gone":
        file.unlink()
    elif how == "moved":
        host.told = {}
    elif how == "elsewhere":
        host.told["BUNDLEGEN_IMAGES_AT"] = "5"
    else:
        host.told["BUNDLEGEN_IMAGES_AT"] = "a[$(touch /root/run)]"
    done = host.run(folder, verb)
    assert done.returncode == 12, done.stdout + done.stderr
    assert "this bundle is damaged:" in done.stderr
    assert "images/pause.tar is missing, cannot be read, or was altered" in done.stderr
    assert host.tree(times=True) == before
    assert not host.path("/root/run").exists()


@pytest.mark.parametrize("verb", ["health", "plan"])
def test_what_needs_no_images_does_not_ask_for_them(host: Sandbox, payload: Payload, verb: str) -> None:
    folder = host.unpack(payload)
    host.path(BUNDLE).unlink()
    assert "damaged" not in host.run(folder, verb).stderr


def test_a_medium_that_fails_during_the_import_is_named_and_all_is_as_before(host: Sandbox, payload: Payload) -> None:
    host.stub("images", "")
    folder = host.unpack(payload)
    before = {path: facts for path, facts in host.tree().items() if not path.startswith("var/lib/bundlegen")}
    # where the first import begins, the second archive becomes unreadable
    host.stub("on-import", f"truncate -s 100 {BUNDLE}\n")
    done = host.run(folder)
    assert done.returncode == 13
    assert f"images/pause.tar cannot be read as it was made, from {BUNDLE}" in done.stderr
    after = {path: facts for path, facts in host.tree().items() if not path.startswith("var/lib/bundlegen")}
    assert after == before
    assert held(host) == []


def test_the_room_for_images_is_that_of_what_they_unpack_to(host: Sandbox, payload: Payload) -> None:
    payload.add_image("images/zeros.tar", "registry.k8s.io/zeros:1", padding=300 << 20)
    done = host.install(payload, "preflight")
    assert done.returncode == 11
    assert re.search(r"too little disk space for .*/var/lib/containerd \(\d+ MiB free, 90\d MiB needed\)", done.stdout)
