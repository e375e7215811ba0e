"""The kinds of value a specification is made of: each checks one field on its own and knows its JSON Schema.

Every text that later reaches a shell, a systemd unit, a URL, YAML or bundle.conf is limited here to
characters that mean nothing special there, so that nothing further on has to quote.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from bundlegen import durations
from bundlegen.addresses import MAX_NAME, RejectedError, canonical_member_address, canonical_san, check_dns_name, show
from bundlegen.spec import calendar, signers
from bundlegen.spec.fingerprint import PATTERN, canonical

OLDEST_MINOR: Final = 22
NEWEST_MINOR: Final = 37

PATH_CHARACTERS: Final = "letters, digits and . _ - + @"
_PATH: Final = re.compile(r"/[A-Za-z0-9._+@/-]*", re.ASCII)
_VERSION: Final = re.compile(r"v?([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})", re.ASCII)
_LABEL: Final = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_REPOSITORY: Final = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*", re.ASCII
)
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_TOKEN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_MACHINE_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_FLAG: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", re.ASCII)
_SOCKET_PATH_MAX: Final = 107
NO_HOST: Final = "none"
"""``pki.caKeyHost: none`` keeps the CA's key off every host."""
_RESERVED_HOST_NAMES: Final = {"localhost": "it stands for every host", NO_HOST: "caKeyHost uses it to mean no host"}


def rejection(error: RejectedError) -> PydanticCustomError:
    """``error`` as pydantic collects it; :mod:`bundlegen.spec.check` reads message and hint back."""
    return PydanticCustomError("rejected", "{message}", {"message": error.message, "hint": error.hint})


def _checked(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        try:
            return function(value)
        except RejectedError as error:
            raise rejection(error) from error

    return check


def kubernetes_version(text: str) -> str:
    """``text`` as ``v1.31.4``. Raises RejectedError outside 1.22 to 1.37, and for anything but a release."""
    supported = f"1.{OLDEST_MINOR} to 1.{NEWEST_MINOR}"
    match = _VERSION.fullmatch(text)
    if match is None or any(part != str(int(part)) for part in match.groups()):
        if short := re.fullmatch(r"v?1\.([0-9]{1,3})", text, re.ASCII):
            raise RejectedError(
                f"{show(text)} has no patch version", f"write all three numbers, such as v1.{short[1]}.0"
            )
        if release := re.fullmatch(r"(v?[0-9]+\.[0-9]+\.[0-9]+)[-+].*", text, re.ASCII | re.DOTALL):
            raise RejectedError(
                f"{show(text)} is not a release", f"pre-releases and builds are not supported: {release[1]}?"
            )
        raise RejectedError(f"{show(text)} is not a Kubernetes version", "write it like v1.31.4")
    if match[1] != "1" or not OLDEST_MINOR <= int(match[2]) <= NEWEST_MINOR:
        raise RejectedError(f"{show(text)} is not supported", f"bundlegen knows Kubernetes {supported}")
    return f"v{match[1]}.{match[2]}.{match[3]}"


def cluster_name(text: str) -> str:
    """``text`` if it can name a cluster. Raises RejectedError."""
    if "." in text:
        raise RejectedError(
            f"{show(text)} has a dot", "a cluster name is one label: lower-case letters, digits and '-'"
        )
    check_dns_name(text, "cluster name", longest=MAX_NAME)
    return text


def host_name(text: str) -> str:
    """``text`` if kubeadm takes it as ``nodeRegistration.name`` and it can be a common name. Raises RejectedError."""
    check_dns_name(text, "host name", longest=MAX_NAME)
    if text in _RESERVED_HOST_NAMES:
        raise RejectedError(f"{show(text)} cannot name a host: {_RESERVED_HOST_NAMES[text]}", "choose another name")
    return text


def _machine_id(text: str) -> str:
    if _MACHINE_ID.fullmatch(text):
        if text == "0" * 32:
            raise RejectedError("is all zeros, which no machine has", "take it from the host: cat /etc/machine-id")
        return text
    plain = text.strip().lower().replace("-", "")
    if _MACHINE_ID.fullmatch(plain):
        raise RejectedError(f"{show(text)} is not written as in /etc/machine-id", f"write {plain}")
    raise RejectedError(f"{show(text)} is not a machine-id", "32 digits 0-9 a-f, from the host: cat /etc/machine-id")


def host_path(text: str) -> str:
    """``text`` if it is an absolute, clean path of safe characters. Raises RejectedError."""
    if not text.startswith("/"):
        raise RejectedError(f"{show(text)} is not an absolute path", "start it with /")
    if not _PATH.fullmatch(text):
        bad = next(c for c in text if not _PATH.fullmatch("/" + c))
        named = "a space" if bad == " " else show(bad)
        raise RejectedError(
            f"{show(text)} contains {named}",
            f"paths on hosts hold only {PATH_CHARACTERS}, so that no tool misreads them",
        )
    parts = text[1:].split("/")
    if text != "/" and (".." in parts or "." in parts or "" in parts):
        raise RejectedError(f"{show(text)} is not a clean path", "leave out '.', '..', '//' and a '/' at the end")
    if len(text) > 1024 or max(map(len, parts)) > 255:
        raise RejectedError("is too long for a path", "at most 1024 characters, and 255 between two slashes")
    return text


def _file_on_host(text: str) -> str:
    if host_path(text) == "/":
        raise RejectedError('"/" is a directory, a file is wanted', "write the whole path of the file")
    return text


def _local_path(text: str) -> str:
    if not text:
        raise RejectedError("is empty", "write the path of a file, relative to this specification")
    if any(not c.isprintable() for c in text):
        raise RejectedError(f"{show(text)} contains a control character", "rename the file")
    return text


def _endpoint(text: str) -> str:
    path = text.removeprefix("unix://")
    if path == text:
        if text.startswith("/"):
            raise RejectedError(f"{show(text)} has no scheme", f"write unix://{text}")
        raise RejectedError(
            f"{show(text)} is not a unix socket", "write it like unix:///run/containerd/containerd.sock"
        )
    if not path.startswith("/"):
        raise RejectedError(
            f"{show(text)} is not an absolute path", "three slashes: unix:///run/containerd/containerd.sock"
        )
    _file_on_host(path)
    if len(path) > _SOCKET_PATH_MAX:
        raise RejectedError(f"the socket's path is {len(path)} characters long", f"Linux allows {_SOCKET_PATH_MAX}")
    return text


def _image_repository(text: str) -> str:
    if "://" in text:
        raise RejectedError(f"{show(text)} is a URL", f"leave out the scheme: {text.partition('://')[2]}")
    if "@" in text:
        raise RejectedError(
            f"{show(text)} contains a digest", "write the repository alone; the version goes to imageTag"
        )
    if ":" in text.rpartition("/")[2] and "/" in text:
        raise RejectedError(f"{show(text)} contains a tag", "write the repository alone; the tag goes to imageTag")
    if text.endswith("/") and _REPOSITORY.fullmatch(text.rstrip("/")):
        raise RejectedError(f"{show(text)} ends with a slash", f"write {text.rstrip('/')}")
    if len(text) > 255 or not _REPOSITORY.fullmatch(text):
        raise RejectedError(
            f"{show(text)} is not an image repository", "write it like registry.example.net:5000/mirror"
        )
    return text


def _image_tag(text: str) -> str:
    if "@" in text or text.startswith("sha256:"):
        raise RejectedError(f"{show(text)} contains a digest", "kubeadm takes a tag only, such as 3.5.15-0")
    if ":" in text:
        raise RejectedError(
            f"{show(text)} is more than a tag",
            f"write {show(text.rpartition(':')[2])}; the rest goes to imageRepository",
        )
    if not _TAG.fullmatch(text):
        raise RejectedError(f"{show(text)} is not an image tag", "write it like 3.5.15-0")
    return text


def _token(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise RejectedError(
            f"{show(text)} cannot be used as a token",
            "1 to 128 letters, digits, '.', '_' and '-', the first a letter or digit",
        )
    return text


def flag_name(text: str) -> str:
    """``text`` if it is shaped like an etcd flag without its dashes. Raises RejectedError."""
    if _FLAG.fullmatch(text) and len(text) <= 100:
        return text
    bare = text.strip().lstrip("-")
    name, equals, value = bare.partition("=")
    if equals and _FLAG.fullmatch(name):
        raise RejectedError(
            f"{show(text)} has a value in its name",
            f'write {name}: "{value}"' if value.isalnum() else f"write {name}: and its value",
        )
    if bare != text and _FLAG.fullmatch(bare):
        raise RejectedError(f"{show(text)} is written with dashes", f"write {bare}")
    raise RejectedError(
        f"{show(text)} is not the name of an etcd flag", "lower-case words joined by '-', such as quota-backend-bytes"
    )


def flag_value(text: str) -> str:
    """``text`` if it can stand in a manifest as one argument. Raises RejectedError."""
    if any(not c.isprintable() for c in text):
        raise RejectedError(f"{show(text)} contains a control character", "write it on one line")
    if "$(" in text:
        raise RejectedError(f"{show(text)} contains $(, which the kubelet would expand", "write the value itself")
    if len(text) > 4096:
        raise RejectedError(f"is {len(text)} characters long", "at most 4096 are possible")
    return text


def json_tree(value: Any, depth: int = 0) -> Any:
    """``value`` if JSON can hold it: no dates, no infinities, text keys, printable text. Raises RejectedError."""
    if depth > 20:
        raise RejectedError("is nested more than 20 levels deep", "no field of KubeletConfiguration is")
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise RejectedError(f"has the key {key!r}, which is not text", "put it in quotes")
        return {json_tree(key, depth): json_tree(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [json_tree(item, depth + 1) for item in value]
    if isinstance(value, str) and any(not c.isprintable() and c not in "\n\t" for c in value):
        raise RejectedError(f"{show(value)} contains a control character", "remove it")
    if isinstance(value, float) and not math.isfinite(value):
        raise RejectedError(f"{value} is not a number JSON can hold", "write a finite number")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise RejectedError(f"{show(str(value), 24)} does not fit into 64 bits", "write a smaller number")
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise RejectedError(f"holds a {type(value).__name__}", "only text, numbers, true, false, lists and mappings")


def _duration(value: Any) -> Any:
    if not isinstance(value, str | timedelta):
        raise PydanticCustomError("duration_type", "must be a duration", {})
    return _checked(durations.parse)(value) if isinstance(value, str) else value


def _text(check: Callable[[str], str], **schema: Any) -> tuple[Any, Any]:
    return AfterValidator(_checked(check)), WithJsonSchema({"type": "string", **schema})


KubernetesVersion = Annotated[
    str, *_text(kubernetes_version, pattern=r"^v?1\.(2[2-9]|3[0-7])\.[0-9]+$", examples=["v1.31.4"])
]
ClusterName = Annotated[str, *_text(cluster_name, pattern=rf"^{_LABEL}$", maxLength=MAX_NAME, examples=["prod-etcd"])]
HostName = Annotated[
    str,
    *_text(
        host_name, pattern=rf"^{_LABEL}(\.{_LABEL})*$", maxLength=MAX_NAME, examples=["infra0", "infra0.example.net"]
    ),
]
CaKeyHost = Annotated[str, WithJsonSchema({"type": "string", "examples": ["infra0", NO_HOST]})]
MemberAddress = Annotated[
    str, *_text(canonical_member_address, pattern=r"^[0-9A-Fa-f:.]+$", examples=["10.0.0.6", "fd00:0:0:1::6"])
]
SubjectAltName = Annotated[
    str,
    *_text(
        canonical_san, pattern=r"^(\*\.)?[0-9A-Za-z:.-]+$", maxLength=253, examples=["etcd0.example.net", "192.168.1.6"]
    ),
]
MachineID = Annotated[str, *_text(_machine_id, pattern="^[0-9a-f]{32}$", examples=["0f4e1a5c9be64b0e8a3d3c1f7a2b4c6d"])]
HostPath = Annotated[str, *_text(host_path, pattern="^/[A-Za-z0-9._+@/-]*$")]
HostFile = Annotated[str, *_text(_file_on_host, pattern="^/[A-Za-z0-9._+@/-]+$")]
LocalPath = Annotated[str, *_text(_local_path, minLength=1)]
Endpoint = Annotated[str, *_text(_endpoint, pattern="^unix:///[A-Za-z0-9._+@/-]+$")]
ImageRepository = Annotated[str, *_text(_image_repository, examples=["registry.example.net:5000/mirror"])]
ImageTag = Annotated[str, *_text(_image_tag, pattern="^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", examples=["3.5.15-0"])]
Token = Annotated[str, *_text(_token, pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$", examples=["prod-etcd-2026"])]
Fingerprint = Annotated[str, *_text(canonical, pattern=PATTERN, examples=[":".join(["5C"] * 32)])]
Calendar = Annotated[str, *_text(calendar.calendar, pattern=calendar.PATTERN, examples=["*-*-* 02:00"])]
Signer = Annotated[str, *_text(signers.signer, pattern=signers.SIGNER_PATTERN, examples=["ops@example.net"])]
SignerLine = Annotated[str, *_text(signers.signer_line, examples=["ops@example.net ssh-ed25519 AAAA..."])]
FlagName = Annotated[str, *_text(flag_name, pattern="^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]
FlagValue = Annotated[str, *_text(flag_value)]
JsonTree = Annotated[dict[str, Any], AfterValidator(_checked(json_tree))]
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(durations.text_of, return_type=str),
    WithJsonSchema({"type": "string", "pattern": durations.PATTERN, "examples": ["8760h", "1h30m", "5m"]}),
]
