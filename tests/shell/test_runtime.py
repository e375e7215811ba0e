"""What is in force on the host counts: what containerd was started with, kubelet's files, openssl's policy."""

from __future__ import annotations

import json

import pytest

from tests.shell.payload import KUBELET_CONFIG, PKI, Payload
from tests.shell.sandbox import Sandbox

USUAL = "/etc/containerd/config.toml"
PLUGIN = '[plugins."io.containerd.grpc.v1.cri"'
NEW_PLUGIN = "[plugins.'io.containerd.cri.v1.runtime'"


def config(default: str, *runtimes: tuple[str, str], plugin: str = PLUGIN, quote: str = "") -> str:
    lines = ["version = 2", f"{plugin}]", f'  sandbox_image = "registry.k8s.io/pause:3.10"\n{plugin}.containerd]']
    lines += [f'  default_runtime_name = "{default}"'] if default else []
    for name, set_to in runtimes:
        lines += [f"{plugin}.containerd.runtimes.{quote}{name}{quote}.options]", f"  SystemdCgroup = {set_to}"]
    return "\n".join(lines) + "\n"


def driver(host: Sandbox) -> dict[str, str]:
    done = host.install(Payload(), "preflight", "--json")
    (found,) = [each for each in json.loads(done.stdout)["checks"] if each["name"] == "cgroup-driver"]
    return found


def kubelet_files(host: Sandbox, field: str) -> dict[str, str]:
    payload = Payload()
    payload.files[KUBELET_CONFIG] = ("0644", f"kind: KubeletConfiguration\n{field}\n".encode())
    done = host.install(payload, "preflight", "--json")
    (found,) = [each for each in json.loads(done.stdout)["checks"] if each["name"] == "kubelet-files"]
    return found


def listening(host: Sandbox, *arguments: str, name: str = "containerd") -> None:
    """A program of this name holds the runtime's socket, started with these arguments."""
    host.path("/run/containerd/containerd.sock").unlink()
    code = (
        f"import socket, time; open('/proc/self/comm', 'w').write('{name}'); s = socket.socket(socket.AF_UNIX); "
        "s.bind('/run/containerd/containerd.sock'); s.listen(); time.sleep(600)"
    )
    host.spawn(name, "-c", code, *arguments)
    host.until(lambda: host.path("/run/containerd/containerd.sock").exists())


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (config("nvidia", ("nvidia", "false"), ("runc", "true")), "failed"),
        (config("nvidia", ("nvidia", "true"), ("runc", "false")), "ok"),
        (config("nvidia", ("runc", "false"), ("nvidia", "true # set by hand")), "ok"),
        (config("nvidia-cdi", ("nvidia", "false"), ("nvidia-cdi", "true"), quote='"'), "ok"),
        (config("", ("nvidia", "false"), ("runc", "true")), "ok"),
        (config("runc", ("runc", "false"), ("nvidia", "true"), plugin=NEW_PLUGIN), "failed"),
        (config("nvidia", ("runc", "true"), plugin=NEW_PLUGIN), "failed"),
    ],
)
def test_the_default_runtime_is_judged(host: Sandbox, text: str, verdict: str) -> None:
    host.write(USUAL, text)
    assert driver(host)["verdict"] == verdict


def test_the_hint_names_the_runtime(host: Sandbox) -> None:
    host.write(USUAL, config("nvidia", ("nvidia", "false"), ("runc", "true")))
    assert (
        driver(host)["hint"]
        == f"In {USUAL}, SystemdCgroup of the runtime nvidia must be true; then restart containerd."
    )


@pytest.mark.parametrize("words", [["--config", "/opt/c.toml"], ["--config=/opt/c.toml", "--log-level=warn"]])
@pytest.mark.parametrize("good", [True, False])
def test_the_file_in_force_counts(host: Sandbox, words: list[str], good: bool) -> None:
    """As on Flatcar, where the usual file is another one's or not there."""
    host.write("/opt/c.toml", config("", ("runc", str(good).lower())))
    host.write(USUAL, config("", ("runc", str(not good).lower())))
    listening(host, *words)
    found = driver(host)
    assert found["verdict"] == ("ok" if good else "failed")
    assert good or "In /opt/c.toml, SystemdCgroup of the runtime runc must be true" in found["hint"]


def test_nobody_knows_what_is_in_force(host: Sandbox) -> None:
    """No containerd is seen on the socket, and the usual file is not there: its defaults would be a guess."""
    host.path(USUAL).unlink()
    assert driver(host)["verdict"] == "warning"


def test_another_program_on_the_socket_is_not_asked(host: Sandbox) -> None:
    host.write("/opt/c.toml", config("", ("runc", "false")))
    listening(host, "--config", "/opt/c.toml", name="systemd")
    assert driver(host)["verdict"] == "ok"


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("maxPods: 10", "/etc/resolv.conf (resolvConf, a link to nothing)"),
        ("resolvConf: /run/x/resolv.conf", "/run/x/resolv.conf (resolvConf)"),
        ("authentication:\n  x509:\n    clientCAFile: '/etc/ca.pem'", "/etc/ca.pem (clientCAFile)"),
        ("tlsPrivateKeyFile: /etc/k.pem", "/etc/k.pem (tlsPrivateKeyFile)"),
    ],
)
def test_files_that_kubelet_needs(host: Sandbox, field: str, said: str) -> None:
    host.path("/etc/resolv.conf").unlink()
    host.path("/etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    found = kubelet_files(host, field)
    assert found["verdict"] == "failed"
    assert said in found["text"]


@pytest.mark.parametrize("field", ['resolvConf: ""', f"authentication:\n  x509:\n    clientCAFile: {PKI}/etcd/ca.crt"])
def test_files_that_need_not_be_there_before(host: Sandbox, field: str) -> None:
    """None at all, and one that the bundle brings itself."""
    if "resolv" in field:
        host.path("/etc/resolv.conf").unlink()
    assert kubelet_files(host, field)["verdict"] == "ok"


@pytest.mark.parametrize(("level", "verdict"), [(2, "ok"), (3, "ok"), (4, "failed")])
def test_the_policy_of_openssl(host: Sandbox, level: int, verdict: str) -> None:
    """P-256 counts for 128 bits, which level 3 asks for; RHEL's FUTURE does so, and RSA-2048 counts for 112."""
    text = "openssl_conf = i\n[i]\nssl_conf = m\n[m]\nsystem_default = p\n[p]\nCipherString = DEFAULT@SECLEVEL="
    host.write("/etc/ssl/openssl.cnf", f"{text}{level}\n")
    done = host.install(Payload(), "preflight", "--json")
    (found,) = [each for each in json.loads(done.stdout)["checks"] if each["name"] == "openssl"]
    assert found["verdict"] == verdict
    if verdict == "failed":
        assert "does not take the bundle's certificates: ee key too small" in found["text"]
        assert "set pki.encryptionAlgorithm to RSA-3072 or ECDSA-P256" in found["hint"]
