"""A host that demands a signature: not a byte of a bundle is run before it is known to be signed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bundlegen import layout
from bundlegen.bundle.stub import Stub, make_stub
from tests import figures
from tests.shell.payload import PKI, STATE, Base, Payload
from tests.shell.sandbox import Sandbox
from tests.shell.signing import Keys, demanding, sign_folder, sums_of
from tests.shell.test_firstboot import FOLDER, MEMBERS, Image

STICK = "/media/stick"
RAN = "/var/lib/it-ran"
TRACE = "/run/trace"
OWN_PROGRAMS = {
    *("bash", "cat", "cut", "dd", "gzip", "head", "mkdir", "mktemp", "rm", "sha256sum", "ssh-keygen", "stat", "tar"),
    *("tee", "wc"),
}
"""None of them runs what it is given."""
REFUSED, DAMAGED, WRONG_HOST = 11, 12, 10


@pytest.fixture(scope="module")
def stub() -> Stub:
    return make_stub()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys") / "of")


def started(trace: str) -> set[str]:
    """The programs that were run, as strace tells."""
    return {Path(found).name for found in re.findall(r'execve(?:at)?\("([^"]*)".* = 0$', trace, re.MULTILINE)}


class Demanding:
    """A host that was told whose signature it demands, and a stick with a bundle."""

    def __init__(self, host: Sandbox, stub: Stub, keys: Keys) -> None:
        self.host, self.keys = host, keys
        self._image = Image.__new__(Image)
        self._image.host, self._image.stub = host, stub
        for path, (mode, content) in keys.demand().items():
            place = host.path(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
            place.chmod(int(mode, 8))
        self.stick = host.path(STICK)

    def carry(self, payload: Payload | None = None, name: str = "infra0.run") -> Path:
        """A signed bundle whose own code, and whose stub, would be noticed if they ran."""
        payload = payload or demanding(Payload(), self.keys)
        place = self._image.bundle(name, payload, STICK)
        place.chmod(0o644)
        sign_folder(self.stick, self.keys)
        return place

    def apply(self, *words: str, name: str = "infra0.run") -> subprocess.CompletedProcess[str]:
        return self.host.execute("/bin/bash", "-p", layout.APPLY_COMMAND, f"{STICK}/{name}", *words)

    def refused(self, code: int, said: str, name: str = "infra0.run") -> None:
        """It says so, and nothing has happened; neither where it is asked whose the bundle is."""
        before = self.host.tree(times=True, receipts=True)
        for words in ((), ("rollback",)):
            done = self.apply(*words, name=name)
            assert (done.returncode, said in done.stderr) == (code, True), done.stdout + done.stderr
            assert "PRIVATE KEY" not in done.stdout + done.stderr
        trace = ("/usr/bin/strace", "-f", "-qq", "-e", "trace=execve,execveat", "-o", TRACE)
        done = self.host.execute(*trace, "/bin/bash", "-p", layout.APPLY_COMMAND, "--identify", f"{STICK}/{name}")
        assert done.returncode == code
        assert started(self.host.path(TRACE).read_text()) <= OWN_PROGRAMS
        self.host.path(TRACE).unlink()
        assert not self.host.path(RAN).exists()
        assert not self.host.path(PKI).exists()
        assert self.host.tree(times=True, receipts=True) == before
        assert not list(self.host.path("/run").glob("bundlegen-unpack*"))


@pytest.fixture
def at(host: Sandbox, stub: Stub, keys: Keys) -> Demanding:
    return Demanding(host, stub, keys)


def betray(place: Path) -> None:
    """The file tells if a shell ever runs it."""
    header, newline, rest = place.read_bytes().partition(b"\n")
    place.write_bytes(header + newline + f"touch {RAN}\n".encode() + rest)


def test_the_right_one(at: Demanding) -> None:
    at.carry()
    done = at.apply()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Signed by ops@example.net: infra0.run of create." in done.stderr
    assert "The cluster test is healthy: all 1 members answer." in done.stdout
    assert "run later bundles with bundlegen-apply" in done.stdout
    assert not list(at.host.path("/run").glob("bundlegen-unpack*"))
    again = at.apply()
    assert "Already installed; nothing changed." in again.stdout
    checked = at.apply("preflight")
    assert "later bundles are run with bundlegen-apply, which demands a signature" in checked.stdout
    back = at.apply("--", "rollback")
    assert back.returncode == 0, back.stderr
    assert not at.host.path(PKI).exists()


def test_whose_it_is(at: Demanding) -> None:
    at.carry()
    done = at.host.execute("/bin/bash", "-p", layout.APPLY_COMMAND, "--identify", f"{STICK}/infra0.run")
    assert done.returncode == 0
    assert done.stdout.splitlines()[:5] == [
        "kind host", "host infra0", "address 10.0.0.6", "cluster test", "change create",
    ]  # fmt: skip
    assert not at.host.path(STATE).exists()


def test_renamed_it_is_the_same(at: Demanding) -> None:
    at.carry().rename(at.stick / "Infra0 (1).txt")
    assert at.apply(name="Infra0 (1).txt").returncode == 0


def test_its_stub_is_never_run(at: Demanding) -> None:
    """Signed or not: of a bundle the installer alone is run, and that from memory."""
    place = at.carry()
    betray(place)
    sign_folder(at.stick, at.keys)
    at.apply()
    assert not at.host.path(RAN).exists()


Spoil = Callable[[Demanding, Path], None]


def _other_key(at: Demanding, _place: Path) -> None:
    sign_folder(at.stick, at.keys, at.keys.other)


def _other_namespace(at: Demanding, _place: Path) -> None:
    sign_folder(at.stick, at.keys, namespace="file")


def _no_signature(at: Demanding, _place: Path) -> None:
    (at.stick / layout.SIGNATURE).unlink()


def _no_sums(at: Demanding, _place: Path) -> None:
    (at.stick / layout.SUMS).unlink()


def _sums_altered(at: Demanding, place: Path) -> None:
    betray(place)
    (at.stick / layout.SUMS).write_bytes(sums_of([place]))


def _huge_sums(at: Demanding, _place: Path) -> None:
    with (at.stick / layout.SUMS).open("ab") as file:
        file.truncate(1 << 30)


def _folder_as_signature(at: Demanding, _place: Path) -> None:
    (at.stick / layout.SIGNATURE).unlink()
    (at.stick / layout.SIGNATURE).mkdir()


def _signed_nonsense(at: Demanding, place: Path) -> None:
    _signed(at, sums_of([place]) + b"$(touch /var/lib/it-ran)  x.run\n")


def _signed_twice(at: Demanding, place: Path) -> None:
    _signed(at, sums_of([place]) + b"0" * 64 + b"  infra0.run\n")


def _signed_under_another_name(at: Demanding, place: Path) -> None:
    _signed(at, sums_of([place]).replace(b"infra0.run", b"CHANGE.md"))


def _signed(at: Demanding, content: bytes) -> None:
    (at.stick / layout.SUMS).write_bytes(content)
    (at.stick / layout.SIGNATURE).write_bytes(at.keys.sign(content))


def _others_may_write_the_list(at: Demanding, _place: Path) -> None:
    at.host.path(layout.ALLOWED_SIGNERS).chmod(0o666)


def _no_list(at: Demanding, _place: Path) -> None:
    at.host.path(layout.ALLOWED_SIGNERS).unlink()


def _altered(at: Demanding, place: Path) -> None:
    betray(place)


def _cut(_at: Demanding, place: Path) -> None:
    place.write_bytes(place.read_bytes()[:-1])


def _empty(_at: Demanding, place: Path) -> None:
    place.write_bytes(b"")


SPOILT: dict[str, tuple[Spoil, int, str]] = {
    "another's key": (_other_key, REFUSED, "has no good signature of ops@example.net"),
    "another namespace": (_other_namespace, REFUSED, "has no good signature of ops@example.net"),
    "no signature": (_no_signature, REFUSED, "SHA256SUMS.sig is not there, or is no file"),
    "no sums": (_no_sums, REFUSED, "SHA256SUMS is not there, or is no file"),
    "sums of another folder": (_sums_altered, REFUSED, "has no good signature of ops@example.net"),
    "sums without end": (_huge_sums, REFUSED, "is larger than any that bundlegen makes"),
    "a folder as signature": (_folder_as_signature, REFUSED, "SHA256SUMS.sig is not there, or is no file"),
    "nonsense that is signed": (_signed_nonsense, REFUSED, "holds a line that is no sum: $(touch"),
    "a name twice": (_signed_twice, REFUSED, "names infra0.run twice"),
    "signed as what is no bundle": (_signed_under_another_name, DAMAGED, "is not in SHA256SUMS, which ops@example.net"),
    "a list that others may write": (_others_may_write_the_list, REFUSED, "can be written by others than root"),
    "no list": (_no_list, REFUSED, "allowed_signers is missing"),
    "altered": (_altered, DAMAGED, "it was altered, or is another change's"),
    "cut": (_cut, DAMAGED, "it was altered, or is another change's"),
    "empty": (_empty, DAMAGED, "it was altered, or is another change's"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_what_is_not_as_demanded(case: str, at: Demanding) -> None:
    spoil, code, said = SPOILT[case]
    spoil(at, at.carry())
    at.refused(code, said)


def test_altered_anywhere(at: Demanding) -> None:
    """One bit after every so many bytes."""
    place = at.carry()
    content = place.read_bytes()
    for offset in range(0, len(content), figures.of(40 << 10, 4 << 10)):
        changed = bytearray(content)
        changed[offset] ^= 1
        place.write_bytes(changed)
        done = at.apply()
        assert done.returncode == DAMAGED, offset
    assert not at.host.path(PKI).exists()


def test_swapped_while_it_is_read(at: Demanding) -> None:
    """What is run is what was read, not what the file holds by then."""
    place = at.carry()
    evil = at.stick / "evil"
    evil.write_bytes(place.read_bytes())
    betray(evil)
    swap = f'#!/bin/bash\ncp {STICK}/evil {STICK}/infra0.run\nexec /usr/bin/gzip "$@"\n'
    at.host.path("/usr/local/sbin/gzip").write_text(swap)
    at.host.path("/usr/local/sbin/gzip").chmod(0o755)
    assert at.apply().returncode == 0
    assert not at.host.path(RAN).exists()
    assert at.apply().returncode == DAMAGED


def numbered(keys: Keys, number: int, **conf: str) -> Payload:
    after = {"CHANGE_NUMBER": str(number), "CHANGE": f"{number}-configure", **conf}
    return demanding(Payload(conf=after), keys)


def test_signed_once_and_old_by_now(at: Demanding) -> None:
    at.host.write("/usr/local/lib/bundlegen/bundle/bundle.conf", "CHANGE_NUMBER='3'\nCHANGE='3-configure'\n")
    at.carry(numbered(at.keys, 2))
    at.refused(REFUSED, "its change 2-configure is older than 3-configure, which this machine or its image has")


def test_of_another_cluster(at: Demanding) -> None:
    at.carry(numbered(at.keys, 1, CLUSTER="other", STATE_DIR="/var/lib/bundlegen/other"))
    at.refused(REFUSED, "is for the cluster other, not for test")


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (Payload("infra1", MEMBERS), "is for infra1 (10.0.0.7), and no interface here has that address"),
        (Payload(conf={"MACHINE_ID": "f" * 32}), "and this machine has another machine-id"),
        (Base(), "is for images, and for no machine"),
    ],
    ids=["address", "machine-id", "base"],
)
def test_of_another_machine(payload: Payload, said: str, at: Demanding) -> None:
    at.carry(payload)
    done = at.apply()
    assert (done.returncode, said in done.stderr) == (WRONG_HOST, True), done.stderr
    assert not at.host.path(PKI).exists()


@pytest.mark.parametrize("words", [(), ("--help",), ("",), ("/media/nothing.run",), ("/media",)])
def test_wrong_use(words: tuple[str, ...], at: Demanding) -> None:
    done = at.host.execute("/bin/bash", "-p", layout.APPLY_COMMAND, *words)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")


def test_a_demand_that_is_dropped(at: Demanding) -> None:
    """The next change places neither the program nor the list, and takes those of the one before away."""
    at.carry()
    assert at.apply().returncode == 0
    later = {"CHANGE": "2-configure", "CHANGE_NUMBER": "2", "OPERATION": "configure", "AFTER_CHANGE": "create"}
    at.carry(Payload(conf={**later, "MEMBERS_BEFORE": "infra0=10.0.0.6"}))
    done = at.apply()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "this host does not demand a signature any more" in done.stdout
    assert not at.host.path(layout.APPLY_COMMAND).exists()
    assert not at.host.path(layout.ALLOWED_SIGNERS).exists()
    back = at.host.execute("/bin/bash", "-p", f"{STATE}/bundle/install.sh", "rollback")
    assert back.returncode == 0, back.stderr
    assert at.host.path(layout.ALLOWED_SIGNERS).read_bytes() == at.keys.allowed


class TestFirstBoot:
    """An image that demands a signature."""

    @pytest.fixture
    def image(self, host: Sandbox, stub: Stub, keys: Keys) -> Image:
        return Image(host, stub, demanding(Base(), keys))

    def test_the_right_one(self, image: Image, keys: Keys) -> None:
        image.bundle("infra0.run", Payload())
        sign_folder(image.host.path(FOLDER), keys)
        done = image.boot()
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{FOLDER}/infra0.run is for this machine" in done.stdout
        assert image.is_member()

    def test_none_is_run(self, image: Image, keys: Keys) -> None:
        place = image.bundle("infra0.run", Payload())
        betray(place)
        done = image.boot()
        assert done.returncode == WRONG_HOST
        assert "is refused: /var/lib/bundlegen-firstboot/SHA256SUMS is not there, or is no file" in done.stderr
        sign_folder(image.host.path(FOLDER), keys, keys.other)
        assert "has no good signature of ops@example.net" in image.boot().stderr
        assert not image.host.path(RAN).exists()
        assert not image.host.path(PKI).exists()

    def test_without_what_demands_it(self, image: Image) -> None:
        """An image that was tampered with runs nothing."""
        place = image.bundle("infra0.run", Payload())
        betray(place)
        image.host.path(layout.ALLOWED_SIGNERS).write_text("")
        done = image.boot()
        assert done.returncode == DAMAGED
        assert "is not as it was baked; nothing was run" in done.stderr
        assert not image.host.path(RAN).exists()

    def test_older_than_the_image(self, host: Sandbox, stub: Stub, keys: Keys) -> None:
        base = demanding(Base(), keys)
        base.conf |= {"CHANGE": "3-configure", "CHANGE_NUMBER": "3"}
        image = Image(host, stub, base)
        image.bundle("infra0.run", Payload())
        sign_folder(host.path(FOLDER), keys)
        assert "its change create is older than 3-configure" in image.boot().stderr

    def test_hygiene_says_so(self, image: Image) -> None:
        done = image.host.run(image.copy, "hygiene")
        assert "the first boot runs no bundle but those that /etc/bundlegen/allowed_signers allows" in done.stdout
