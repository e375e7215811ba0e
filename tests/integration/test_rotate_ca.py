"""Another CA: two rounds, what is signed by which, the same bytes again, and what a store then holds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from bundlegen import layout
from tests.building import contents, main, read
from tests.building import run_here as run
from tests.changing import OTHER, edit, entries, take_in, with_name

NAMES = ("etcd/server", "etcd/peer", "etcd/healthcheck-client", "apiserver-etcd-client")
HOSTS = ("infra0", "infra1", "infra2")
PLANES = ("ca.crt", "apiserver-etcd-client.crt", "apiserver-etcd-client.key")


def rotate(folder: Path, *words: str) -> str:
    done = run(folder, "rotate-ca", "cluster.yaml", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def certificates(folder: Path, change: str, host: str, name: str) -> list[x509.Certificate]:
    content = read(folder / "out/prod" / change, host).content(layout.pki_path(f"{name}.crt"))
    return x509.load_pem_x509_certificates(content or b"")


def store_ca(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "pki/prod" / name / "ca.crt").read_bytes())


def good(folder: Path, change: str) -> None:
    """Verified, and made anew from the store the same, byte for byte."""
    made = folder / "out/prod" / change
    assert main(["verify", str(made)]) == 0
    before = contents(made)
    shutil.rmtree(made)
    assert run(folder, "build", "cluster.yaml", "--change", change).returncode == 0
    assert contents(made) == before


def test_the_first_round(here: Path) -> None:
    """Members that trust the old CA accept all of it, and so will those that trust the new one."""
    said = rotate(here)
    assert said.startswith("Change 4-rotate-ca of prod, after 3-configure:\n")
    assert "  rotate-ca infra0, infra1, infra2, round 1 of 2\n" in said
    assert "issued 14 certificates and their keys" in said
    old, new = store_ca(here, "ca"), store_ca(here, "ca-4")
    for host in HOSTS:
        assert certificates(here, "4-rotate-ca", host, "etcd/ca") == [old]
        for name in NAMES:
            leaf, cross = certificates(here, "4-rotate-ca", host, name)
            leaf.verify_directly_issued_by(new)
            leaf.verify_directly_issued_by(cross)
            cross.verify_directly_issued_by(old)
            assert cross.public_key() == new.public_key()
            assert cross.not_valid_after_utc <= old.not_valid_after_utc
        conf = read(here / "out/prod/4-rotate-ca", host).conf
        assert (conf["OPERATION"], conf["CA_ROUND"]) == ("rotate-ca", "1")
    assert len(entries(here)[-1]["cas"]) == 2
    good(here, "4-rotate-ca")


def test_what_control_planes_get(here: Path) -> None:
    rotate(here)
    folder = here / "out/prod/4-rotate-ca/control-plane"
    assert sorted(path.name for path in folder.iterdir()) == sorted(PLANES)
    assert x509.load_pem_x509_certificates((folder / "ca.crt").read_bytes()) == [
        store_ca(here, "ca"),
        store_ca(here, "ca-4"),
    ]
    bundle = read(here / "out/prod/4-rotate-ca", "infra0")
    for name in PLANES[1:]:
        assert (folder / name).read_bytes() == bundle.content(layout.pki_path(name))
    assert (folder / PLANES[2]).stat().st_mode & 0o777 == 0o600
    sums = (here / "out/prod/4-rotate-ca/SHA256SUMS").read_text()
    assert all(f"  control-plane/{name}\n" in sums for name in PLANES)
    record = (here / "out/prod/4-rotate-ca/CHANGE.md").read_text()
    assert "scp -p control-plane/ca.crt control-plane/apiserver-etcd-client.crt" in record


def test_sealed_it_holds_no_key(here: Path) -> None:
    rotate(here, "--seal")
    folder = here / "out/prod/4-rotate-ca"
    assert sorted(path.name for path in (folder / "control-plane").iterdir()) == sorted(PLANES[:2])
    assert b"PRIVATE KEY-----" not in b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert main(["verify", str(folder)]) == 0
    assert "From infra0, once it has run its bundle, as root: `scp -p" in (folder / "CHANGE.md").read_text()


def test_the_second_round(here: Path) -> None:
    """Hosts trust the new CA alone; their certificates are those of the first round. Then it is over."""
    rotate(here)
    said = rotate(here)
    assert said.startswith("Change 5-rotate-ca of prod, after 4-rotate-ca:\n")
    assert "round 2 of 2" in said
    assert "sh infra0.run -- --control-planes-ready    # as root" in said
    assert "issued" not in said
    new = store_ca(here, "ca-4")
    for host in HOSTS:
        assert certificates(here, "5-rotate-ca", host, "etcd/ca") == [new]
        for name in NAMES:
            assert certificates(here, "5-rotate-ca", host, name) == certificates(here, "4-rotate-ca", host, name)
        conf = read(here / "out/prod/5-rotate-ca", host).conf
        assert (conf["CA_ROUND"], conf["REQUIRED_CHANGE"]) == ("2", "4-rotate-ca")
    [host, *_] = json.loads((here / "out/prod/5-rotate-ca/change.json").read_text())["comparedWith"]["hosts"]
    assert host["restarts"] == ["etcd"]
    assert {each["path"] for each in host["files"]} == {layout.pki_path(f"etcd/ca.{end}") for end in ("crt", "key")}
    assert not (here / "out/prod/5-rotate-ca/control-plane").exists()
    good(here, "5-rotate-ca")
    good(here, "4-rotate-ca")
    # Asked for once more, it is not another rotation.
    assert "5-rotate-ca was made within a day" in rotate(here)
    # The next renewal drops the cross certificate; and years later all begins anew.
    assert run(here, "renew", "cluster.yaml").returncode == 0
    assert [len(certificates(here, "6-renew", host, "etcd/server")) for host in HOSTS] == [1, 1, 1]
    certificates(here, "6-renew", "infra2", "etcd/peer")[0].verify_directly_issued_by(new)
    good(here, "6-renew")
    rotate(here)
    assert certificates(here, "7-rotate-ca", "infra0", "etcd/ca") == [new]
    certificates(here, "7-rotate-ca", "infra0", "etcd/peer")[1].verify_directly_issued_by(new)


def test_between_the_rounds(here: Path) -> None:
    """Whatever is issued then has the cross certificate as well; and what does not issue changes nothing of it."""
    rotate(here)
    old, new = store_ca(here, "ca"), store_ca(here, "ca-4")
    assert run(here, "renew", "cluster.yaml", "infra1").returncode == 0
    leaf, cross = certificates(here, "5-renew", "infra1", "etcd/peer")
    leaf.verify_directly_issued_by(new)
    cross.verify_directly_issued_by(old)
    good(here, "5-renew")
    edit(here, **OTHER, **with_name(1, "etcd1.example.net"))
    assert run(here, "build", "cluster.yaml").returncode == 0
    assert certificates(here, "6-configure", "infra1", "etcd/peer") == [leaf, cross]
    good(here, "6-configure")
    assert rotate(here).startswith("Change 7-rotate-ca of prod, after 6-configure:\n")
    assert certificates(here, "7-rotate-ca", "infra1", "etcd/ca") == [new]


def test_killed_before_it_was_written_down(here: Path) -> None:
    """The CA that was made is the one that is used: there is no second one."""
    rotate(here)
    lines = (here / "pki/prod/changes.jsonl").read_text().splitlines(keepends=True)
    (here / "pki/prod/changes.jsonl").write_text("".join(lines[:-1]))
    before = contents(here / "out/prod/4-rotate-ca")
    shutil.rmtree(here / "out/prod/4-rotate-ca")
    said = rotate(here)
    assert "issued" not in said
    assert contents(here / "out/prod/4-rotate-ca") == before
    # Its folder is gone: this very round is made again, and not the next.
    shutil.rmtree(here / "out/prod/4-rotate-ca")
    assert "4-rotate-ca was made within a day" in rotate(here)
    assert contents(here / "out/prod/4-rotate-ca") == before


def test_withdrawn_it_is_another_ca(here: Path) -> None:
    rotate(here)
    assert run(here, "withdraw", "cluster.yaml").returncode == 0
    assert rotate(here).startswith("Change 5-rotate-ca of prod, after 3-configure:\n")
    assert store_ca(here, "ca-4") != store_ca(here, "ca-5")
    assert certificates(here, "5-rotate-ca", "infra0", "etcd/ca") == [store_ca(here, "ca")]


def test_at_once(here: Path) -> None:
    said = rotate(here, "--now")
    assert "rotate-ca infra0, infra1, infra2, all at once" in said
    assert "sh infra0.run -- --accept-downtime    # as root" in said
    new = store_ca(here, "ca-4")
    assert certificates(here, "4-rotate-ca", "infra1", "etcd/ca") == [new]
    assert len(certificates(here, "4-rotate-ca", "infra1", "etcd/peer")) == 1
    assert not (here / "pki/prod/ca-4/cross.crt").exists()
    assert "DOES NOT SERVE WHILE THIS CHANGE IS CARRIED OUT" in (here / "out/prod/4-rotate-ca/CHANGE.md").read_text()
    good(here, "4-rotate-ca")
    take_in(here, "4-rotate-ca", 0)
    assert "5-rotate-ca" in rotate(here)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ca-4/cross.crt", "pki/prod/ca-4/cross.crt is missing"),
        ("ca-4/ca.key", "pki/prod/ca-4/ca.key is missing"),
        ("ca-4", "holds no CA with the fingerprint"),
    ],
)
def test_a_store_that_lost_some_of_it(at: Path, refused: Callable[..., str], name: str, said: str) -> None:
    rotate(at)
    place = at / "pki/prod" / name
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    assert said in refused(4, "rotate-ca", "cluster.yaml")


def test_the_pin_goes_with_it(here: Path) -> None:
    """The CA that is demanded is the one that hosts trust."""
    fingerprint = entries(here)[-1]["cas"][0]
    text = (here / "cluster.yaml").read_text()
    (here / "cluster.yaml").write_text(pinned(text, fingerprint))
    rotate(here)
    done = run(here, "rotate-ca", "cluster.yaml")
    assert done.returncode == 4
    new = entries(here)[-1]["cas"][1]
    assert f"the CA is the one with the fingerprint {new}, and pki.ca.fingerprint demands {fingerprint}" in done.stderr
    (here / "cluster.yaml").write_text(pinned(text, new))
    rotate(here)
    good(here, "5-rotate-ca")


def pinned(text: str, fingerprint: str) -> str:
    document = yaml.safe_load(text)
    document["pki"] = {**document.get("pki", {}), "ca": {"fingerprint": fingerprint}}
    return yaml.safe_dump(document, sort_keys=False)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda folder: (folder / "control-plane/ca.crt").unlink(),
            "control-plane/ca.crt: is missing, though SHA256SUMS lists it",
        ),
        (lambda folder: (folder / "control-plane/x.crt").write_text("x"), "control-plane/x.crt: is not in SHA256SUMS"),
        (
            lambda folder: (folder / "control-plane/ca.crt").write_text("x"),
            "control-plane/ca.crt: was altered: it does not have the SHA-256 in SHA256SUMS",
        ),
    ],
)
def test_verify_looks_at_it(here: Path, damage: Callable[[Path], object], said: str) -> None:
    rotate(here)
    damage(here / "out/prod/4-rotate-ca")
    done = run(here, "verify", "out/prod/4-rotate-ca")
    assert done.returncode == 6
    assert done.stdout.splitlines() == [said], done.stdout


def test_diff_says_it_in_words(here: Path) -> None:
    rotate(here)
    rotate(here)
    done = run(here, "diff", "out/prod/3-configure", "out/prod/4-rotate-ca")
    assert "certificate etcd-server, cross certificate: " in done.stdout, done.stdout
    done = run(here, "diff", "out/prod/4-rotate-ca", "out/prod/5-rotate-ca")
    assert "certificate etcd-ca: serial " in done.stdout
    assert "etcd restarts" in done.stdout or "etcd is restarted" in done.stdout, done.stdout
