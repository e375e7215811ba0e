"""Payloads made by hand, so that the installer is tested apart from what makes bundles."""

from __future__ import annotations

import datetime
import gzip
import hashlib
import io
import ipaddress
import json
import shutil
import tarfile
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from jinja2 import Template

from bundlegen.bundle.conf import IDENTITY, KEYS
from bundlegen.bundle.install_script import image_script, install_script

REPOSITORY = Path(__file__).parents[2]
PKI = "/etc/kubernetes/pki"
DROP_IN = "/etc/systemd/system/kubelet.service.d/20-etcd-service-manager.conf"
KUBELET_CONFIG = "/etc/systemd/system/kubelet.service.d/kubelet.conf"
KUBEADM_CONFIG = "/etc/kubernetes/kubeadmcfg.yaml"
POD = "/etc/kubernetes/manifests/etcd.yaml"
HEALTH = "/usr/local/bin/bundlegen-health"
GUARD = "/usr/local/bin/bundlegen-guard"
STATE = "/var/lib/bundlegen/test"
GOLDEN = "/usr/local/lib/bundlegen"
UNIT_CARRIED = "firstboot/bundlegen-firstboot.service"
DAY = 86400
NOW = int(time.time())  # one moment for a whole test run, so that the same bundle is the same bytes


@cache
def script() -> str:
    """install.sh, as it is in every bundle."""
    return install_script().decode()


@cache
def guard() -> bytes:
    """bundlegen-guard, as the bundle of a cluster called `test` places it."""
    text = (REPOSITORY / "templates" / "guard.sh.j2").read_text().replace("{{ state_dir }}", STATE)
    _, _, functions = (REPOSITORY / "templates/install/guard/log.sh").read_text().partition("\n")
    return text.replace("{{ log_functions }}", functions).encode()


class Authority:
    """A CA and what it signs; ECDSA, because it is quick."""

    def __init__(self, name: str = "one") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        common = "etcd-ca" if name == "one" else f"etcd-ca-{name}"
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        self.certificate = self._sign(self.name, self.key, x509.BasicConstraints(ca=True, path_length=None), [])

    def _sign(self, name, key, constraints, extra, days: float = 365):
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=30))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(constraints, critical=True)
        )
        for extension in extra:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def leaf(self, name: str, address: str, days: float = 365) -> tuple[bytes, bytes]:
        """Certificate and key, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        addresses = [x509.IPAddress(ipaddress.ip_address(one)) for one in (address, "127.0.0.1")]
        extra = [
            x509.SubjectAlternativeName([x509.DNSName(name), *addresses]),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
        ]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        constraints = x509.BasicConstraints(ca=False, path_length=None)
        return pem(self._sign(subject, key, constraints, extra, days)), private(key)


def crossed(new: str, old: str) -> bytes:
    """The CA ``new``, as the CA ``old`` has signed it."""
    ca, constraints = authority(new), x509.BasicConstraints(ca=True, path_length=None)
    return pem(authority(old)._sign(ca.name, ca.key, constraints, []))


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


@cache
def authority(name: str = "one") -> Authority:
    """The same CA for the same name within a test run."""
    return Authority(name)


@dataclass
class Payload:
    """What a bundle holds, to be changed at will before `write`."""

    host: str = "infra0"
    members: dict[str, str] = field(default_factory=lambda: {"infra0": "10.0.0.6"})
    mode: str = "rendered"
    ca: str = "one"
    signer: str = ""
    """The CA of the leaves, where that is another one: each is then followed by its cross certificate."""

    token: str = "token-1"
    etcd_argument: str = "--snapshot-count=10000"
    conf: dict[str, str] = field(default_factory=dict)
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    state: str = "new"
    days: float = 365
    issue: int = 0
    pieces: dict[str, bytes] = field(default_factory=dict)
    """Image archives by name, each as a compressed piece; where they travel is what a test decides."""

    with_image_script: bool = True

    def __post_init__(self) -> None:
        self.address = self.members[self.host]
        self._make_pki()
        self._make_texts()

    def _make_pki(self) -> None:
        signer = authority(self.ca)
        self.files[f"{PKI}/etcd/ca.crt"] = ("0644", pem(signer.certificate))
        self.files[f"{PKI}/etcd/ca.key"] = ("0600", private(signer.key))
        for base in ("etcd/server", "etcd/peer", "etcd/healthcheck-client", "apiserver-etcd-client"):
            certificate, key = leaf(self.signer or self.ca, base, self.host, self.address, self.days, self.issue)
            certificate += crossed_once(self.signer, "one") if self.signer else b""
            self.files[f"{PKI}/{base}.crt"] = ("0644", certificate)
            self.files[f"{PKI}/{base}.key"] = ("0600", key)

    def _make_texts(self) -> None:
        initial = ",".join(f"{name}=https://{bracketed(address)}:2380" for name, address in self.members.items())
        arguments = [
            f"--name={self.host}",
            "--data-dir=/var/lib/etcd",
            f"--initial-cluster={initial}",
            f"--initial-cluster-state={self.state}",
            f"--initial-cluster-token={self.token}",
            f"--listen-client-urls=https://{bracketed(self.address)}:2379",
            self.etcd_argument,
        ]
        pod = "spec:\n  containers:\n  - command:\n    - etcd\n" + "".join(f"    - {one}\n" for one in arguments)
        self.files[KUBEADM_CONFIG] = ("0600", f"etcd:\n{''.join(f'# {one}{chr(10)}' for one in arguments)}".encode())
        self.files[KUBELET_CONFIG] = ("0644", b"kind: KubeletConfiguration\ncgroupDriver: systemd\n")
        start = f"[Service]\nExecStartPre={GUARD}\nExecStart=\n"
        start += f"ExecStart=/usr/local/sbin/kubelet --config={KUBELET_CONFIG}\nRestart=always\n"
        self.files[DROP_IN] = ("0644", start.encode())
        health = (REPOSITORY / "templates" / "health-command.sh.j2").read_text().replace("{{ state_dir }}", STATE)
        self.files[HEALTH] = ("0755", health.encode())
        self.files[GUARD] = ("0755", guard())
        for unit in ("service", "timer"):
            template = Template(
                (REPOSITORY / f"templates/bundlegen-health.{unit}.j2").read_text(), keep_trailing_newline=True
            )
            text = template.render(health_command=HEALTH, metrics="", often=False)
            self.files[f"/etc/systemd/system/bundlegen-health.{unit}"] = ("0644", text.encode())
        if self.mode == "rendered":
            self.files[POD] = ("0600", pod.encode())
        self.files |= first_boot(STATE)
        self.conf = {key.name: key.example for key in KEYS} | {
            "CLUSTER": "test", "CHANGE": "create", "OPERATION": "create", "CHANGE_NUMBER": "1", "AFTER_CHANGE": "",
            "REQUIRED_CHANGE": "", "MEMBERS_BEFORE": "", "HOST": self.host, "ADDRESS": self.address,
            "MANIFEST_MODE": self.mode,
            "MEMBERS": " ".join(f"{name}={address}" for name, address in self.members.items()),
            "INITIAL_CLUSTER": initial, "INITIAL_STATE": self.state, "INITIAL_CLUSTER_TOKEN": self.token,
            "KUBELET_BINARY": "/usr/local/sbin/kubelet", "KUBELET_CONFIG": KUBELET_CONFIG,
            "RUNTIME_ENDPOINT": "unix:///run/containerd/containerd.sock", "ISSUED_AT": str(NOW - DAY),
            "NOT_BEFORE": str(NOW - 2 * DAY), "NOT_AFTER": str(NOW + 360 * DAY), "STATE_DIR": STATE,
            "HEALTH_COMMAND": HEALTH,
        } | self.conf  # fmt: skip

    def add_image(self, path: str, *names: str, padding: int = 0) -> None:
        """A docker-archive that names these images."""
        text = json.dumps([{"Config": "c.json", "RepoTags": names, "Layers": []}]).encode()
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            member = tarfile.TarInfo("manifest.json")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
        stream.write(bytes(padding))
        self.files[path] = ("0600", stream.getvalue())
        piece = io.BytesIO()
        with gzip.GzipFile(fileobj=piece, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
            member = tarfile.TarInfo(f"./{path}")
            member.size = len(stream.getvalue())
            tar.addfile(member, io.BytesIO(stream.getvalue()))
        self.pieces[path] = piece.getvalue()
        self._index()
        listed = self.files.get("images/LIST", ("", b""))[1].decode().splitlines(keepends=True)
        listed += [f"{image_id(name)} {path.removeprefix('images/')} {name}\n" for name in names]
        self.files["images/LIST"] = ("0644", "".join(sorted(listed)).encode())

    def _index(self) -> None:
        lines, offset = [], 0
        for path, piece in self.pieces.items():
            lines.append(f"{path.removeprefix('images/')} {offset} {len(piece)} {hashlib.sha256(piece).hexdigest()}\n")
            offset += len(piece)
        self.files["images/PIECES"] = ("0644", "".join(lines).encode())

    def write(self, folder: Path, *, whole: bool = False) -> Path:
        """The payload as a folder, without its image archives if not ``whole``; returns the folder.

        Where bundle.conf has an IMAGES_FILE, MANIFEST does not know them either.
        """
        shutil.rmtree(folder, ignore_errors=True)
        lines = []
        own = {"install.sh": install_script(), "bundle.conf": self._conf_text().encode()}
        if self.with_image_script:
            own["image.sh"] = image_script()
        for path, (mode, data) in (self.files | {name: ("0644", data) for name, data in own.items()}).items():
            if self.conf["IMAGES_FILE"] and path in self.pieces:
                continue
            if whole or path not in self.pieces:
                place = folder / ("files" + path if path.startswith("/") else path)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)
            lines.append((path, f"{mode} root:root {hashlib.sha256(data).hexdigest()} {path}\n"))
        (folder / "MANIFEST").write_text("".join(line for _, line in sorted(lines)))
        return folder

    def _conf_text(self) -> str:
        return "".join(f"{key}='{value}'\n" for key, value in sorted(self.conf.items()))


class Base(Payload):
    """What the bundle for images holds."""

    def __post_init__(self) -> None:
        super().__post_init__()
        hosts = {name for name in self.files if name.startswith(PKI) or name in (KUBEADM_CONFIG, POD)}
        self.files = {name: file for name, file in self.files.items() if name not in hosts} | first_boot(GOLDEN)
        self.conf |= {"KIND": "base", "STATE_DIR": GOLDEN} | dict.fromkeys(IDENTITY, "")


def first_boot(state: str) -> dict[str, tuple[str, bytes]]:
    """The unit and the settings that a bundle carries for images."""
    folder = REPOSITORY / "templates" / "firstboot"
    unit = (folder / "bundlegen-firstboot.service.j2").read_text().replace("{{ state_dir }}", state)
    settings = (folder / "firstboot.conf.j2").read_bytes()
    return {UNIT_CARRIED: ("0644", unit.encode()), "firstboot/firstboot.conf": ("0644", settings)}


def image_id(name: str) -> str:
    """The ID of the one image that the stand-in runtime knows by this name."""
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


crossed_once = cache(crossed)


@cache
def leaf(ca: str, base: str, host: str, address: str, days: float, issue: int = 0) -> tuple[bytes, bytes]:
    """The same certificate for the same request and issue within a test run, as a PKI store would give."""
    return authority(ca).leaf(base.rsplit("/", 1)[-1] if "client" in base else host, address, days)
