"""The table of what a changed file costs on a host."""

from __future__ import annotations

import pytest

from bundlegen.bundle import effects, effects_table

CONF = {
    "MANIFEST_MODE": "kubeadm",
    "KUBELET_CONFIG": "/etc/kubelet.yaml",
    "KUBELET_DROPIN": "/etc/systemd/system/kubelet.service.d/20-etcd-service-manager.conf",
    "KUBEADM_CONFIG": "/etc/kubernetes/kubeadmcfg.yaml",
    "STATIC_POD_MANIFEST": "/etc/kubernetes/manifests/etcd.yaml",
}


@pytest.mark.parametrize(
    ("path", "mode", "effect"),
    [
        ("/etc/kubernetes/pki/etcd/ca.crt", "kubeadm", "etcd"),
        ("/etc/kubernetes/pki/etcd/ca.key", "kubeadm", "none"),
        ("/etc/kubernetes/pki/etcd/server.crt", "kubeadm", "none"),
        ("/etc/kubernetes/pki/etcd/server.key", "rendered", "none"),
        ("/etc/kubernetes/manifests/etcd.yaml", "rendered", "pod"),
        ("/etc/kubernetes/kubeadmcfg.yaml", "kubeadm", "pod"),
        ("/etc/kubernetes/kubeadmcfg.yaml", "rendered", "none"),
        ("/etc/kubelet.yaml", "rendered", "kubelet"),
        ("/etc/systemd/system/kubelet.service.d/20-etcd-service-manager.conf", "kubeadm", "kubelet"),
        ("/etc/systemd/system/kubelet.service.d/kubelet.conf", "kubeadm", "none"),
        ("/usr/local/sbin/bundlegen-health", "kubeadm", "none"),
    ],
)
def test_the_first_line_that_fits_decides(path: str, mode: str, effect: str) -> None:
    row = effects_table.of(path, CONF | {"MANIFEST_MODE": mode})
    assert row.effect == effect
    assert row.why


def test_what_restarts_in_all() -> None:
    assert effects.restarts(["none", "none"]) == ()
    assert effects.restarts(["pod", "none", "kubelet", "etcd"]) == ("kubelet", "etcd")
    assert effects.restarts(["pod"]) == ("etcd",)


def test_every_effect_is_in_the_table_and_in_words() -> None:
    assert {row.effect for row in effects_table.table()} == set(effects.WORDS)
    assert effects_table.table()[-1].path == "*"


def test_what_the_installer_holds_is_the_same_table() -> None:
    lines = effects_table.shell().split("readonly EFFECTS=(\n")[1].split("\n)\n")[0].splitlines()
    assert [line.strip(" '").split(" ")[:2] for line in lines] == [
        [row.path, row.effect] for row in effects_table.table()
    ]
    assert "  '@KUBEADM_CONFIG pod MANIFEST_MODE=kubeadm'" in lines
    assert all(f"[{effect}]='{words}'" in effects_table.shell() for effect, words in effects.WORDS.items())


@pytest.mark.parametrize("text", ["/x maybe - why\n", "/x none\n"])
def test_a_line_that_cannot_be_understood(text: str) -> None:
    with pytest.raises(ValueError, match=r"no effect|not enough values"):
        effects_table.parse(text)
