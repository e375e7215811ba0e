"""Between the key and the certificate of a pair: killed there, and asked there."""

from __future__ import annotations

import subprocess

import pytest

from tests.shell.changes import renew
from tests.shell.payload import PKI, Payload
from tests.shell.sandbox import Sandbox
from tests.shell.test_renew import PAIRS, PROOF, on_disk, shown


@pytest.fixture
def member(host: Sandbox) -> Sandbox:
    assert host.install(Payload()).returncode == 0
    return host


def _pieces(calls: list[str]) -> list[int]:
    """The calls that rename a key or a certificate of etcd's, and the one after each."""
    renames = [number for number, call in enumerate(calls) if call.startswith("mv ") and f"{PKI}/" in call]
    return sorted({point + after for point in renames for after in (1, 2)})


@pytest.mark.parametrize("share", range(2))
def test_killed_between_key_and_certificate(member: Sandbox, share: int) -> None:
    """The next run makes it right, or the way back does: every pair fits, and is either the new or the old one."""
    folder = member.unpack(renew())
    before = {base: on_disk(member, base) for base in PAIRS}
    member.arm(0, "none")
    assert member.run_armed(folder, "install").returncode == 0
    points = _pieces(member.disarm())
    after = {base: on_disk(member, base) for base in PAIRS}
    assert member.run(folder, "rollback").returncode == 0
    torn = 0
    for number, point in enumerate(points[5 * share :][:5]):
        member.arm(point, "kill")
        assert member.run_armed(folder, "install").returncode == -9
        member.disarm()
        torn += not all(_fits(member, base) for base in PAIRS)
        if number // 2 % 2:
            done = member.run(folder, "install")
            assert (done.returncode, PROOF in done.stdout) == (0, True), done.stderr
            assert {base: on_disk(member, base) for base in PAIRS} == after
        done = member.run(folder, "rollback")
        assert done.returncode == 0, done.stderr
        assert {base: on_disk(member, base) for base in PAIRS} == before
        assert all(_fits(member, base) for base in PAIRS)
        assert shown(member, 2379) == on_disk(member, "etcd/server")
    assert (len(points), torn) == (9, 2)


def _fits(host: Sandbox, base: str) -> bool:
    words = [f"openssl x509 -noout -pubkey -in {PKI}/{base}.crt", f"openssl pkey -pubout -in {PKI}/{base}.key"]
    return len({host.execute("/bin/bash", "-c", one).stdout for one in words}) == 1


def test_no_pair_is_torn_for_long(member: Sandbox) -> None:
    """Key and certificate are renamed right after each other: of connections made without a pause, hardly one fails."""
    tries = "while true; do exec 3<>/dev/tcp/10.0.0.6/2379 && exec 3>&-; done"
    with subprocess.Popen(member.command(["/bin/bash", "-c", tries]), stderr=subprocess.DEVNULL) as asking:
        done = member.install(renew())
        asking.kill()
    assert done.returncode == 0
    assert len(member.stubbed("mismatches").splitlines()) < 10
