"""Templates for Packer, which bake ``base.run`` into images: one folder per builder. Pure.

They are written for Packer 1.6.6 and newer. What is special to versions, from HashiCorp's documentation and sources:
``required_plugins`` came with 1.7 and is an error before, and from 1.10 on no builder but ``null`` is built in, so the
plugins are declared in a folder apart; ``environment_vars`` is used because ``env`` came later, and ``cd_files``
because ``cd_content`` did; functions are those of 1.6.6 (``hcl2template/functions.go``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bundlegen import layout
from bundlegen.system.jinja import TemplateSource, environment

if TYPE_CHECKING:
    from bundlegen.spec.model import Cluster

_SCRIPTS: Final = ("bake.sh", "check.sh", "finish.sh", "wait.sh")


@dataclass(frozen=True)
class Plugin:
    """What ``packer init`` has to fetch for a builder, where Packer has it not built in."""

    name: str
    source: str
    version: str


@dataclass(frozen=True)
class Builder:
    """One of Packer's builders, and in what its templates differ. ``ssh_username`` is empty if it must be given."""

    name: str
    ssh_username: str
    ssh_timeout: str
    without_key: str
    plugin: Plugin | None = None
    scripts: tuple[str, ...] = _SCRIPTS


_FROM_AGENT: Final = "Left empty: the keys of the SSH agent."

BUILDERS: Final = (
    Builder(
        name="qemu",
        ssh_username="debian",
        ssh_timeout="10m",
        without_key="Left empty: the one in seed_folder.",
        plugin=Plugin("qemu", "github.com/hashicorp/qemu", ">= 1.1.0"),
        scripts=(*_SCRIPTS, "seed.sh"),
    ),
    Builder(
        name="vsphere-iso",
        ssh_username="",
        ssh_timeout="30m",
        without_key=_FROM_AGENT,
        plugin=Plugin("vsphere", "github.com/vmware/vsphere", ">= 1.4.2"),
    ),
    Builder(
        name="amazon-ebs",
        ssh_username="admin",
        ssh_timeout="10m",
        without_key="Left empty: a temporary one that Packer makes.",
        plugin=Plugin("amazon", "github.com/hashicorp/amazon", ">= 1.3.0"),
    ),
    Builder(name="null", ssh_username="root", ssh_timeout="5m", without_key=_FROM_AGENT),
)


def quoted(text: str) -> str:
    """``text`` as a string of HCL, in which nothing is left that Packer would evaluate."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + escaped.replace("${", "$${").replace("%{", "%%{") + '"'


def templates(cluster: Cluster, source: TemplateSource) -> Mapping[str, str]:
    """The text of every file for ``cluster``, by its path below ``out/<cluster>/packer/``, sorted.

    ``source`` gives the templates (:func:`bundlegen.system.resources.template_text`).
    """
    return dict(sorted(file for builder in BUILDERS for file in _builder(cluster, builder, source)))


def _builder(cluster: Cluster, builder: Builder, source: TemplateSource) -> Iterator[tuple[str, str]]:
    made = environment(source)
    made.filters["hcl"] = quoted
    values = {
        "cluster": cluster,
        "builder": builder,
        "image_name": f"{cluster.name}-base",
        "notes": f"Base image of the etcd cluster {cluster.name} for Kubernetes {cluster.kubernetes_version}",
    }
    rendered = {
        "bundlegen.pkr.hcl": "bundlegen.pkr.hcl.j2",
        "source.pkr.hcl": f"source.{builder.name}.pkr.hcl.j2",
        layout.PACKER_EXAMPLE: "example.pkrvars.hcl.j2",
    }
    if builder.plugin is not None:
        rendered["plugins/plugins.pkr.hcl"] = "plugins.pkr.hcl.j2"
    for path, name in rendered.items():
        yield f"{builder.name}/{path}", made.get_template(f"packer/{name}").render(values)
    for script in builder.scripts:
        yield f"{builder.name}/scripts/{script}", source(f"packer/scripts/{script}")
