"""pydantic's errors in the words of the specification: what is wrong, and what to write instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel

from bundlegen.addresses import show
from bundlegen.spec.finding import FieldPath, Finding, closest, field_text
from bundlegen.spec.model import Cluster
from bundlegen.spec.sections import field_names

_SYNONYMS: Final = {
    "ip": "address",
    "advertiseaddress": "address",
    "hostname": "name",
    "clustername": "name",
    "sans": "extraSANs",
    "certsans": "extraSANs",
    "servercertsans": "extraSANs",
    "peercertsans": "extraSANs",
    "version": "kubernetesVersion",
    "k8sversion": "kubernetesVersion",
    "nodes": "hosts",
    "members": "hosts",
    "machines": "hosts",
    "cert": "certificate",
    "crt": "certificate",
    "algorithm": "encryptionAlgorithm",
    "validity": "certificateValidityPeriod",
    "crisocket": "containerRuntimeEndpoint",
    "token": "initialClusterToken",
    "tag": "imageTag",
    "repository": "imageRepository",
}
_EXAMPLES: Final = {
    "name": "infra0",
    "kubernetesVersion": "v1.31.4",
    "address": "10.0.0.6",
    "certificate": "ca.crt",
    "key": "ca.key",
}
_HOSTS_HINT: Final = "a list item per host: - {name: infra0, address: 10.0.0.6}"
_ARGS_HINT: Final = 'write flags as a mapping, without dashes: snapshot-count: "20000"'


def explain(error: Mapping[str, Any], written: Mapping[FieldPath, str]) -> Finding:
    """The finding that one of ``ValidationError.errors()`` amounts to; ``written`` holds scalars as in the file."""
    path: FieldPath = tuple(part for part in error["loc"] if part != "[key]")
    message, hint = _words(error["type"], path, error["input"], error.get("ctx", {}), written.get(path, ""))
    return Finding(path, message, hint)


def _words(kind: str, path: FieldPath, value: Any, context: Mapping[str, Any], written: str) -> tuple[str, str]:
    field = str(path[-1]) if path else ""
    match kind:
        case "rejected":
            return str(context["message"]), str(context["hint"])
        case "missing":
            example = _EXAMPLES.get(field, "")
            return "is missing", _HOSTS_HINT if path == ("hosts",) else f"add {field}: {example}"
        case "extra_forbidden":
            return "unknown field", _where_it_belongs(path)
        case "string_type":
            return _not_text(path, value, written)
        case "int_type":
            return _not_a_whole_number(value, written)
        case "greater_than_equal" | "less_than_equal":
            return f"{show(str(value), 24).strip(chr(34))} is not a port number", "ports are 1 to 65535"
        case "duration_type":
            digits = str(value) if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else ""
            return (
                f"must be a duration, not {_kind(value)}",
                f"write {digits}s, {digits}m or {digits}h" if digits else "write it like 8760h or 5m",
            )
        case "literal_error":
            return _not_a_choice(path, value, written)
        case "too_short":
            return "is empty", _HOSTS_HINT if path == ("hosts",) else "add an item"
        case "too_long":
            return (
                f"has {context['actual_length']} items, at most {context['max_length']} are possible",
                "shorten the list",
            )
        case "tuple_type":
            return _not_a_list(path, value, written)
        case "dict_type" | "model_type":
            return _not_a_mapping(path, value)
        case _:
            return f"is not usable: {kind.replace('_', ' ')}", "see docs/specification.md"


def _kind(value: Any) -> str:
    """What ``value`` is, in the user's words."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "a truth value"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list() | tuple():
            return "a list"
        case _:
            return "a mapping"


def _not_text(path: FieldPath, value: Any, written: str) -> tuple[str, str]:
    if isinstance(value, dict | list):
        return f"must be text, not {_kind(value)}", "write one value"
    if value is None:
        return "has no value", 'write the text, or "" for an empty one' if path[:2] == (
            "etcd",
            "extraArgs",
        ) else "write one, or remove the line"
    shown = written or str(value).lower()
    if path[-1] == "address":
        return f"{shown} is {_kind(value)}, an IP address is wanted", "write it like 10.0.0.6 or fd00::6"
    if path == ("kubernetesVersion",):
        number = shown.lstrip("v")
        whole = f"v{number}.0" if number.count(".") == 1 else "v1.31.4"
        return f"{shown} is a number to YAML, a version has three", f"write all three, such as {whole}"
    return f"must be text, but to YAML {shown} is {_kind(value)}", f'quote it: "{shown}"'


def _not_a_whole_number(value: Any, written: str) -> tuple[str, str]:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return "must be a number, not text", f"write {value[:24]} without quotes"
    return f"must be a whole number, not {written or _kind(value)}", "write it like 2379"


def _not_a_choice(path: FieldPath, value: Any, written: str) -> tuple[str, str]:
    info = _model_of(path[:-1]).model_fields[field_names(_model_of(path[:-1]))[str(path[-1])]]
    choices = [str(choice) for choice in get_args(info.annotation)]
    near = closest(value, choices) if isinstance(value, str) else ""
    shown = show(value) if isinstance(value, str) else written or _kind(value)
    hint = f"did you mean {near}?" if near else f"default: {info.default}"
    return f"{shown} is not one of {', '.join(choices)}", hint


def _not_a_list(path: FieldPath, value: Any, written: str) -> tuple[str, str]:
    if path == ("hosts",):
        return f"must be a list of hosts, not {_kind(value)}", _HOSTS_HINT
    if isinstance(value, str):
        shown = written or value
        return "must be a list, not text", f"write [{shown if shown.isprintable() else ascii(shown)}]"[:100]
    return f"must be a list, not {_kind(value)}", "write each item on a line of its own, after '- '"


def _not_a_mapping(path: FieldPath, value: Any) -> tuple[str, str]:
    if path == ("etcd", "extraArgs"):
        return f"must be a mapping, not {_kind(value)}", _ARGS_HINT
    if path[:1] == ("hosts",):
        return f"must have a name and an address, but is {_kind(value)}", _HOSTS_HINT
    if path == ("kubelet", "extraConfig"):
        return f"must be a mapping, not {_kind(value)}", "write fields of KubeletConfiguration, such as maxPods: 20"
    return f"must be a mapping, not {_kind(value)}", f"its fields are {', '.join(field_names(_model_of(path)))}"


def _model_of(path: FieldPath) -> type[BaseModel]:
    """The model behind the section at ``path``."""
    model: type[BaseModel] = Cluster
    for part in path:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[field_names(model)[part]].annotation
        found = [
            kind
            for kind in (annotation, *get_args(annotation))
            if isinstance(kind, type) and issubclass(kind, BaseModel)
        ]
        model = found[0]
    return model


def _sections() -> dict[FieldPath, type[BaseModel]]:
    return {
        path: _model_of(path)
        for path in ((), ("hosts", 0), ("ports",), ("pki",), ("pki", "ca"), ("kubelet",), ("etcd",))
    }


def _where_it_belongs(path: FieldPath) -> str:
    """A hint for the unknown field at ``path``: a misspelling, a synonym, or a field of another section."""
    word = str(path[-1])
    here = field_names(_model_of(path[:-1]))
    near = closest(word, here) or _SYNONYMS.get(word.lower().replace("_", "").replace("-", ""), "")
    if near in here:
        return f"did you mean {near}?"
    for section, model in _sections().items():
        found = near or word
        if found in field_names(model):
            place = (
                "at the top level"
                if not section
                else "in each host"
                if section[0] == "hosts"
                else f"under {field_text(section)}"
            )
            return f"{found} belongs {place}"
    return f"known here: {', '.join(here)}"
