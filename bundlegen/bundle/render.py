"""Texts from templates: everything a bundle holds besides keys, certificates and the installer. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bundlegen import kubernetes, layout
from bundlegen.addresses import loopback_for
from bundlegen.bundle import conf, member
from bundlegen.bundle.facts import Content, Facts
from bundlegen.bundle.kubelet import kubelet_configuration
from bundlegen.spec import canonical
from bundlegen.system.jinja import TemplateSource, environment

if TYPE_CHECKING:
    from bundlegen.bundle.member import Birth
    from bundlegen.spec.model import Cluster, Host


class Renderer:
    """Renders the texts of one cluster.

    ``source`` gives the templates; ``token`` is etcd's initial cluster token; ``births`` are those of members that
    exist, by name: all others are of a new cluster's.
    """

    def __init__(
        self, cluster: Cluster, token: str, source: TemplateSource, births: Mapping[str, Birth] | None = None
    ) -> None:
        self._cluster = cluster
        self._token = token
        self._births = births or {}
        self._whole = canonical.tree(cluster)
        self.source = source
        self._environment = environment(source)
        self._kube = kubernetes.for_version(cluster.minor)
        self._base: bytes | None = None

    def _render(self, name: str, **values: Any) -> str:
        return self._environment.get_template(name).render(
            cluster=self._cluster, kube=self._kube, pki_dir=layout.PKI_DIR, **values
        )

    def birth(self, host: Host) -> Birth:
        """With what the member of ``host`` is started for the first time."""
        return self._births.get(host.name) or member.founding(self._cluster)

    def specification(self, host: Host) -> bytes:
        """``cluster.json``: the specification that the files of ``host`` are made from."""
        return canonical.dump(canonical.for_host(self._whole, host.name))

    def base_specification(self) -> bytes:
        """The same of the bundle for images."""
        if self._base is None:
            self._base = canonical.dump(canonical.for_base(self._whole))
        return self._base

    def kubeadm_config(self, host: Host) -> str:
        """``kubeadmcfg.yaml``: kubeadm's two documents, with everything pinned that it would look for elsewhere."""
        return self._render(
            "kubeadmcfg.yaml.j2",
            host=host,
            sans=tuple(dict.fromkeys((host.address, *host.extra_sans))),
            names_algorithm=self._kube.knows_algorithm(self._cluster.pki.encryption_algorithm),
            extra_args=member.kubeadm_args(self._cluster, host, self._token, self.birth(host)),
        )

    def kubelet_config(self) -> str:
        """``kubelet.conf``: KubeletConfiguration for a kubelet that has no API server and runs static Pods only."""
        return self._render("kubelet/kubelet.conf.j2", config=kubelet_configuration(self._cluster))

    def kubelet_dropin(self) -> str:
        """``20-etcd-service-manager.conf``: the unit's ExecStart, with the flags this kubelet needs and no other."""
        flags = [f"--config={self._cluster.kubelet.config_file}"]
        if self._kube.needs_remote_runtime_flag:
            flags.append("--container-runtime=remote")
        if not self._kube.runtime_endpoint_is_a_field:
            flags.append(f"--container-runtime-endpoint={self._cluster.kubelet.container_runtime_endpoint}")
        return self._render("kubelet/20-etcd-service-manager.conf.j2", flags=flags, guard_command=layout.GUARD_COMMAND)

    def static_pod(self, host: Host) -> str:
        """``etcd.yaml`` for ``manifest: rendered``: what kubeadm of this version would write, equal in meaning."""
        return self._render(
            "manifests/etcd.yaml.j2",
            advertise_client_urls=member.client_url(self._cluster, host),
            flags=member.flags(self._cluster, host, self._token, self.birth(host)),
            image=member.image(self._cluster),
            metrics_host=loopback_for(host.address),
            probes=member.probes(self._cluster),
            probe_port="probe-port" if self._kube.named_probe_port else self._cluster.ports.metrics,
            priority=kubernetes.PRIORITY_NODE_CRITICAL,
        )

    def health_command(self) -> str:
        """The small command left on the host, which runs the installed health check."""
        return self._render("health-command.sh.j2", state_dir=layout.state_dir(self._cluster.name))

    def guard(self) -> str:
        """The program that systemd runs before kubelet: where a member has lived, etcd needs its log."""
        # without the line that tells shellcheck its dialect
        _, _, functions = self.source("install/guard/log.sh").partition("\n")
        return self._render("guard.sh.j2", state_dir=layout.state_dir(self._cluster.name), log_functions=functions)

    def health_service(self) -> str:
        """The unit that runs the health check and leaves its answer in the journal."""
        metrics = self._cluster.metrics_file
        return self._render("bundlegen-health.service.j2", health_command=layout.HEALTH_COMMAND, metrics=metrics)

    def health_timer(self) -> str:
        """The timer that starts it daily, or hourly for monitoring; installed, and off until somebody enables it."""
        return self._render("bundlegen-health.timer.j2", often=self._cluster.metrics_file is not None)

    def snapshot_command(self) -> str:
        """The small command left on the host, which takes a snapshot with the installed copy."""
        return self._render("snapshot-command.sh.j2", state_dir=layout.state_dir(self._cluster.name))

    def apply_command(self, signer: str) -> str:
        """The program that runs a bundle only if it is signed by ``signer``."""
        known = (layout.BASE_DIR, layout.state_dir(self._cluster.name))
        return self._render("apply.sh.j2", signer=signer, allowed_signers=layout.ALLOWED_SIGNERS, known=known)

    def snapshot_service(self) -> str:
        """The unit that takes one, and lets the oldest go."""
        return self._render("bundlegen-snapshot.service.j2", snapshot_command=layout.SNAPSHOT_COMMAND)

    def snapshot_timer(self) -> str:
        """The timer that starts it; the installer switches it on."""
        return self._render("bundlegen-snapshot.timer.j2")

    def bundle_conf(self, host: Host, content: Content) -> str:
        """``bundle.conf``: everything install.sh has to know about ``host``."""
        return self._conf(conf.values(Facts(self._cluster, host, self._token, self.birth(host), content)))

    def base_conf(self, content: Content) -> str:
        """``bundle.conf`` of the bundle for images."""
        first = self._cluster.hosts[0]
        return self._conf(conf.base_values(Facts(self._cluster, first, "", self.birth(first), content)))

    def _conf(self, values: Mapping[str, str]) -> str:
        return self._render("bundle.conf.j2", values=dict(sorted(values.items())))

    def firstboot_service(self, state_dir: str) -> str:
        """``bundlegen-firstboot.service``: installs at the first boot of an image; ``state_dir`` has the installer."""
        return self._render("firstboot/bundlegen-firstboot.service.j2", state_dir=state_dir)

    def firstboot_conf(self) -> str:
        """``firstboot.conf``: where that unit looks for this machine's bundle, and for how long."""
        return self._render("firstboot/firstboot.conf.j2")
