"""Texts from templates: everything a bundle holds besides keys, certificates and the installer. Pure.

Jinja2 with StrictUndefined; nothing is escaped for HTML, each kind of output has its own quoting filter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import yaml
from jinja2 import Environment, FunctionLoader, StrictUndefined

from bundlegen import __version__, durations, kubernetes, layout
from bundlegen.addresses import loopback_for
from bundlegen.bundle import member

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster, Host

_PLAIN: Final = re.compile(r"[A-Za-z/\-][A-Za-z0-9 _./:@=,?&+-]*", re.ASCII)
_CONF_VALUE: Final = re.compile(r"[^'\\\x00-\x1f\x7f]*")

IDENTITY: Final = (
    "HOST",
    "ADDRESS",
    "MACHINE_ID",
    "MEMBERS",
    "INITIAL_CLUSTER",
    "INITIAL_CLUSTER_TOKEN",
    "METRICS_URL",
    "ISSUED_AT",
    "NOT_BEFORE",
    "NOT_AFTER",
)
"""What in bundle.conf belongs to one host or to the data of one cluster: empty in the bundle for images."""

TemplateSource = Callable[[str], str]
"""From the name of a template to its text (:func:`bundlegen.system.resources.template_text`)."""


def scalar(text: str) -> str:
    """``text`` as a YAML scalar that is read back as the same text: plain where that is safe, quoted otherwise."""
    if (
        _PLAIN.fullmatch(text)
        and ": " not in text
        and not text.endswith((" ", ":"))
        and not text.startswith(("- ", "---"))
    ):
        try:
            if yaml.safe_load(text) == text:
                return text
        except yaml.YAMLError:
            pass
    return quoted_scalar(text)


def quoted_scalar(text: str) -> str:
    """``text`` as a double-quoted YAML scalar."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def conf_value(text: str) -> str:
    """``text`` in single quotes, as bundle.conf holds it. Raises ValueError for what that file cannot hold."""
    if not _CONF_VALUE.fullmatch(text):
        raise ValueError(f"bundle.conf cannot hold {text!r}")
    return f"'{text}'"


def yaml_block(tree: Any) -> str:
    """``tree`` as block-style YAML, in its own order."""
    text: str = yaml.dump(tree, Dumper=yaml.CSafeDumper, sort_keys=False, default_flow_style=False, allow_unicode=True)
    return text


class Renderer:
    """Renders the texts of one cluster. ``source`` gives the templates; ``token`` is etcd's initial cluster token."""

    def __init__(self, cluster: Cluster, token: str, source: TemplateSource) -> None:
        self._cluster = cluster
        self._token = token
        self._environment = environment(source)
        self._kube = kubernetes.for_version(cluster.minor)

    def _render(self, name: str, **values: Any) -> str:
        return self._environment.get_template(name).render(
            cluster=self._cluster, kube=self._kube, pki_dir=layout.PKI_DIR, **values
        )

    def kubeadm_config(self, host: Host) -> str:
        """``kubeadmcfg.yaml``: kubeadm's two documents, with everything pinned that it would look for elsewhere."""
        return self._render(
            "kubeadmcfg.yaml.j2",
            host=host,
            sans=tuple(dict.fromkeys((host.address, *host.extra_sans))),
            names_algorithm=self._kube.knows_algorithm(self._cluster.pki.encryption_algorithm),
            extra_args=member.kubeadm_args(self._cluster, host, self._token),
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
        return self._render("kubelet/20-etcd-service-manager.conf.j2", flags=flags)

    def static_pod(self, host: Host) -> str:
        """``etcd.yaml`` for ``manifest: rendered``: what kubeadm of this version would write, equal in meaning."""
        return self._render(
            "manifests/etcd.yaml.j2",
            advertise_client_urls=member.client_url(self._cluster, host),
            flags=member.flags(self._cluster, host, self._token),
            image=member.image(self._cluster),
            metrics_host=loopback_for(host.address),
            probes=member.probes(self._cluster),
            probe_port="probe-port" if self._kube.named_probe_port else self._cluster.ports.metrics,
            priority=kubernetes.PRIORITY_NODE_CRITICAL,
        )

    def health_command(self) -> str:
        """The small command left on the host, which runs the installed health check."""
        return self._render("health-command.sh.j2", state_dir=layout.state_dir(self._cluster.name))

    def health_service(self) -> str:
        """The unit that runs the health check and leaves its answer in the journal."""
        return self._render("bundlegen-health.service.j2", health_command=layout.HEALTH_COMMAND)

    def health_timer(self) -> str:
        """The timer that starts it daily; installed, and off until somebody enables it."""
        return self._render("bundlegen-health.timer.j2")

    def bundle_conf(self, host: Host, facts: Mapping[str, str]) -> str:
        """``bundle.conf``: everything install.sh has to know about ``host``.

        ``facts`` are the values that are not in the specification: CHANGE, ISSUED_AT, NOT_BEFORE, NOT_AFTER,
        ARCHITECTURE and IMAGES_FILE.
        """
        return self._conf({**conf_values(self._cluster, host, self._token), **facts})

    def base_conf(self, facts: Mapping[str, str]) -> str:
        """``bundle.conf`` of the bundle for images: the same keys, empty where they would tell a host or a cluster's
        data apart. ``facts`` are CHANGE, ARCHITECTURE and IMAGES_FILE."""
        values = {**conf_values(self._cluster, self._cluster.hosts[0], ""), **facts}
        own = {"KIND": layout.KIND_BASE, "STATE_DIR": layout.BASE_DIR}
        return self._conf({**values, **dict.fromkeys(IDENTITY, ""), **own})

    def _conf(self, values: Mapping[str, str]) -> str:
        return self._render("bundle.conf.j2", values=dict(sorted(values.items())))

    def firstboot_service(self, state_dir: str) -> str:
        """``bundlegen-firstboot.service``: installs at the first boot of an image; ``state_dir`` has the installer."""
        return self._render("firstboot/bundlegen-firstboot.service.j2", state_dir=state_dir)

    def firstboot_conf(self) -> str:
        """``firstboot.conf``: where that unit looks for this machine's bundle, and for how long."""
        return self._render("firstboot/firstboot.conf.j2")


def environment(source: TemplateSource) -> Environment:
    """The Jinja2 environment all templates share, with its filters."""
    made = Environment(
        loader=FunctionLoader(source),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - the output is YAML, units and shell data, each with its own quoting filter
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "scalar": scalar,
        "text": quoted_scalar,
        "duration": durations.text_of,
        "yaml": yaml_block,
        "quoted": conf_value,
    }
    return made


def kubelet_configuration(cluster: Cluster) -> dict[str, Any]:
    """KubeletConfiguration as a tree: the guide's fields, what this version adds, then extraConfig merged in."""
    config: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        # Without an API server the webhook defaults end the kubelet (kubernetes#68939).
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": cluster.kubelet.cgroup_driver,
        "address": "127.0.0.1",
    }
    if kubernetes.for_version(cluster.minor).runtime_endpoint_is_a_field:
        config["containerRuntimeEndpoint"] = cluster.kubelet.container_runtime_endpoint
    config["staticPodPath"] = layout.STATIC_POD_DIR
    return _merged(config, cluster.kubelet.extra_config)


def _merged(base: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in extra.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return result


def conf_values(cluster: Cluster, host: Host, token: str) -> dict[str, str]:
    """The values of bundle.conf that follow from the specification (docs/bundle-format.md)."""
    config = kubelet_configuration(cluster)
    minor = kubernetes.for_version(cluster.minor)
    exact = cluster.manifest == "rendered" or cluster.etcd.image_tag is not None
    return {
        "FORMAT": layout.FORMAT,
        "KIND": layout.KIND_HOST,
        "BUNDLEGEN_VERSION": __version__,
        "CLUSTER": cluster.name,
        "HOST": host.name,
        "ADDRESS": host.address,
        "MACHINE_ID": host.machine_id or "",
        "KUBERNETES_VERSION": cluster.kubernetes_version,
        "MANIFEST_MODE": cluster.manifest,
        "MEMBERS": " ".join(f"{each.name}={each.address}" for each in cluster.hosts),
        "CLIENT_PORT": str(cluster.ports.client),
        "PEER_PORT": str(cluster.ports.peer),
        "METRICS_PORT": str(cluster.ports.metrics),
        "METRICS_URL": member.metrics_url(cluster, host),
        "INITIAL_CLUSTER": member.initial_cluster(cluster),
        "INITIAL_CLUSTER_TOKEN": token,
        "DATA_DIR": cluster.etcd.data_dir,
        "PKI_DIR": layout.PKI_DIR,
        "KUBEADM_CONFIG": layout.KUBEADM_CONFIG,
        "STATIC_POD_MANIFEST": layout.STATIC_POD_MANIFEST,
        "KUBELET_BINARY": cluster.kubelet.binary,
        "KUBELET_CONFIG": cluster.kubelet.config_file,
        "KUBELET_DROPIN": layout.KUBELET_DROPIN,
        "KUBELET_FAIL_CGROUP_V1": _flag(config.get("failCgroupV1", minor.fails_on_cgroup_v1)),
        "KUBELET_FAIL_SWAP_ON": _flag(config.get("failSwapOn", True)),
        "CGROUP_DRIVER": cluster.kubelet.cgroup_driver,
        "RUNTIME_ENDPOINT": cluster.kubelet.container_runtime_endpoint,
        "ETCD_IMAGE": member.image(cluster),
        "ETCD_IMAGE_EXACT": "yes" if exact else "no",
        "PAUSE_IMAGE": member.pause_image(cluster),
        "STATE_DIR": layout.state_dir(cluster.name),
        "HEALTH_COMMAND": layout.HEALTH_COMMAND,
        "SEALED": "no",
    }


def _flag(value: object) -> str:
    return "true" if value else "false"
