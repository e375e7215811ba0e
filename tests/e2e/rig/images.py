"""Container images for the hosts, made from Debian packages: no registry is ever asked."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import shutil
import struct
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.rig import cache
from tests.e2e.rig.commands import run
from tests.e2e.rig.rootfs import rootfs

# Debian 13's etcd is 3.5.16: it has /livez and /readyz (3.5.11 and later), which the probes of Kubernetes 1.31 and
# later ask for, and knows the flags of every kubeadm up to 1.33. Debian 12's 3.4 has neither.
# BUNDLEGEN_E2E_ETCD_SUITE names another suite: what its etcd is, the image's name does not say.
ETCD_SUITE = os.environ.get("BUNDLEGEN_E2E_ETCD_SUITE", "trixie")
OLD_ETCD_SUITE = "bookworm"

REGISTRY_SUITE = "bookworm"

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def etcd_programs(suite: str = ETCD_SUITE) -> Path:
    """A folder with Debian's etcd, etcdctl and the C library they need, as an image's root."""
    return cache.made_once("etcd", [suite, Path(__file__).read_text()], lambda target: _extract_etcd(suite, target))


def registry_program() -> Path:
    """Debian's docker-registry; only unpacked, since its package would start a service on this machine."""
    made = cache.made_once("registry", [REGISTRY_SUITE], _extract_registry)
    return made / "docker-registry"


def _extract_registry(target: Path) -> None:
    with extracted(target, REGISTRY_SUITE, "docker-registry") as root:
        shutil.copy2(root / "usr/bin/docker-registry", target)


@contextmanager
def extracted(target: Path, suite: str, packages: str) -> Iterator[Path]:
    """The files of Debian packages and what they depend on, beside ``target``; nothing of them is run."""
    root = target.with_suffix(".extracted")
    shutil.rmtree(root, ignore_errors=True)
    # a mirror may be weeks behind sid
    lagging = '--aptopt=Acquire::Check-Valid-Until "false"'
    run(["mmdebstrap", "--variant=extract", lagging, f"--include={packages}", suite, root], timeout=600)
    yield root
    shutil.rmtree(root)


def _extract_etcd(suite: str, target: Path) -> None:
    with extracted(target, suite, "etcd-server,etcd-client") as root:
        wanted = [root / "usr/bin" / name for name in ("etcd", "etcdctl", "etcdutl")]
        for pattern in ("libc.so.6", "libresolv.so.2", "libpthread.so.0", "ld-linux*.so.*"):
            wanted += [path for top in ("usr", "lib", "lib64") for path in (root / top).rglob(pattern)]
        for source in wanted:
            if source.exists():
                copy = target / source.relative_to(root)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, copy)
    # Since Debian 13 the packages themselves have everything below /usr, and the links are another package's.
    for name in ("bin", "lib", "lib64"):
        if not (target / name).exists() and (target / "usr" / name).exists():
            (target / name).symlink_to(f"usr/{name}")


# kubeadm 1.34 and later write two flags as only etcd 3.6 knows them. Debian has no 3.6 yet; its 3.5 has the same flags
# under their former names, so an image that is to pass for 3.6 starts through this.
TRANSLATE_FLAGS = b"""#!/usr/bin/busybox sh
for word in "$@"; do
  shift
  case $word in
    --feature-gates=InitialCorruptCheck=true) word=--experimental-initial-corrupt-check=true ;;
    --watch-progress-notify-interval=*) word=--experimental-${word#--} ;;
  esac
  set -- "$@" "$word"
done
exec /usr/bin/etcd "$@"
"""


def etcd_archive(image: str, suite: str = ETCD_SUITE) -> Path:
    """A docker-archive with Debian's etcd under the name that the Kubernetes version asks for."""
    programs = etcd_programs(suite)
    added: dict[str, bytes] = {}
    if tuple(int(number) for number in image.rpartition(":")[2].split(".")[:2]) >= (3, 6):
        busybox = (rootfs() / "usr/bin/busybox").read_bytes()
        added = {"usr/bin/busybox": busybox, "usr/local/bin/etcd": TRANSLATE_FLAGS}
    made = cache.made_once(
        "etcd-image",
        [str(programs), image, Path(__file__).read_text()],
        lambda target: _write_archive(_tar_of(programs, added), image, target / "image.tar", []),
    )
    return made / "image.tar"


def pause_archive(tag: str) -> Path:
    """A docker-archive whose only file waits for ever: what holds a Pod's namespaces."""
    made = cache.made_once(
        "pause-image",
        [tag, platform.machine(), Path(__file__).read_text()],
        lambda target: _write_archive(_pause_layer(), tag, target / "image.tar", ["/pause"]),
    )
    return made / "image.tar"


def _tar_of(root: Path, added: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(root.iterdir()):
            tar.add(path, arcname=path.name, filter=_as_root)
        for name, program in added.items():
            _add_program(tar, name, program)
    return buffer.getvalue()


def _add_program(tar: tarfile.TarFile, name: str, program: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(program), 0o755
    tar.addfile(member, io.BytesIO(program))


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = "root"
    return member


def _pause_layer() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        _add_program(tar, "pause", waiting_program(platform.machine()))
    return buffer.getvalue()


def waiting_program(machine: str) -> bytes:
    """A static ELF program that calls pause(2) in a loop, so that no compiler is needed for one instruction's worth.

    As process 1 of its PID namespace it takes no default action on SIGTERM; a runtime ends it with SIGKILL, at once
    where the grace period is 0.
    """
    code, elf_machine = {
        # mov eax, 34 (pause); syscall; jmp back
        "x86_64": (bytes.fromhex("b822000000 0f05 ebf7"), 62),
        # ppoll(NULL, 0, NULL, NULL): mov x0..x3, #0; mov x8, #73; svc #0; b back
        "aarch64": (
            struct.pack("<7I", 0xD2800000, 0xD2800001, 0xD2800002, 0xD2800003, 0xD2800928, 0xD4000001, 0x17FFFFFA),
            183,
        ),
    }[machine]
    base, headers = 0x400000, 64 + 56
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header = ident + struct.pack("<HHIQQQIHHHHHH", 2, elf_machine, 1, base + headers, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    size = headers + len(code)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000)
    return header + segment + code


def _write_archive(layer: bytes, tag: str, target: Path, entrypoint: list[str]) -> None:
    config = {
        "architecture": ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {"Entrypoint": entrypoint or None, "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created_by": "tests/e2e"}],
    }
    config_bytes = json.dumps(config).encode()
    config_name = f"{hashlib.sha256(config_bytes).hexdigest()}.json"
    index = [{"Config": config_name, "RepoTags": [tag], "Layers": ["layer/layer.tar"]}]
    with tarfile.open(target, "w") as tar:
        for name, data in (
            (config_name, config_bytes),
            ("layer/layer.tar", layer),
            ("manifest.json", json.dumps(index).encode()),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
