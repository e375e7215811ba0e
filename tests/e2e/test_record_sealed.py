"""The record of a change with sealed keys, a signature, and bundles in parts: its commands are run as printed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.e2e.clusters import STICK, Cluster, bundlegen
from tests.e2e.printed import printed, run_as_printed
from tests.e2e.rig.commands import run
from tests.e2e.rig.host import Host


def test_every_command_does_what_the_record_says(
    make_cluster: Callable[..., Cluster], boot: Callable[..., list[Host]], tmp_path: Path
) -> None:
    """The parts are carried, not the bundle; the unlock code is given where the record says that it is asked for."""
    key = tmp_path / "key"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)])
    cluster = make_cluster(
        "parts",
        addresses=["10.0.0.6"],
        pki={"encryptionAlgorithm": "ECDSA-P256"},
        build_options=["--seal", "--sign-key", str(key), "--split", "40k", "--extension", "bin"],
    )
    bundlegen(["unlock-codes", cluster.name, "--file", "codes"], cluster.folder)
    (host,) = boot(cluster)
    parts = sorted(cluster.out.glob("infra0.run.*.bin"))
    for path in (*parts, cluster.out / "SHA256SUMS"):
        host.put(path, f"{STICK}/")
    change = shutil.copytree(cluster.out, tmp_path / "change")
    (change / "allowed_signers").write_text(f"approver {key.with_suffix('.pub').read_text()}")
    code = (cluster.folder / "codes").read_text().split()[-1]
    commands = printed(cluster, 9)
    install = next(each for each in commands if each.text == "sh infra0.run")
    for command in commands:
        if command.text.startswith("bash "):  # once more, for the installed copy to have something to take back
            run_as_printed(install, change, {"infra0": host}, typed=f"{code}\n")
        run_as_printed(command, change, {"infra0": host}, typed=f"{code}\n" if command == install else None)
    assert len(parts) > 1
