"""Damage, wrong permissions and foreign files: every one is named with its path, and nothing is made worse."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from bundlegen.errors import StoreError
from bundlegen.pki.files import Intake
from bundlegen.pki.survey import survey
from tests.pki_cases import NOW, cluster, ensure


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with two hosts."""
    ensure(tmp_path / "pki", cluster(2))
    return tmp_path / "pki" / "prod"


def refused(store: Path) -> StoreError:
    """The error a run over the store ends with; it changes nothing, and a survey says the same."""
    before = content(store)
    with pytest.raises(StoreError) as found:
        ensure(store.parent, cluster(2))
    with pytest.raises(StoreError) as surveyed:
        survey(store.parent, cluster(2), clock=lambda: NOW)
    assert surveyed.value.lines() == found.value.lines()
    assert content(store) == before
    assert "PRIVATE" not in str(found.value)
    assert found.value.hint
    return found.value


def content(store: Path) -> dict[str, bytes | str]:
    found: dict[str, bytes | str] = {}
    for path in sorted(store.rglob("*")):
        if path.name != ".lock":
            found[str(path)] = (
                str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else ""
            )
    return found


def file_of(store: Path, name: str) -> Path:
    """``server.crt`` is infra0's server certificate."""
    if name.startswith(("ca/", "store.json")):
        return store / name
    kind, _, suffix = name.partition(".")
    return next((store / "hosts" / "infra0").glob(f"*{kind}-[0-9a-f]*")) / f"tls.{suffix}"


FILES = ["ca/ca.crt", "ca/ca.key", "etcd-server.crt", "etcd-server.key", "apiserver-etcd-client.key", "store.json"]


def delete(path: Path) -> None:
    path.unlink()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def scribble(path: Path) -> None:
    path.write_bytes(b"\x00\xff" * 50)


def replace_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_a_link(path: Path) -> None:
    path.rename(path.with_suffix(".away"))
    path.symlink_to(path.with_suffix(".away"))


def replace_by_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def open_to_the_group(path: Path) -> None:
    path.chmod(0o640)


def open_to_everybody(path: Path) -> None:
    path.chmod(0o604)


DAMAGES = [
    delete,
    truncate,
    empty,
    scribble,
    replace_by_a_folder,
    replace_by_a_link,
    replace_by_a_pipe,
    open_to_the_group,
    open_to_everybody,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda function: function.__name__)
@pytest.mark.parametrize("name", FILES)
def test_every_damage_names_the_file(name: str, damage: Callable[[Path], None], store: Path) -> None:
    path = file_of(store, name)
    damage(path)
    if path.is_fifo():
        with pytest.raises(StoreError, match="is not a file"):
            ensure(store.parent, cluster(2))
        return
    error = refused(store)
    assert str(path) in error.message


@pytest.mark.parametrize("addition", [b"\n", b"# note\n"])
@pytest.mark.parametrize("name", FILES[:5])
def test_a_file_that_was_added_to_is_named(name: str, addition: bytes, store: Path) -> None:
    path = file_of(store, name)
    path.write_bytes(path.read_bytes() + addition)
    assert f"{path} is not as bundlegen wrote it" in refused(store).message


def test_swapped_files_are_named(store: Path, tmp_path: Path) -> None:
    server, peer = (file_of(store, f"{name}.crt") for name in ("etcd-server", "etcd-peer"))
    for name in ("tls.crt", "tls.key"):
        shutil.copy(peer.with_name(name), server.with_name(name))
    # Server and peer certificates of one host say the same, so that this one cannot be told, and harms nobody.
    ensure(store.parent, cluster(2))
    client = file_of(store, "apiserver-etcd-client.crt")
    shutil.copy(client, server)
    error = refused(store)
    assert f"{server} is for another subject: CN=kube-apiserver-etcd-client, not CN=infra0" in error.message
    assert "SANs" in error.message


def test_a_foreign_key_is_named(store: Path) -> None:
    key = file_of(store, "etcd-peer.key")
    shutil.copy(file_of(store, "etcd-server.key"), key)
    assert f"{key} is not the key of tls.crt beside it" in refused(store).message


def test_a_foreign_ca_is_named(store: Path, tmp_path: Path) -> None:
    ensure(tmp_path / "other", cluster(2))
    for name in ("ca.crt", "ca.key"):
        shutil.copy(tmp_path / "other" / "prod" / "ca" / name, store / "ca" / name)
    assert f"{store / 'ca' / 'ca.crt'} is another CA than the one this store was made with" in refused(store).message


@pytest.mark.parametrize("name", ["ca", "hosts/infra0"])
def test_a_missing_ca_folder_is_named_and_a_missing_host_is_issued_again(name: str, store: Path) -> None:
    shutil.rmtree(store / name)
    if name == "ca":
        assert f"{store / 'ca'} is missing" in refused(store).message
    else:
        assert len(ensure(store.parent, cluster(2)).new) == 4


def test_a_damaged_rsa_key_is_found_without_proving_its_primes(tmp_path: Path) -> None:
    asked = cluster(1, encryptionAlgorithm="RSA-2048")
    ensure(tmp_path, asked)
    key = file_of(tmp_path / "prod", "etcd-peer.key")
    lines = key.read_bytes().split(b"\n")
    line = lines[len(lines) // 2]
    lines[len(lines) // 2] = line[:20] + (b"A" if line[20:21] != b"A" else b"B") + line[21:]
    key.write_bytes(b"\n".join(lines))
    with pytest.raises(StoreError, match=r"etcd-peer-[0-9a-f]{16}/tls.key (holds a damaged key|is not)"):
        ensure(tmp_path, asked)


def test_all_damage_is_said_at_once(store: Path) -> None:
    paths = [file_of(store, f"{name}.crt") for name in ("etcd-server", "etcd-peer", "apiserver-etcd-client")]
    for path in paths:
        path.unlink()
    error = refused(store)
    assert all(f"{path} is missing" in error.message for path in paths)


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o777])
def test_a_store_others_can_enter_is_refused(mode: int, store: Path) -> None:
    store.chmod(mode)
    error = refused(store)
    assert error.message == f"{store} is open to others (mode {mode:04o})"
    assert f"chmod go-rwx {store}" in error.hint


def test_a_store_that_is_a_link_is_refused(store: Path) -> None:
    store.rename(store.with_name("real"))
    store.symlink_to("real")
    with pytest.raises(StoreError, match="prod is a symbolic link"):
        ensure(store.parent, cluster(2))


def test_a_store_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "prod").write_bytes(b"")
    with pytest.raises(StoreError, match="prod is not a folder"):
        ensure(tmp_path, cluster(2))
    with pytest.raises(StoreError, match=r"cannot make .*/prod"):
        ensure(tmp_path / "prod", cluster(2))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a store away")
def test_a_store_of_somebody_else_is_refused(store: Path) -> None:
    os.chown(store, 65534, 65534)
    assert "belongs to another user (uid 65534)" in refused(store).message
    os.chown(store, 0, 0)
    os.chown(file_of(store, "etcd-server.key"), 65534, 65534)
    assert str(file_of(store, "etcd-server.key")) in refused(store).message


def test_a_folder_of_stores_that_others_can_write_to_is_refused(store: Path) -> None:
    store.parent.chmod(0o775)
    with pytest.raises(StoreError, match="others may write to") as found:
        ensure(store.parent, cluster(2))
    assert "chmod go-w" in found.value.hint
    store.parent.chmod(0o1777)
    assert ensure(store.parent, cluster(2)).new == ()


def test_another_clusters_store_is_named(store: Path) -> None:
    asked = cluster(2)
    store.rename(store.with_name("test"))
    with pytest.raises(StoreError, match=r"store.json belongs to the cluster 'prod'"):
        ensure(store.parent, asked.model_copy(update={"name": "test"}))


def test_a_newer_store_is_left_alone(store: Path) -> None:
    path = store / "store.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"format": 1', '"format": 2'), encoding="utf-8")
    assert "was written by a newer bundlegen (format 2)" in refused(store).message


@pytest.mark.parametrize("text", ["[]", "{}", '{"format": 1}', '{"format": 1, "ca": {"source": "x"}}', "nonsense"])
def test_a_damaged_description_is_named(text: str, store: Path) -> None:
    (store / "store.json").write_text(text, encoding="utf-8")
    assert f"{store / 'store.json'} is damaged" in refused(store).message


@pytest.mark.parametrize("kind", ["folder", "full folder", "file"])
def test_nothing_is_overwritten(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "place"
    if kind == "file":
        place.write_bytes(b"mine")
    else:
        place.mkdir()
    if kind == "full folder":
        (place / "tls.key").write_bytes(b"mine")
    with Intake(tmp_path) as intake:
        intake.add_folder(place, {"tls.key": b"other"})
        with pytest.raises(StoreError, match="place is there already"):
            intake.settle()
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert left == {"place"} | ({"place/tls.key"} if kind == "full folder" else set())
    assert all(path.read_bytes() == b"mine" for path in tmp_path.rglob("*") if path.is_file())


def test_an_error_shows_nothing_of_a_key(store: Path) -> None:
    key = file_of(store, "etcd-server.key")
    secret = key.read_text(encoding="ascii").splitlines()[1]
    key.write_bytes(key.read_bytes()[:-30])
    error = refused(store)
    assert secret not in repr(error) + str(error.__cause__) + str(error.__context__) + "".join(error.lines())


def test_a_clock_that_is_far_behind_is_named(store: Path) -> None:
    with pytest.raises(StoreError, match="is not valid before") as found:
        ensure(store.parent, cluster(2), NOW - timedelta(days=1))
    assert "check this machine's clock" in found.value.hint
