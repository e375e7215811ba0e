"""Every name, path and mode: in a bundle, on a host, in ``out/``. Pure.

The producer, the checks and the tests all read them here. What is on a host follows kubeadm
(``cmd/kubeadm/app/constants/constants.go``) and the guide "Set up a High Availability etcd Cluster with kubeadm".
"""

from __future__ import annotations

import re
from typing import Final

# In a bundle (docs/bundle-format.md).
FORMAT: Final = "1"
INSTALLER: Final = "install.sh"
IMAGE_SCRIPT: Final = "image.sh"
CONF: Final = "bundle.conf"
SPECIFICATION: Final = "cluster.json"
MANIFEST: Final = "MANIFEST"
FILES: Final = "files"
IMAGES: Final = "images"
IMAGE_LIST: Final = f"{IMAGES}/LIST"
IMAGE_PIECES: Final = f"{IMAGES}/PIECES"
SEALED: Final = "sealed"
FIRSTBOOT_SERVICE: Final = "firstboot/bundlegen-firstboot.service"
FIRSTBOOT_CONF: Final = "firstboot/firstboot.conf"
KIND_HOST: Final = "host"
KIND_BASE: Final = "base"

# On a host.
OWNER: Final = "root:root"
PKI_DIR: Final = "/etc/kubernetes/pki"
KUBEADM_CONFIG: Final = "/etc/kubernetes/kubeadmcfg.yaml"
STATIC_POD_DIR: Final = "/etc/kubernetes/manifests"
STATIC_POD_MANIFEST: Final = f"{STATIC_POD_DIR}/etcd.yaml"
KUBELET_DROPIN_DIR: Final = "/etc/systemd/system/kubelet.service.d"
KUBELET_DROPIN: Final = f"{KUBELET_DROPIN_DIR}/20-etcd-service-manager.conf"
HEALTH_COMMAND: Final = "/usr/local/sbin/bundlegen-health"
GUARD_COMMAND: Final = "/usr/local/sbin/bundlegen-guard"
HEALTH_SERVICE: Final = "/etc/systemd/system/bundlegen-health.service"
HEALTH_TIMER: Final = "/etc/systemd/system/bundlegen-health.timer"
SNAPSHOT_COMMAND: Final = "/usr/local/sbin/bundlegen-snapshot"
SNAPSHOT_SERVICE: Final = "/etc/systemd/system/bundlegen-snapshot.service"
SNAPSHOT_TIMER: Final = "/etc/systemd/system/bundlegen-snapshot.timer"
APPLY_COMMAND: Final = "/usr/local/sbin/bundlegen-apply"
ALLOWED_SIGNERS: Final = "/etc/bundlegen/allowed_signers"
OWN_FILES: Final = (KUBELET_DROPIN, HEALTH_COMMAND, GUARD_COMMAND, HEALTH_SERVICE, HEALTH_TIMER)
"""What follows from bundlegen itself more than from a specification: another version makes other bytes."""

STATE_ROOT: Final = "/var/lib/bundlegen"
BASE_DIR: Final = "/usr/local/lib/bundlegen"

# Modes, as kubeadm sets them (client-go util/cert/io.go, keyutil/key.go; staticpod/utils.go).
MODE_CERTIFICATE: Final = 0o644
MODE_KEY: Final = 0o600
MODE_SECRET: Final = 0o600
MODE_PLAIN: Final = 0o644
MODE_PROGRAM: Final = 0o755
MODE_BUNDLE: Final = 0o700
MODE_PRIVATE_DIR: Final = 0o700

# In out/<cluster>/<change>/.
BUNDLE_SUFFIX: Final = ".run"
CONTROL_PLANE: Final = "control-plane"
"""A folder of the change: what control planes need of another CA."""
SHARED_IMAGES: Final = "images.tar.gz"
SUMS: Final = "SHA256SUMS"
SIGNATURE: Final = f"{SUMS}.sig"
RECORD: Final = "change.json"
RECORD_MARKDOWN: Final = "CHANGE.md"
RECORD_ANNEX: Final = "CHANGE-annex.md"
RECORD_HTML: Final = "change.html"
RECORD_CALENDAR: Final = "renewal.ics"
FIRST_CHANGE: Final = "create"
BASE: Final = "base"
"""What the bundle that no host owns is called where hosts have their names: in ``base.run``, in diffs."""

# In out/<cluster>/, beside the changes.
PACKER_DIR: Final = "packer"
PACKER_EXAMPLE: Final = "example.pkrvars.hcl"

_CHANGE: Final = re.compile(rf"{FIRST_CHANGE}|([1-9][0-9]{{0,6}})-[a-z][a-z-]{{0,63}}", re.ASCII)
_DESTINATION: Final = re.compile(r"/?[A-Za-z0-9._+@-]+(?:/[A-Za-z0-9._+@-]+)*", re.ASCII)


def bundle_name(host: str) -> str:
    """File name of a host's bundle in the change folder."""
    return f"{host}{BUNDLE_SUFFIX}"


def change_name(number: int, operation: str) -> str:
    """What a change is called: ``create`` if it is the first, then ``2-configure``."""
    return FIRST_CHANGE if (number, operation) == (1, FIRST_CHANGE) else f"{number}-{operation}"


def change_number(name: str) -> int | None:
    """The number of the change called ``name``; None for what no change is called."""
    found = _CHANGE.fullmatch(name)
    return (int(found[1]) if found[1] else 1) if found else None


def state_dir(cluster: str) -> str:
    """The installer's own folder on a host."""
    return f"{STATE_ROOT}/{cluster}"


def pki_path(relative: str) -> str:
    """Where a file of the PKI folder, such as ``etcd/server.key``, is on a host."""
    return f"{PKI_DIR}/{relative}"


def payload_path(destination: str) -> str:
    """Where in the payload the file for ``destination`` is: below ``files/`` if it is placed, itself if not."""
    return f"{FILES}{destination}" if destination.startswith("/") else destination


def sealed_path(destination: str) -> str:
    """Where in the payload the encrypted form of a placed file is."""
    return f"{SEALED}{destination}"


def is_archive(destination: str) -> bool:
    """Whether what MANIFEST calls so is an image archive, which is a piece of its own."""
    return destination.startswith(f"{IMAGES}/") and destination not in (IMAGE_LIST, IMAGE_PIECES)


def is_destination(text: str) -> bool:
    """Whether ``text`` may stand in MANIFEST: safe characters, no empty, ``.`` or ``..`` component."""
    return _DESTINATION.fullmatch(text) is not None and not {".", ".."} & set(text.split("/"))
