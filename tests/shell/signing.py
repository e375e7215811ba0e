"""Bundles that are signed, and hosts that demand it: what tests of bundlegen-apply share."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable
from pathlib import Path

from bundlegen import layout
from bundlegen.bundle.render import Renderer
from bundlegen.spec import check
from bundlegen.system import resources
from tests.shell.payload import Payload

SIGNER = "ops@example.net"


class Keys:
    """Two people's keys: of one who may sign, and of one who may not."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.good, self.other = folder / "good", folder / "other"
        for key in (self.good, self.other):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key], check=True)
        self.allowed = f"{SIGNER} {self.good.with_suffix('.pub').read_text().strip()}\n".encode()

    def sign(self, content: bytes, key: Path | None = None, namespace: str = "bundlegen") -> bytes:
        argv: list[str | Path] = ["ssh-keygen", "-q", "-Y", "sign", "-f", key or self.good, "-n", namespace]
        return subprocess.run(argv, input=content, stdout=subprocess.PIPE, check=True).stdout

    def demand(self) -> dict[str, tuple[str, bytes]]:
        """What a bundle places on a host of the cluster `test` that demands a signature."""
        cluster = check.parse(
            {"name": "test", "kubernetesVersion": "v1.31.4", "hosts": [{"name": "infra0", "address": "10.0.0.6"}]}
        )
        program = Renderer(cluster, "", resources.template_text).apply_command(SIGNER)
        return {
            layout.APPLY_COMMAND: ("0755", program.encode()),
            layout.ALLOWED_SIGNERS: ("0644", self.allowed),
        }


def demanding(payload: Payload, keys: Keys) -> Payload:
    payload.files |= keys.demand()
    return payload


def sums_of(files: Iterable[Path]) -> bytes:
    return "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files).encode()


def sign_folder(folder: Path, keys: Keys, key: Path | None = None, namespace: str = "bundlegen") -> None:
    """SHA256SUMS of all bundles in the folder, and its signature."""
    content = sums_of(sorted(folder.glob("*.run*")))
    (folder / layout.SUMS).write_bytes(content)
    (folder / layout.SIGNATURE).write_bytes(keys.sign(content, key, namespace))
