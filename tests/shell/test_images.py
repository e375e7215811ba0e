"""Images on board: what is imported, what is left alone, and what happens when the runtime does not want them."""

from __future__ import annotations

import socket

import pytest

from tests.shell.payload import Payload
from tests.shell.sandbox import Sandbox

ETCD = "registry.k8s.io/etcd:3.5.15-0"
PAUSE = "registry.k8s.io/pause:3.10"


@pytest.fixture
def payload() -> Payload:
    made = Payload()
    made.add_image("images/etcd.tar", ETCD)
    made.add_image("images/pause.tar", PAUSE)
    return made


def held(host: Sandbox) -> list[str]:
    return sorted(line.strip() for line in host.stubbed("images").splitlines())


def imports(host: Sandbox) -> list[str]:
    return [call.rpartition("/")[2] for call in host.stubbed("ctr-calls").splitlines() if " import " in call]


def test_an_empty_store_gets_all_of_them_before_kubelet_starts(host: Sandbox, payload: Payload) -> None:
    host.stub("images", "")
    done = host.install(payload)
    assert done.returncode == 0, done.stderr
    assert imports(host) == ["etcd.tar", "pause.tar"]
    assert held(host) == [ETCD, PAUSE]
    assert done.stdout.index("imported images/pause.tar") < done.stdout.index("Waiting for etcd")


def test_what_is_there_is_not_imported_again(host: Sandbox, payload: Payload) -> None:
    host.stub("images", f"{ETCD}\n")
    done = host.install(payload)
    assert done.returncode == 0, done.stderr
    assert imports(host) == ["pause.tar"]
    assert "images/etcd.tar is in the runtime already" in done.stdout


def test_another_image_under_the_same_name_is_replaced(host: Sandbox, payload: Payload) -> None:
    host.stub("images", f"{ETCD} other\n{PAUSE}\n")
    assert host.install(payload).returncode == 0
    assert imports(host) == ["etcd.tar"]
    assert held(host) == [ETCD, PAUSE]


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
    before = {path: facts for path, facts in host.tree().items() if not path.startswith("var/lib/bundlegen")}
    done = host.install(payload)
    assert done.returncode == 13
    assert f"the runtime did not accept images/etcd.tar: {said}" in done.stderr
    assert advice in done.stderr
    after = {path: facts for path, facts in host.tree().items() if not path.startswith("var/lib/bundlegen")}
    assert after == before
    assert held(host) == [PAUSE]


def test_a_runtime_that_took_something_else_is_not_believed(host: Sandbox, payload: Payload) -> None:
    host.stub("images", "")
    host.stub("import-salt", "other")
    done = host.install(payload)
    assert done.returncode == 13
    assert f"does not hold {ETCD} as it is in there" in done.stderr
    assert held(host) == []


def test_undoing_removes_only_what_came_with_the_bundle(host: Sandbox, payload: Payload) -> None:
    host.stub("images", f"{PAUSE}\n")
    folder = host.unpack(payload)
    assert host.run(folder).returncode == 0
    assert held(host) == [ETCD, PAUSE]
    assert host.run(folder, "uninstall").returncode == 0
    assert held(host) == [PAUSE]


def test_cri_o_gets_them_through_podman_and_undoing_removes_them_there(host: Sandbox, payload: Payload) -> None:
    host.path("/run/crio").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(host.path("/run/crio/crio.sock")))
    payload.conf["RUNTIME_ENDPOINT"] = "unix:///run/crio/crio.sock"
    host.stub("images", f"{PAUSE}\n")
    folder = host.unpack(payload)
    done = host.run(folder)
    assert done.returncode == 0, done.stderr
    assert [call.rpartition("/")[2] for call in host.stubbed("podman-calls").splitlines() if "load" in call] == [
        "etcd.tar"
    ]
    assert held(host) == [ETCD, PAUSE]
    assert imports(host) == []
    assert host.run(folder, "uninstall").returncode == 0
    assert held(host) == [PAUSE]
