"""Sealed changes: nothing in them opens without the code; with it, the host gets just what it would have got."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from bundlegen import layout
from bundlegen.errors import StoreError
from bundlegen.pki import sealing, unlock
from bundlegen.trust.bundle import read
from tests.building import main
from tests.trust_cases import SPEC, findings, make

FAST = {"hosts": SPEC["hosts"][:2]}
KEY = "/etc/kubernetes/pki/etcd/server.key"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same cluster, sealed and not; RSA, so that there are primes to look for."""
    folder = tmp_path_factory.mktemp("sealed")
    spec = SPEC | FAST | {"pki": {"encryptionAlgorithm": "RSA-2048"}}
    make(folder, spec, "open")
    make(folder, spec, "sealed", seal=True)
    return folder


def secrets(store: Path) -> list[bytes]:
    """Every form a private key of the store may have in a file, and its parts: bytes, as numbers either way round."""
    forms = []
    for path in [*store.rglob("tls.key"), *store.rglob("ca.key")]:
        pem = path.read_bytes()
        key = load_pem_private_key(pem, None)
        assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
        forms += [
            key.private_bytes(Encoding.DER, form, NoEncryption())
            for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL)
        ]
        forms += [line for line in pem.splitlines()[1:-1] if len(line) > 40]
        assert isinstance(key, rsa.RSAPrivateKey)
        numbers = key.private_numbers()
        for number in (numbers.p, numbers.q, numbers.d, numbers.dmp1, numbers.dmq1, numbers.iqmp):
            size = (number.bit_length() + 7) // 8
            forms += [
                number.to_bytes(size, "big"),
                number.to_bytes(size, "little"),
                f"{number:x}".encode(),
                str(number).encode(),
            ]
    forms += [code.encode() for code in unlock.read(store).values()]
    forms += [code.replace("-", "").encode() for code in unlock.read(store).values()]
    return forms


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder as it is, and every gzip stream in it unpacked."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            found[str(path)] = data
            at = data.find(b"\x1f\x8b\x08")
            while at >= 0:
                with suppress(zlib.error):
                    found[f"{path}@{at}"] = zlib.decompressobj(31).decompress(data[at:])
                at = data.find(b"\x1f\x8b\x08", at + 1)
    return found


def test_no_key_is_in_a_sealed_change(both: Path) -> None:
    forms = secrets(both / "pki/prod")
    scanned = contents(both / "sealed")
    hits = [(name, form[:8]) for name, data in scanned.items() for form in forms if form in data]
    control = {name for name, data in contents(both / "open").items() for form in forms if form in data}
    print(f"\n{len(forms)} forms of keys looked for in {len(scanned)} files and streams: {len(hits)} found")
    assert hits == []
    assert len(control) == 2, "the scan finds what is there where nothing is sealed"


def test_reviewers_need_no_code(both: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change = both / "sealed/prod/create"
    assert findings(change) == []
    assert main(["inspect", str(change / "infra0.run"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {each["keyFingerprint"] for each in found["files"] if each["path"].endswith(".key") and each["placed"]} == {
        "sealed"
    }
    assert main(["audit", str(both / "sealed")]) == 0
    assert main(["diff", str(both / "open/prod/create"), str(change)]) == 1
    assert "keys sealed: no -> yes" in capsys.readouterr().out


def test_building_again_gives_the_same_bytes(both: Path) -> None:
    spec = SPEC | FAST | {"pki": {"encryptionAlgorithm": "RSA-2048"}}
    before = {path.name: path.read_bytes() for path in (both / "sealed/prod/create").iterdir()}
    again = make(both, spec, "again", seal=True)
    assert {path.name: path.read_bytes() for path in again.folder.iterdir()} == before


def test_openssl_opens_it(both: Path) -> None:
    bundle = read(both / "sealed/prod/create/infra1.run")
    code = unlock.read(both / "pki/prod")["infra1"]
    words = ["enc", "-d", "-aes-256-cbc", "-pbkdf2", "-iter", "10000", "-md", "sha256", "-pass", "stdin", "-in"]
    box = both / "box"
    box.write_bytes(bundle.content(layout.sealed_path(KEY)) or b"")
    opened = subprocess.run(
        ["openssl", *words, box], input=f"{sealing.password(code)}\n".encode(), capture_output=True, check=True
    )
    assert opened.stdout == read(both / "open/prod/create/infra1.run").content(KEY)


def install(
    bundle: Path, root: Path, *words: str, typed: str = "", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Installs into a folder, with ``typed`` on standard input and no terminal to ask on."""
    root.mkdir(exist_ok=True)
    argv = ["sh", str(bundle), "--", "install", "--root", str(root), *words]
    return subprocess.run(
        argv, input=typed, cwd=cwd, capture_output=True, text=True, check=False, start_new_session=True, timeout=120
    )


def placed(root: Path) -> dict[str, tuple[int, bytes]]:
    """What is on the host, the installer's own notes apart."""
    files = (path for path in root.rglob("*") if path.is_file() and "var/lib/bundlegen" not in str(path))
    return {str(path.relative_to(root)): (path.stat().st_mode, path.read_bytes()) for path in files}


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="installing needs root")


def left_open() -> set[Path]:
    """Folders of opened keys whose run has ended: other tests install at the same time."""
    found = {path for folder in ("/dev/shm", "/run") for path in Path(folder).glob("bundlegen-unpack.*")}
    return {path for path in found if not Path("/proc", re.split("[.-]", path.name)[2]).exists()}


@needs_root
def test_installing_gives_the_same_host(both: Path, tmp_path: Path) -> None:
    before = left_open()
    code = unlock.read(both / "pki/prod")["infra0"]
    (tmp_path / "code").write_text(f"{code}\n")
    sealed = both / "sealed/prod/create/infra0.run"
    assert install(both / "open/prod/create/infra0.run", tmp_path / "open").returncode == 0
    done = install(sealed, tmp_path / "file", "--unlock-file", "code", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    typed = install(sealed, tmp_path / "typed", typed=code.lower().replace("-", " ") + "\n")
    assert typed.returncode == 0, typed.stderr
    assert code not in done.stdout + done.stderr + typed.stdout + typed.stderr
    assert placed(tmp_path / "open") == placed(tmp_path / "file") == placed(tmp_path / "typed")
    assert KEY[1:] in placed(tmp_path / "file")
    again = install(sealed, tmp_path / "file")
    assert (again.returncode, "nothing changed" in again.stdout) == (0, True), "what is installed needs no code"
    assert left_open() <= before


@needs_root
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "need the unlock code of infra0"),
        (" \n\n", "need the unlock code of infra0"),
        ("{infra1}\n", "that is not the unlock code of infra0: it is a code without a slip, but another host's"),
        ("HOST    UNLOCK CODE\ninfra1  {infra1}\n", "that is not the unlock code of infra0: it has 14 letters"),
        ("nonsense\n", "that is not the unlock code of infra0: it has 8 letters and digits, and a code has 27"),
        ("{slip}\n", "that is not the unlock code of infra0: it has a slip"),
        ("{u}\n", "that is not the unlock code of infra0: it has a slip"),
        ("infra0  {infra1}\n", "that is not the unlock code of infra0: it is a code without a slip"),
        ("x" * 100000, "that is not the unlock code of infra0: it has 4096 letters"),
    ],
    ids=["none", "blanks", "another's", "a list without it", "nonsense", "slip", "no such letter", "mixed up", "long"],
)
def test_a_wrong_code_changes_nothing(both: Path, tmp_path: Path, given: str, said: str) -> None:
    codes = unlock.read(both / "pki/prod")
    right = codes["infra0"]
    slip = ("B" if right[0] != "B" else "C") + right[1:]
    before = left_open()
    typed = given.format(**codes, slip=slip, u="U" + right[1:])
    done = install(both / "sealed/prod/create/infra0.run", tmp_path / "root", typed=typed)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Nothing was changed" in done.stderr
    assert placed(tmp_path / "root") == {}
    assert left_open() <= before


FORMS: dict[str, Callable[[str], bytes]] = {
    "with a byte order mark and DOS line ends": lambda code: b"\xef\xbb\xbf" + code.encode() + b"\r\n",
    "UTF-16, as PowerShell writes it": lambda code: b"\xff\xfe" + (code + "\r\n").encode("utf-16-le"),
    "UTF-16 the other way round": lambda code: b"\xfe\xff" + (code + "\n").encode("utf-16-be"),
    "en dashes": lambda code: code.replace("-", "\u2013").encode(),
    "en dashes in UTF-16": lambda code: code.replace("-", "\u2013").encode("utf-16"),
    "no-break spaces in Latin-1": lambda code: code.replace("-", "\u00a0").encode("latin-1"),
    "non-breaking hyphens and zero-width spaces": lambda code: code.replace("-", "\u2011\u200b").encode(),
    "quotation marks of a word processor": lambda code: f"\u201e{code}\u201c.".encode(),
    "after blank lines": lambda code: f"\n \n{code}".encode(),
    "its line of the list": lambda code: f"infra0  {code}".encode(),
    "its line, pasted from a page": lambda code: ("\ufeffinfra0\u00a0\u00a0" + code.replace("-", "\u2011")).encode(),
    "without dashes, in small letters, o for 0": lambda code: code.replace("-", "").replace("0", "o").lower().encode(),
}


@needs_root
@pytest.mark.parametrize("form", FORMS)
def test_a_code_is_taken_as_people_bring_it(both: Path, tmp_path: Path, form: str) -> None:
    code = unlock.read(both / "pki/prod")["infra0"]
    (tmp_path / "code").write_bytes(FORMS[form](code))
    done = install(both / "sealed/prod/create/infra0.run", tmp_path / "root", "--unlock-file", "code", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert KEY[1:] in placed(tmp_path / "root")


@needs_root
@pytest.mark.parametrize("host", ["infra0", "infra1"])
def test_the_whole_list_of_codes_is_taken(both: Path, tmp_path: Path, host: str) -> None:
    assert main(["unlock-codes", "prod", "--pki", str(both / "pki"), "--file", str(tmp_path / "codes.txt")]) == 0
    bundle = both / f"sealed/prod/create/{host}.run"
    done = install(bundle, tmp_path / "root", "--unlock-file", "codes.txt", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    typed = install(bundle, tmp_path / "typed", typed=(tmp_path / "codes.txt").read_text())
    assert typed.returncode == 0, typed.stderr


@needs_root
def test_it_asks_on_the_terminal(both: Path, tmp_path: Path) -> None:
    code = unlock.read(both / "pki/prod")["infra0"]
    (tmp_path / "root").mkdir()
    pid, terminal = pty.fork()
    if pid == 0:
        bundle = str(both / "sealed/prod/create/infra0.run")
        os.execvp("sh", ["sh", bundle, "--", "install", "--root", str(tmp_path / "root")])
    os.write(terminal, f"wrong\n{code}\n".encode())
    said = b""
    with suppress(OSError):  # the terminal is gone with its last program
        while block := os.read(terminal, 65536):
            said += block
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, said
    assert b"Unlock code of infra0: " in said
    assert b"once more" in said
    assert KEY[1:] in placed(tmp_path / "root")


def test_codes_go_to_a_private_file_or_a_terminal(
    both: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["unlock-codes", "prod", "--pki", str(both / "pki")]
    assert main(words) == 2
    assert main([*words, "--file", str(tmp_path / "codes")]) == 0
    assert (tmp_path / "codes").stat().st_mode & 0o777 == 0o600
    codes = unlock.read(both / "pki/prod")
    assert sorted(codes) == ["infra0", "infra1"]
    assert all(f"{host}  {code}" in (tmp_path / "codes").read_text() for host, code in codes.items())
    assert main([*words, "--file", str(tmp_path / "codes")]) == 4
    captured = capsys.readouterr()
    assert not any(code in captured.out + captured.err for code in codes.values())
    assert main(["unlock-codes", "../prod", "--pki", str(both / "pki")]) == 2


@pytest.mark.parametrize("option", ["--file", "--output"])
def test_the_form_of_the_file_of_codes_stays(both: Path, tmp_path: Path, option: str) -> None:
    """People and programs take it apart: a heading, then a line per host, with its name, blanks, and its code."""
    assert main(["unlock-codes", "prod", "--pki", str(both / "pki"), option, str(tmp_path / "codes")]) == 0
    text = (tmp_path / "codes").read_bytes().decode("ascii")
    assert re.fullmatch(r"HOST +UNLOCK CODE\n([a-z0-9.-]+ +([0-9A-HJKMNP-TV-Z]{3}-){8}[0-9A-HJKMNP-TV-Z]{3}\n)+", text)
    assert dict(line.split() for line in text.splitlines()[1:]) == unlock.read(both / "pki/prod")


def test_a_damaged_store_is_said_so(both: Path, tmp_path: Path) -> None:
    make(tmp_path, SPEC)
    with pytest.raises(StoreError, match="has no unlock codes"):
        unlock.read(tmp_path / "pki/prod")
    make(tmp_path, SPEC, "sealed", seal=True)
    (tmp_path / "pki/prod/unlock/infra0").write_text("AAA\n")
    with pytest.raises(StoreError, match="is damaged"):
        make(tmp_path, SPEC, "again", seal=True)
    (tmp_path / "pki/prod/unlock/infra0").chmod(0o644)
    with pytest.raises(StoreError, match="open to others"):
        unlock.read(tmp_path / "pki/prod")
