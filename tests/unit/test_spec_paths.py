"""Which paths on the hosts a specification may name: a change of one line in it must not become root on every host."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bundlegen.bundle.render import Renderer
from bundlegen.spec.check import check, parse
from bundlegen.system import resources
from bundlegen.system.jinja import yaml_block


def problems(**fields: Any) -> list[str]:
    checked = check(
        {
            "name": "a",
            "kubernetesVersion": "v1.31.4",
            "hosts": [{"name": f"h{number}", "address": f"10.0.0.{number}"} for number in (1, 2, 3)],
            **fields,
        }
    )
    return [f"{found.field}: {found.message}" for found in checked.problems]


@pytest.mark.parametrize(
    "where",
    [
        "/etc/systemd/system/kubelet.service.d/kubelet.conf",
        "/etc/systemd/system/kubelet.service.d/kubelet.yaml",
        "/etc/kubernetes/kubelet-etcd.yaml",
        "/etc/kubernetes/etcd-kubelet.conf",
        "/etc/kubelet/config.json",
        "/var/lib/kubelet/config.yaml",
        "/var/lib/kubelet/etcd.yml",
    ],
)
def test_where_kubelets_configuration_may_be(where: str) -> None:
    assert problems(kubelet={"configFile": where}) == []


@pytest.mark.parametrize(
    "where",
    [
        *("/etc/ld.so.preload", "/etc/cron.d/kubelet", "/etc/sudoers.d/kubelet", "/root/.ssh/authorized_keys"),
        *("/etc/profile.d/kubelet.sh", "/etc/passwd", "/etc/shadow", "/usr/bin/bash", "/etc/fstab", "/bin/sh"),
        *("/etc/systemd/system/multi-user.target.wants/x.service", "/etc/udev/rules.d/x.rules", "/etc/hosts"),
        *("/lib/ld-linux.so.2", "/boot/grub/grub.cfg", "/etc/systemd/system/x.service", "/etc/pam.d/su.conf"),
        *("/etc/systemd/system/kubelet.service", "/etc/systemd/system/x.service.d/kubelet.conf", "/etc/kubelet.conf"),
        *("/etc/ssh/sshd_config.d/x.conf", "/etc/modprobe.d/x.conf", "/etc/containerd/config.yaml", "/x.conf"),
        *("/usr/lib/systemd/system/kubelet.service.d/x.conf", "/etc/tmpfiles.d/x.conf", "/etc/sysctl.d/x.conf"),
        *("/etc/systemd/system/kubelet.service.d/10-kubeadm.conf", "/etc/systemd/system/kubelet.service.d/00.conf"),
        *("/etc/kubernetes/admin.conf", "/etc/kubernetes/kubelet.conf", "/etc/kubernetes/super-admin.conf"),
        *("/etc/kubernetes/kubeadmcfg.yaml", "/etc/kubernetes/x/y.yaml", "/etc/kubernetes/tmp.sh"),
        *(
            "/var/lib/kubelet/pki/x.conf",
            "/var/lib/kubelet/kubeadm-flags.env",
            "/var/lib/kubelet/device-plugins/x.json",
        ),
        *("/home/user/kubelet.yaml", "/srv/kubelet.yaml", "/opt/kubelet.yaml", "/var/spool/cron/crontabs/root.conf"),
        *("/etc/kubernetes/.yaml/x", "/etc/kubernetes", "/etc/kubelet/config", "/etc/kubelet", "/var/lib/kubelet"),
    ],
)
def test_where_it_may_not(where: str) -> None:
    found = problems(kubelet={"configFile": where})
    assert len(found) == 1, found
    assert found[0].startswith(f"kubelet.configFile: {where} ")


@pytest.mark.parametrize(
    "binary", ["/usr/bin/kubelet", "/usr/local/sbin/kubelet", "/opt/bin/kubelet", "/var/lib/x/kubelet", "/bin/kubelet"]
)
def test_where_the_kubelet_may_be(binary: str) -> None:
    assert problems(kubelet={"binary": binary}) == []


@pytest.mark.parametrize(
    "binary",
    [
        *("/tmp/evil", "/home/user/kubelet", "/dev/shm/kubelet", "/var/tmp/kubelet", "/run/kubelet", "/mnt/kubelet"),
        *(
            "/etc/kubernetes/kubelet",
            "/root/kubelet",
            "/kubelet",
            "/var/log/kubelet",
            "/proc/self/exe",
            "/media/stick/k",
        ),
        *("/etc/kubernetes/pki/kubelet", "/var/lib/bundlegen/kubelet", "/srv/kubelet", "/usrlocal/kubelet"),
    ],
)
def test_where_the_kubelet_may_not_be(binary: str) -> None:
    found = problems(kubelet={"binary": binary})
    assert len(found) == 1, found
    assert found[0].startswith(f"kubelet.binary: {binary} ")


@pytest.mark.parametrize(
    "where",
    [
        *("/", "/etc", "/etc/cron.d", "/usr/lib", "/root", "/root/.ssh", "/var/spool/cron/crontabs", "/var/log/audit"),
        *("/boot/efi", "/var/cache/x", "/var/lib/systemd/x", "/var/lib/kubelet/pods", "/var/lib/dpkg/info", "/proc/1"),
        *("/var/lib/private/x", "/var/lib/bundlegen/x", "/etc/kubernetes/manifests/x", "/dev/shm/x", "/tmp/x"),
    ],
)
def test_where_data_may_not_be(where: str) -> None:
    assert [found for found in problems(etcd={"dataDir": where}) if found.startswith("etcd.dataDir: ")]


@pytest.mark.parametrize(
    "where", ["/data", "/srv/etcd", "/mnt/disk1/etcd", "/var/etcd/data", "/var/lib/etcd", "/opt/etcd"]
)
def test_where_data_may_be(where: str) -> None:
    assert problems(etcd={"dataDir": where}) == []


WORDS = st.sampled_from(
    ["[Service]", "ExecStartPre=/bin/touch /x", "x" * 90, "\n", "\n\n", "\t", " ", "'", '"', "\\", "#", "é"]
)


@given(st.lists(WORDS, max_size=12).map("".join), st.lists(WORDS, min_size=1, max_size=6).map(" ".join))
def test_no_text_of_the_kubelets_configuration_is_a_line_of_its_own(text: str, other: str) -> None:
    """Where it is by default, systemd reads it too, and would run what stands below ``[Service]``."""
    tree = {"a": text, "b": [other, {"c": text}], other.replace("\n", " "): {"d": [text]}}
    lines = yaml_block(tree).splitlines()
    assert len(lines) == 7
    assert not [line for line in lines if line.strip().startswith("[")]
    assert yaml.safe_load(yaml_block(tree)) == tree


def test_a_unit_in_extra_config_stays_text() -> None:
    evil = "a\n[Service]\nExecStartPre=/bin/touch /evil\n"
    asked = {"name": "a", "kubernetesVersion": "v1.31.4", "hosts": [{"name": "h", "address": "10.0.0.6"}]}
    cluster = parse(asked | {"kubelet": {"extraConfig": {"clusterDomain": evil}}})
    rendered = Renderer(cluster, "token", resources.template_text).kubelet_config()
    assert 'clusterDomain: "a\\n[Service]\\nExecStartPre=/bin/touch /evil\\n"\n' in rendered
