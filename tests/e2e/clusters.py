"""A cluster under test: its specification, its bundles, and what is done with them on hosts."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import yaml

from tests.building import BUNDLEGEN
from tests.e2e.rig import images, machine
from tests.e2e.rig.commands import run
from tests.e2e.rig.host import Host
from tests.e2e.rig.session import Session

GUIDE_ADDRESSES = ("10.0.0.6", "10.0.0.7", "10.0.0.8")
STICK = "/root/stick"


@dataclass(frozen=True)
class Member:
    """One host of the specification."""

    name: str
    address: str


@dataclass(frozen=True)
class Cluster:
    """A built cluster."""

    name: str
    folder: Path
    hosts: tuple[Member, ...]
    client_port: int
    change_name: str = "create"

    @classmethod
    def make(
        cls, folder: Path, name: str, version: str, addresses: Sequence[str] = GUIDE_ADDRESSES, **spec: Any
    ) -> Self:
        """Write cluster.yaml into folder and build it there.

        spec: more of the specification's fields; build_options: words for the command line; and built_by: another
        version's program instead of this one, given words and folder.
        """
        options: Sequence[str] = spec.pop("build_options", ())
        program: Callable[[Sequence[str], Path], object] = spec.pop("built_by", bundlegen)
        hosts = tuple(Member(f"infra{index}", address) for index, address in enumerate(addresses))
        minor = int(version.split(".")[1])
        kubelet = dict(spec.pop("kubelet", {}))
        if minor >= 35 and not machine.cgroups_are_v2():
            kubelet["extraConfig"] = {"failCgroupV1": False, **kubelet.get("extraConfig", {})}
        document: dict[str, Any] = {
            "name": name,
            "kubernetesVersion": version,
            "hosts": [{"name": host.name, "address": host.address} for host in hosts],
            **({"kubelet": kubelet} if kubelet else {}),
            **spec,
        }
        (folder / "cluster.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
        program(["build", "cluster.yaml", *options], folder)
        return cls(name, folder, hosts, document.get("ports", {}).get("client", 2379))

    def edit(self, **spec: Any) -> None:
        """Change these fields of the specification."""
        file = self.folder / "cluster.yaml"
        file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | spec, sort_keys=False))

    def change(self, **spec: Any) -> Self:
        """Change these fields of the specification and build: the same cluster, with the bundles of that change."""
        self.edit(**spec)
        return self._next("build", "cluster.yaml")

    def restore(self, snapshot: Path | str) -> Self:
        """The cluster that its specification says now, with the bundles that begin with this snapshot."""
        return self._next("restore", "cluster.yaml", "--snapshot", str(snapshot))

    def renew(self, *words: str) -> Self:
        """The same cluster, with the bundles of a renewal; words: more of the command line."""
        return self._next("renew", "cluster.yaml", *words)

    def built(self, *words: str) -> Self:
        """The same cluster, with the bundles of what its specification says now; words: more of the command line."""
        return self._next("build", "cluster.yaml", *words)

    def replace_member(self, host: str) -> Self:
        """The same cluster, with the bundles that replace this host's member."""
        return self._next("replace", "cluster.yaml", host)

    def rotate_ca(self, *words: str) -> Self:
        """The same cluster, with the bundles of the next round of another CA; words: more of the command line."""
        return self._next("rotate-ca", "cluster.yaml", *words)

    def named(self, change: str) -> Self:
        """The same cluster, with the bundles of this change."""
        return replace(self, change_name=change)

    def take_in(self, hosts: Mapping[str, Host]) -> None:
        """The store takes in what these hosts' newest receipts say of the change."""
        files = []
        for name, host in hosts.items():
            found = sorted(host.path(f"/var/lib/bundlegen/{self.name}/receipts").glob("*-install.json"))
            files.append(self.folder / f"{self.change_name}-{name}.json")
            files[-1].write_bytes(found[-1].read_bytes())
        bundlegen(["reconcile", str(self.out), *map(str, files), "--pki", "pki"], self.folder)

    def _next(self, *words: str) -> Self:
        before = set(self.out.parent.iterdir())
        bundlegen(words, self.folder)
        (made,) = set(self.out.parent.iterdir()) - before
        return replace(self, change_name=made.name)

    @property
    def out(self) -> Path:
        """The change folder."""
        return self.folder / "out" / self.name / self.change_name

    def bundle(self, member: int | str) -> Path:
        """A host's bundle, by name or position."""
        name = self.hosts[member].name if isinstance(member, int) else member
        return self.out / f"{name}.run"

    def endpoint(self, member: int) -> str:
        address = self.hosts[member].address
        return f"https://[{address}]:{self.client_port}" if ":" in address else f"https://{address}:{self.client_port}"

    @property
    def endpoints(self) -> str:
        return ",".join(self.endpoint(index) for index in range(len(self.hosts)))


def bundlegen(arguments: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run bundlegen: this checkout's, or the one-file program that BUNDLEGEN_PROGRAM names."""
    return run([*BUNDLEGEN, *arguments], cwd=cwd)


def carry(host: Host, bundle: Path, folder: str = STICK) -> str:
    """Copy a bundle on to a host; returns its path there."""
    return host.put(bundle, f"{folder}/")


def run_bundle(
    host: Host, bundle: Path, *arguments: str, expect: int | None = 0, shell: Sequence[str] = ("sh",), **options: Any
) -> subprocess.CompletedProcess[str]:
    """Carry a bundle to the host and run it. expect: the exit code that must come of it; None for any."""
    inside = carry(host, bundle)
    words = [*shell, inside, *(["--", *arguments] if arguments else [])]
    done = host.exec(words, check=False, timeout=options.pop("timeout", 400), **options)
    said = f"{host.name}: {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    assert expect is None or done.returncode == expect, said
    assert "PRIVATE KEY" not in done.stdout + done.stderr
    return done


def etcdctl(session: Session, cluster: Cluster, *arguments: str, keys_of: Host, check: bool = True) -> str:
    """Run Debian's etcdctl in the hosts' network, with the certificates that a bundle put on a host."""
    pki = keys_of.shared_path("/etc/kubernetes/pki/etcd")
    program = images.etcd_programs() / "usr/bin/etcdctl"
    tls: list[str | Path] = [
        "--cacert",
        pki / "ca.crt",
        "--cert",
        pki / "healthcheck-client.crt",
        "--key",
        pki / "healthcheck-client.key",
    ]
    done = session.run([program, *tls, *arguments], check=check, timeout=60)
    return done.stdout + ("" if check else done.stderr)
