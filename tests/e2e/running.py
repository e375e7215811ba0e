"""A cluster of three that has run since its first day: what is done to it later, and what is seen of it meanwhile."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from tests.e2e.clusters import STICK, Cluster, run_bundle
from tests.e2e.rig.host import Host
from tests.e2e.rig.session import Session
from tests.e2e.rig.tree import Tree
from tests.e2e.rig.writer import CREDENTIALS, Writer, keys_of

HEALTH = "/usr/local/sbin/bundlegen-health"
READY = "--control-planes-ready"
_CLIENT = "apiserver-etcd-client"


@dataclass(frozen=True)
class Running:
    """A cluster of three that has run since its first day."""

    cluster: Cluster
    hosts: dict[str, Host]
    session: Session
    credentials: Path

    def change(self, **extra_args: str) -> Cluster:
        """The next change: etcd with these flags."""
        return self.cluster.change(etcd={"extraArgs": extra_args})

    def run(self, change: Cluster, name: str, *words: str, expect: int | None = 0) -> CompletedProcess[str]:
        return run_bundle(self.hosts[name], change.bundle(name), *words, expect=expect)

    def pids(self) -> dict[str, str]:
        """Of etcd and kubelet, by host."""
        words = ["pgrep", "--exact", "etcd|kubelet"]
        return {name: host.exec(words).stdout for name, host in self.hosts.items()}

    def writing(self) -> Writer:
        return Writer(self.session, self.cluster.endpoints.split(","), self.credentials)

    def give(self, change: Cluster) -> None:
        """The control planes get what the first round of another CA has for them, each file in one step."""
        folder = change.out / "control-plane"
        for name, target in zip(("ca.crt", f"{_CLIENT}.crt", f"{_CLIENT}.key"), CREDENTIALS, strict=True):
            shutil.copyfile(folder / name, self.credentials / f"{target}.new")
        for target in reversed(CREDENTIALS):
            (self.credentials / f"{target}.new").rename(self.credentials / target)

    def led_last(self) -> list[str]:
        """The hosts by name, the one whose member leads at the end."""
        leader = self.leader()
        return [*(name for name in self.hosts if name != leader), leader]

    def flags(self, name: str) -> list[str]:
        host = self.hosts[name]
        (etcd,) = host.exec(["pgrep", "--exact", "etcd"]).stdout.split()
        return host.exec(["cat", f"/proc/{etcd}/cmdline"]).stdout.split("\0")

    def leader(self) -> str:
        """The host whose member leads, by the metric that only its own member has as 1."""
        words = [
            "bash",
            "-c",
            "exec 3<>/dev/tcp/127.0.0.1/2381; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3",
        ]
        found = [name for name, host in self.hosts.items() if "\netcd_server_is_leader 1\n" in host.exec(words).stdout]
        assert len(found) == 1
        return found[0]

    def snapshot(self, name: str, *, times: bool) -> Tree:
        """What a change is accountable for: not etcd's data, what is known of the member, receipts and the stick."""
        state = f"/var/lib/bundlegen/{self.cluster.name}"
        without = [STICK, "/var/lib/etcd", f"{state}/receipts", f"{state}/member"]
        return self.hosts[name].snapshot(without=without, times=times)


def start(cluster: Cluster, boot: Callable[..., list[Host]], session: Session, client: Path) -> Running:
    """Its first day; ``client``: a folder for a control plane's credentials."""
    hosts = {host.name: host for host in boot(cluster)}
    for name, host in hosts.items():
        run_bundle(host, cluster.bundle(name))
    for host in hosts.values():
        host.exec([HEALTH, "--cluster", "--wait", "60"])
    return Running(cluster, hosts, session, keys_of(hosts["infra0"], client))
