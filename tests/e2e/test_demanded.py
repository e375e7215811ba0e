"""Real hosts that demand a signature: an image at its first boot, and a host that is changed later."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.clusters import Cluster, bundlegen, run_bundle
from tests.e2e.rig.host import Host
from tests.e2e.test_bake import FOLDER, bake, is_member, is_nobody, journal, restart

SIGNER = "ops@example.net"
APPLY = "/usr/local/sbin/bundlegen-apply"
STICK = "/root/signed"
SIGNED = ("SHA256SUMS", "SHA256SUMS.sig")
REFUSED, DAMAGED = 11, 12


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("good", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", folder / name], check=True)
    return folder


@pytest.fixture(scope="module")
def demanding(make_cluster: Callable[..., Cluster], keys: Path) -> Cluster:
    return make_cluster(
        "demanding",
        addresses=["10.0.0.6"],
        pki={"encryptionAlgorithm": "ECDSA-P256"},
        trust={"signer": SIGNER, "signers": [f"{SIGNER} {(keys / 'good.pub').read_text().strip()}"]},
        build_options=["--base", "--sign-key", str(keys / "good")],
    )


def give(host: Host, change: Cluster, folder: str, *names: str) -> None:
    for name in ("infra0.run", *names):
        inside = host.put(change.out / name, f"{folder}/{name}")
        host.exec(["chown", "root:root", inside])
        host.exec(["chmod", "0600", inside])
    host.exec(["chmod", "0700", folder])


def resign(host: Host, key: Path, folder: str) -> None:
    """The sums of what lies there, signed by this key."""
    content = host.exec(["sh", "-c", f"cd {folder} && sha256sum infra0.run | tee SHA256SUMS"]).stdout
    argv: list[str | Path] = ["ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", "bundlegen"]
    signature = subprocess.run(argv, input=content, stdout=subprocess.PIPE, text=True, check=True).stdout
    host.write(f"{folder}/SHA256SUMS.sig", signature, 0o600)


def test_an_image_runs_nothing_that_is_not_signed(demanding: Cluster, keys: Path, host: Host) -> None:
    bake(host, demanding.out / "base.run")
    give(host, demanding, FOLDER)
    restart(host)
    is_nobody(host, "is refused: /var/lib/bundlegen-firstboot/SHA256SUMS is not there")
    # it would tell if a shell ever ran it
    host.exec(["sed", "-i", "2i touch /root/it-ran", f"{FOLDER}/infra0.run"])
    resign(host, keys / "other", FOLDER)
    restart(host)
    is_nobody(host, f"SHA256SUMS has no good signature of {SIGNER}")
    for name in SIGNED:
        host.put(demanding.out / name, f"{FOLDER}/{name}")
    restart(host)
    is_nobody(host, f"is not in SHA256SUMS, which {SIGNER} has signed")
    assert not host.path("/root/it-ran").exists()
    give(host, demanding, FOLDER, *SIGNED)
    host.exec(["systemctl", "start", "bundlegen-firstboot"], timeout=300)
    is_member(host)
    assert f"Signed by {SIGNER}: infra0.run of create." in journal(host)


def test_a_host_is_changed_later(demanding: Cluster, keys: Path, host: Host) -> None:
    run_bundle(host, demanding.bundle(0))
    demanding.edit(etcd={"extraArgs": {"snapshot-count": "20000"}})
    bundlegen(["build", "cluster.yaml", "--sign-key", str(keys / "good")], demanding.folder)
    change = demanding.named("2-configure")
    give(host, change, STICK)
    apply = [APPLY, f"{STICK}/infra0.run"]
    refused = host.exec(apply, check=False)
    assert (refused.returncode, "SHA256SUMS is not there, or is no file" in refused.stderr) == (REFUSED, True)
    give(host, change, STICK, *SIGNED)
    host.exec(["sh", "-c", f"printf x >> {STICK}/infra0.run"])
    refused = host.exec(apply, check=False)
    assert (refused.returncode, "it was altered, or is another change's" in refused.stderr) == (DAMAGED, True)
    give(host, change, STICK, *SIGNED)
    done = host.exec([*apply, "preflight"])
    assert "This host is ready for this bundle." in done.stdout
    done = host.exec(apply, timeout=300)
    assert "is healthy: all 1 members answer." in done.stdout
    (etcd,) = host.exec(["pgrep", "--exact", "etcd"]).stdout.split()
    assert "--snapshot-count=20000" in host.exec(["cat", f"/proc/{etcd}/cmdline"]).stdout
    # what was signed before is signed still, and old
    give(host, demanding.named("create"), STICK, *SIGNED)
    refused = host.exec(apply, check=False)
    assert (refused.returncode, "is older than 2-configure" in refused.stderr) == (REFUSED, True)
