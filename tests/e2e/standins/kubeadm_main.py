"""The kubeadm stand-in's commands: version, config images list, config validate, init phase etcd local."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.standins import kubeadm_config, kubeadm_etcd, versions
from tests.e2e.standins.kubeadm_config import ConfigError
from tests.e2e.standins.versions import Version

COMMANDS = {
    ("version",): {"output"},
    ("config", "images", "list"): {"config", "kubernetes-version", "image-repository", "output"},
    ("config", "validate"): {"config"},
    ("init", "phase", "etcd", "local"): {"config", "dry-run"},
}


def main(argv: Sequence[str]) -> int:
    """Run one command. Exit codes as kubeadm's: 1 for a bad command line or any failure, 3 for validation."""
    kubeadm = versions.own()
    try:
        command, flags = _parse(argv)
        if command == ("config", "validate") and kubeadm.minor < 28:
            raise ConfigError('unknown command "validate" for "kubeadm config"')
        if command == ("version",):
            _version(kubeadm, flags.get("output", ""))
        elif command == ("config", "images", "list"):
            _images(kubeadm, flags)
        elif command == ("config", "validate"):
            kubeadm_config.read(_path(flags), kubeadm, strict=True)
            print("ok")
        else:
            _etcd(kubeadm, flags)
    except ConfigError as refused:
        print(f"{refused}\nTo see the stack trace of this error execute with --v=5 or higher", file=sys.stderr)
        return 1
    return 0


def _parse(argv: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    words: list[str] = []
    flags: dict[str, str] = {}
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "-o":
            word = "--output"
        if not word.startswith("-"):
            words.append(word)
            continue
        name, equals, value = word.removeprefix("--").partition("=")
        takes_none = name == "dry-run"
        if not equals and not takes_none and not rest:
            raise ConfigError(f"flag needs an argument: --{name}")
        flags[name] = value if equals else "true" if takes_none else rest.pop(0)
    if tuple(words) not in COMMANDS:
        raise ConfigError(f"unknown command {' '.join(words)!r} for this stand-in of kubeadm")
    if unknown := set(flags) - COMMANDS[tuple(words)] - {"v"}:
        raise ConfigError(f"unknown flag: --{sorted(unknown)[0]}")
    return tuple(words), flags


def _path(flags: dict[str, str]) -> Path:
    if "config" not in flags:
        raise ConfigError("--config is needed: without it kubeadm would guess and look for the network")
    return Path(flags["config"])


def _version(kubeadm: Version, output: str) -> None:
    details = {
        "major": "1",
        "minor": str(kubeadm.minor),
        "gitVersion": str(kubeadm),
        "gitCommit": "a stand-in for tests, not the real kubeadm",
        "gitTreeState": "clean",
        "platform": "linux/amd64",
    }
    if output == "short":
        print(kubeadm)
    elif output == "json":
        print(json.dumps({"clientVersion": details}, indent=2))
    elif output == "":
        print(f'kubeadm version: &version.Info{{GitVersion:"{kubeadm}", GitCommit:"{details["gitCommit"]}"}}')
    else:
        raise ConfigError(f"invalid output format: {output}")


def _images(kubeadm: Version, flags: dict[str, str]) -> None:
    repository = flags.get("image-repository")
    etcd = ""
    if "config" in flags:
        config = kubeadm_config.read(_path(flags), kubeadm)
        _warn(config.warnings)
        version, repository = config.version, config.image_repository or repository
        local = config.local_etcd
        if local.get("imageTag") or local.get("imageRepository"):
            where = local.get("imageRepository") or repository or version.repository
            etcd = f"{where}/etcd:{local.get('imageTag') or versions.etcd_tag(kubeadm, version.minor)}"
    elif "kubernetes-version" in flags:
        version = kubeadm_config.parsed_version(flags["kubernetes-version"], kubeadm)
    else:
        raise ConfigError("no version given: kubeadm would fetch https://dl.k8s.io/release/stable-1.txt")
    listed = versions.images(kubeadm, version, repository)
    if etcd:
        listed[-1] = etcd
    if flags.get("output") == "json":
        print(
            json.dumps({"kind": "Images", "apiVersion": "output.kubeadm.k8s.io/v1alpha3", "images": listed}, indent=4)
        )
    else:
        print("\n".join(listed))


def _etcd(kubeadm: Version, flags: dict[str, str]) -> None:
    config = kubeadm_config.read(_path(flags), kubeadm)
    _warn(config.warnings)
    if config.external:
        return  # as the real one: nothing is written, nothing is said, exit 0
    if "dry-run" in flags:
        raise ConfigError("this stand-in has no --dry-run for this phase")
    print(f'[etcd] Creating static Pod manifest for local etcd in "{kubeadm_etcd.MANIFESTS}"')
    kubeadm_etcd.write(config, kubeadm)


def _warn(warnings: list[str]) -> None:
    for text in warnings:
        print(f"W {text}", file=sys.stderr)
