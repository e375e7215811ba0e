"""Another CA where the old one, the new one, or both are somebody's own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from bundlegen import layout
from bundlegen.pki.issue import Pair, issuer_key_identifier
from tests.building import contents, main, read, specification, write
from tests.building import run_here as run
from tests.changing import kept, take_in
from tests.integration.test_rotate_ca import good
from tests.pki_cases import fixture_key, own_ca

SUBJECT = x509.SubjectKeyIdentifier(b"any twenty bytes, ok")
OLD = own_ca(fixture_key("ca"), "Old CA", SUBJECT)
NEW = own_ca(fixture_key("ecdsa"), "New CA", x509.SubjectKeyIdentifier(b"any other bytes"))
NAMES = ("etcd/server", "etcd/peer", "etcd/healthcheck-client", "apiserver-etcd-client")


def put(folder: Path, name: str, pair: Pair) -> dict[str, str]:
    """The files of a CA, and how a specification names them."""
    (folder / f"{name}.crt").write_bytes(pair.certificate_pem)
    (folder / f"{name}.key").write_bytes(pair.key_pem)
    (folder / f"{name}.key").chmod(0o600)
    return {"certificate": f"{name}.crt", "key": f"{name}.key"}


def name_ca(folder: Path, now: Pair | None, before: Pair | None = None) -> None:
    """The specification of three hosts, with the CA that is brought along now and the one before it."""
    ca: dict[str, object] = {} if now is None else {**put(folder, "now", now)}
    if before is not None:
        ca["previous"] = put(folder, "before", before)
    pki = {**specification()["pki"], **({"ca": ca} if ca else {})}
    write(folder, {**specification(), "pki": pki})


def begin(folder: Path, first: Pair | None) -> None:
    name_ca(folder, first)
    assert run(folder, "build", "cluster.yaml").returncode == 0
    take_in(folder, "create", 0, 1, 2)


def rotate(folder: Path, *words: str) -> str:
    done = run(folder, "rotate-ca", "cluster.yaml", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def certificates(folder: Path, change: str, name: str) -> list[x509.Certificate]:
    content = read(folder / "out/prod" / change, "infra1").content(layout.pki_path(f"{name}.crt"))
    return x509.load_pem_x509_certificates(content or b"")


def own(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "pki/prod" / name / "ca.crt").read_bytes())


WAYS = {"mine to mine": (OLD, NEW), "mine to bundlegen's": (OLD, None), "bundlegen's to mine": (None, NEW)}


@pytest.mark.parametrize("way", WAYS)
def test_both_rounds(way: str, tmp_path: Path) -> None:
    first, second = WAYS[way]
    begin(tmp_path, first)
    name_ca(tmp_path, second, first)
    said = rotate(tmp_path)
    assert f"issued {14 if second is None else 13} certificates" in said
    old = first.certificate if first else own(tmp_path, "ca")
    new = second.certificate if second else own(tmp_path, "ca-2")
    assert certificates(tmp_path, "2-rotate-ca", "etcd/ca") == [old]
    for name in NAMES:
        leaf, cross = certificates(tmp_path, "2-rotate-ca", name)
        leaf.verify_directly_issued_by(new)
        leaf.verify_directly_issued_by(cross)
        cross.verify_directly_issued_by(old)
        assert issuer_key_identifier(cross) == issuer_key_identifier(new)
        assert cross.not_valid_after_utc <= min(old.not_valid_after_utc, new.not_valid_after_utc)
    planes = (tmp_path / "out/prod/2-rotate-ca/control-plane/ca.crt").read_bytes()
    assert x509.load_pem_x509_certificates(planes) == [old, new]
    good(tmp_path, "2-rotate-ca")
    take_in(tmp_path, "2-rotate-ca", 0, 1, 2)
    assert "round 2 of 2" in rotate(tmp_path)
    assert certificates(tmp_path, "3-rotate-ca", "etcd/ca") == [new]
    good(tmp_path, "3-rotate-ca")
    good(tmp_path, "2-rotate-ca")
    good(tmp_path, "create")
    take_in(tmp_path, "3-rotate-ca", 0, 1, 2)
    # From now on the old one need not be named any more.
    name_ca(tmp_path, second)
    assert run(tmp_path, "renew", "cluster.yaml").returncode == 0
    assert len(certificates(tmp_path, "4-renew", "etcd/peer")) == 1
    good(tmp_path, "4-renew")
    assert "prod" in run(tmp_path, "status").stdout
    brought = [each.key_pem for each in (first, second) if each is not None]
    stored = b"".join(contents(tmp_path / "pki").values())
    assert not any(each in stored for each in brought)


def test_at_once(tmp_path: Path) -> None:
    begin(tmp_path, OLD)
    name_ca(tmp_path, NEW, OLD)
    rotate(tmp_path, "--now")
    assert certificates(tmp_path, "2-rotate-ca", "etcd/ca") == [NEW.certificate]
    assert len(certificates(tmp_path, "2-rotate-ca", "etcd/peer")) == 1
    good(tmp_path, "2-rotate-ca")


def test_killed_or_withdrawn_it_is_done_again(tmp_path: Path) -> None:
    begin(tmp_path, OLD)
    name_ca(tmp_path, NEW, OLD)
    rotate(tmp_path)
    before = contents(tmp_path / "out/prod/2-rotate-ca")
    path = tmp_path / "pki/prod/changes.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    shutil.rmtree(tmp_path / "out/prod/2-rotate-ca")
    assert "issued" not in rotate(tmp_path)
    assert contents(tmp_path / "out/prod/2-rotate-ca") == before
    assert run(tmp_path, "withdraw", "cluster.yaml").returncode == 0
    assert rotate(tmp_path).startswith("Change 3-rotate-ca of prod, after create:\n")
    good(tmp_path, "3-rotate-ca")


NARROW = own_ca(fixture_key("ca"), "Old CA", SUBJECT, 0)
NAMELESS = own_ca(fixture_key("ecdsa"), "Old CA", None)
SAME_KEY = own_ca(fixture_key("ca"), "New CA", SUBJECT)
Case = tuple[Pair | None, Pair | None, Pair | None, str, str]
REFUSED: dict[str, Case] = {
    "the one in force": (OLD, OLD, None, "now.crt is the CA in force", "name the new CA as pki.ca, and this one as"),
    "the old one not named": (OLD, NEW, None, f"the CA of your own with the fingerprint {OLD.fingerprint}", "previous"),
    "another old one": (OLD, None, NEW, f"the CA of your own with the fingerprint {OLD.fingerprint}", "previous"),
    "the same key": (OLD, SAME_KEY, OLD, "has the key of the one in force", "a key of its own"),
    "the same name": (OLD, NAMELESS, OLD, "has the subject of the one in force", "give the new one another subject"),
    "may sign no CA": (NARROW, NEW, NARROW, "may sign no other CA", "rotate-ca --now"),
    "may sign no CA of ours": (NARROW, None, NARROW, "may sign no other CA", "rotate-ca --now"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, previous, said, hint = REFUSED[case]
    begin(tmp_path, first)
    name_ca(tmp_path, second, previous)
    monkeypatch.chdir(tmp_path)
    before = kept(tmp_path)
    capsys.readouterr()
    assert main(["rotate-ca", "cluster.yaml"]) == 4
    told = capsys.readouterr().err
    assert said in told
    assert hint in told
    assert kept(tmp_path) == before


@pytest.mark.parametrize(
    ("first", "then", "said"),
    [
        (OLD, NEW, "now.crt is another CA than the one that"),
        (None, NEW, "now.crt is another CA than the one that"),
        (OLD, None, "has a CA of your own in force, and the specification names none"),
    ],
)
@pytest.mark.parametrize("words", [("build", "cluster.yaml"), ("plan", "cluster.yaml"), ("renew", "cluster.yaml")])
def test_no_other_command_turns_to_it(
    first: Pair | None,
    then: Pair | None,
    said: str,
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    begin(tmp_path, first)
    name_ca(tmp_path, then, first)
    monkeypatch.chdir(tmp_path)
    before = kept(tmp_path)
    capsys.readouterr()
    assert main(words) == 4
    assert said in capsys.readouterr().err
    assert kept(tmp_path) == before


def test_the_second_round_keeps_to_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(tmp_path, None)
    name_ca(tmp_path, NEW)
    rotate(tmp_path)
    take_in(tmp_path, "2-rotate-ca", 0, 1, 2)
    monkeypatch.chdir(tmp_path)
    for other in (OLD, None):
        name_ca(tmp_path, other)
        assert main(["rotate-ca", "cluster.yaml"]) == 4
        assert f"the CA of your own with the fingerprint {NEW.fingerprint}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["brought.crt", "cross.crt"])
def test_a_store_that_lost_some_of_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(tmp_path, OLD)
    name_ca(tmp_path, NEW, OLD)
    rotate(tmp_path)
    (tmp_path / "pki/prod/ca-2" / name).unlink()
    monkeypatch.chdir(tmp_path)
    assert main(["renew", "cluster.yaml"]) == 4
    assert "Traceback" not in (told := capsys.readouterr().err)
    assert "ca-2" in told or "holds no CA" in told


def test_the_files_are_looked_at(tmp_path: Path, write_it: Callable[[dict[str, object]], str]) -> None:
    put(tmp_path, "now", NEW)
    assert "pki.ca.previous.certificate: " in write_it({"certificate": "no.crt", "key": "no.key"})
    assert "pki.ca.previous.key: is missing" in write_it({"certificate": "now.crt"})
    assert "pki.ca.previous.key: is the same file" in write_it({"certificate": "now.crt", "key": "now.crt"})


@pytest.fixture
def write_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[dict[str, object]], str]:
    def call(previous: dict[str, object]) -> str:
        write(tmp_path, {**specification(), "pki": {"ca": {"previous": previous}}})
        monkeypatch.chdir(tmp_path)
        capsys.readouterr()
        assert main(["rotate-ca", "cluster.yaml"]) == 3
        return capsys.readouterr().err

    return call
