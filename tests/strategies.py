"""Hypothesis strategies: random specifications that are right, and text that may be anything."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

from hypothesis import strategies as st

from bundlegen.spec.types import NEWEST_MINOR, OLDEST_MINOR

LETTERS = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"

labels = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True).filter(
    lambda s: s not in ("localhost", "none")
)
dns_names = st.lists(labels, min_size=1, max_size=3).map(".".join)
path_parts = st.from_regex(r"[A-Za-z0-9_@+-][A-Za-z0-9._@+-]{0,11}", fullmatch=True)
folders = st.lists(path_parts, min_size=1, max_size=3).map(lambda parts: "/srv/" + "/".join(parts))
flag_values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).filter(lambda s: "$(" not in s)
numbers = st.integers(0, 2**31).map(str)
free_flags = {
    "snapshot-count": numbers,
    "quota-backend-bytes": numbers,
    "heartbeat-interval": numbers,
    "pre-vote": st.sampled_from(["true", "false"]),
    "log-level": flag_values,
    "auto-compaction-retention": flag_values,
}
json_leaves = (
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(LETTERS + " :#-{}[]'\"%$\\", max_size=12)
)
json_trees = st.recursive(
    json_leaves, lambda tree: st.lists(tree, max_size=3) | st.dictionaries(labels, tree, max_size=3), max_leaves=6
)
extra_config = st.fixed_dictionaries(
    {}, optional={"failSwapOn": st.booleans(), "maxPods": st.integers(1, 500), "zzTree": json_trees}
)

_SAFE_V4 = ipaddress.IPv4Network("10.0.0.0/8")
_SAFE_V6 = ipaddress.IPv6Network("fd00::/8")


@st.composite
def addresses(draw: st.DrawFn) -> str:
    """A unicast address in any spelling that is accepted."""
    if draw(st.booleans()):
        return str(_SAFE_V4[draw(st.integers(1, 2**24 - 1))])
    address = _SAFE_V6[draw(st.integers(1, 2**120 - 1))]
    return draw(st.sampled_from([str(address), address.exploded, str(address).upper()]))


@st.composite
def specifications(draw: st.DrawFn, *, max_hosts: int = 5) -> dict[str, Any]:
    """The data of a valid specification that needs no files beside it."""
    count = draw(st.integers(1, max_hosts))
    names = draw(st.lists(dns_names, min_size=count, max_size=count, unique=True))
    unique_by = ipaddress.ip_address
    places = draw(st.lists(addresses(), min_size=count, max_size=count, unique_by=unique_by))
    machine_ids = draw(
        st.lists(st.text("123456789abcdef", min_size=32, max_size=32), min_size=count, max_size=count, unique=True)
    )
    hosts: list[dict[str, Any]] = []
    for name, address, machine_id in zip(names, places, machine_ids, strict=True):
        host: dict[str, Any] = {"name": name, "address": address}
        # Another host cannot be called like this: no host name ends in .san.
        host |= draw(
            st.fixed_dictionaries(
                {}, optional={"extraSANs": st.lists(labels.map(lambda s: f"{s}.san"), max_size=3, unique=True)}
            )
        )
        host |= draw(st.sampled_from([{}, {"machineID": machine_id}]))
        hosts.append(host)
    ports = draw(st.lists(st.integers(1024, 10000), min_size=3, max_size=3, unique=True))
    version = f"1.{draw(st.integers(OLDEST_MINOR, NEWEST_MINOR))}.{draw(st.integers(0, 20))}"
    data: dict[str, Any] = {
        "name": draw(labels),
        "kubernetesVersion": draw(st.sampled_from(["v", ""])) + version,
        "hosts": hosts,
    }
    optional = {
        "ports": st.just(dict(zip(("client", "peer", "metrics"), ports, strict=True))),
        "pki": st.fixed_dictionaries(
            {},
            optional={
                "caKeyHost": st.sampled_from([*names, "none"]),
                "encryptionAlgorithm": st.sampled_from(
                    ["RSA-2048", "RSA-3072", "RSA-4096", "ECDSA-P256", "ECDSA-P384"]
                ),
                "certificateValidityPeriod": st.integers(1, 8760).map(lambda hours: f"{hours}h"),
                "caCertificateValidityPeriod": st.integers(8760, 876000).map(lambda hours: f"{hours}h0m0s"),
                "notBeforeMargin": st.integers(0, 86400).map(lambda seconds: f"{seconds}s"),
            },
        ),
        "kubelet": st.fixed_dictionaries(
            {},
            optional={
                "binary": folders.map(lambda folder: f"/opt{folder}/kubelet"),
                "cgroupDriver": st.sampled_from(["systemd", "cgroupfs"]),
                "containerRuntimeEndpoint": folders.map(lambda folder: f"unix://{folder}/x.sock"),
                "configFile": path_parts.map(lambda part: f"/etc/kubernetes/kubelet-{part}.yaml"),
                "extraConfig": extra_config,
            },
        ),
        "etcd": st.fixed_dictionaries(
            {},
            optional={
                "imageRepository": st.sampled_from(["registry.example.net:5000/mirror", "localhost:5000"]),
                "dataDir": folders.map(lambda folder: f"{folder}/data"),
                "initialClusterToken": st.text(LETTERS + DIGITS, min_size=1, max_size=40),
                "extraArgs": st.fixed_dictionaries({}, optional=free_flags),
            },
        ),
        "health": st.fixed_dictionaries(
            {}, optional={"metricsDirectory": st.just("/var/lib/prometheus/node-exporter")}
        ),
        "backup": st.fixed_dictionaries(
            {}, optional={"schedule": st.sampled_from(["daily", "Mon *-*-* 02:00"]), "keep": st.integers(1, 9)}
        ),
        "manifest": st.sampled_from(["kubeadm", "rendered"]),
    }
    return data | draw(st.fixed_dictionaries({}, optional=optional))


def as_yaml(data: Any) -> str:
    """``data`` as JSON, which is YAML in which nothing can be read in two ways."""
    return json.dumps(data, indent=1, ensure_ascii=True)


yaml_words = "name hosts address etcd extraArgs pki infra0 10.0.0.6 1 1.30 no ~ 0x1 10:20 é \u2028 --- ..."
yaml_signs = [": ", ":", "- ", "\n", "  ", "    ", *"[]{},'\"#%@\t", "&a ", "*a", "!!", "!x ", "<<", "? ", "| ", "> "]
yaml_pieces = st.sampled_from([*yaml_words.split(" "), *yaml_signs])
yaml_like = st.lists(yaml_pieces, max_size=40).map("".join)
