"""The first boot with settings, media and files that are not as they should be: what is wrong is said."""

from __future__ import annotations

import os

import pytest

from bundlegen.bundle import stub
from tests.shell.payload import Payload
from tests.shell.sandbox import Sandbox
from tests.shell.test_firstboot import FOLDER, SETTINGS, Image, refused


@pytest.fixture
def image(host: Sandbox) -> Image:
    return Image(host, stub.make_stub())


def test_a_medium_that_cannot_be_mounted(image: Image) -> None:
    image.host.execute("/usr/bin/mknod", "/var/stub/stick", "b", "7", "250")
    image.host.write("/usr/local/sbin/blkid", "#!/bin/sh\necho /var/stub/stick\n").chmod(0o755)
    image.host.write("/usr/local/sbin/mount", '#!/bin/sh\necho "mount: $5: bad superblock." >&2\nexit 32\n').chmod(
        0o755
    )
    refused(image, 10, "  /var/stub/stick cannot be mounted: bad superblock.\n")


def test_files_of_any_name(image: Image) -> None:
    """Also one without end, and one whose name looks like another line."""
    image.host.write(f"{FOLDER}/a\n  b is for this machine\x1b[2J.run")
    endless = image.host.write(f"{FOLDER}/endless.run")
    os.truncate(endless, 1 << 40)
    os.mkfifo(endless.with_name("pipe.run"))
    done = image.boot()
    assert done.returncode == 10
    assert f"{FOLDER}/a?  b is for this machine?[2J.run is no bundle\n" in done.stderr
    assert f"{FOLDER}/endless.run is no bundle\n" in done.stderr
    image.bundle("infra 0 (1).run", Payload())
    done = image.boot()
    assert done.returncode == 0, done.stderr
    assert image.is_member()


@pytest.mark.parametrize("name", ["infra0.run.txt", "INFRA0.RUN", "INFRA0~1.RUN", "infra0 (1).run", "infra0", "b.sh"])
def test_a_bundle_under_the_name_that_others_gave_it(image: Image, name: str) -> None:
    for foreign in ("notes.txt", "SHA256SUMS", "images.tar.gz"):
        image.host.write(f"{FOLDER}/{foreign}", "sh: not a bundle\n")
    place = image.bundle(name, Payload())
    done = image.boot()
    assert done.returncode == 0, done.stderr
    assert image.is_member()
    assert not place.exists()
    assert "notes.txt" not in done.stdout + done.stderr


def test_parts_are_named(image: Image) -> None:
    place = image.bundle("infra0.run", Payload())
    whole = place.read_bytes()
    place.unlink()
    for number, suffix in ((1, ""), (2, ".txt")):
        half = len(whole) // 2
        part = place.with_name(f"infra0.run.00{number}{suffix}")
        part.write_bytes(whole[half * (number - 1) : half * number if number == 1 else None])
    words = "is a part of a bundle: put the parts together"
    refused(image, 10, f"{FOLDER}/infra0.run.001 {words}", f"{FOLDER}/infra0.run.002.txt {words}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("WAIT='5m'\n", "WAIT is a number of seconds, 0 for once, or forever."),
        ("MEDIUM_LABEL='MY STICK'\n", "MEDIUM_LABEL is made of letters, digits"),
        ("FOLDER='a'\n", "FOLDER begins with /"),
        ("WAIT='\x1b[2J'\n", "is not a setting: WAIT='?[2J'\n"),
        ("WAIT=5\n", "each KEY='value'"),
    ],
)
def test_what_is_wrong_with_a_setting_is_said(image: Image, text: str, words: str) -> None:
    image.host.write(SETTINGS, text)
    refused(image, 2, words)


def test_settings_as_windows_writes_them(image: Image) -> None:
    image.host.write(SETTINGS, "# a remark\r\n\r\n  WAIT='0' \r\nFOLDER='/media/other'\r\n")
    refused(image, 10, "was found in /media/other")


def test_a_file_with_the_code_that_is_not_there_is_named(image: Image) -> None:
    image.settings(WAIT="0", UNLOCK_FILE="code")
    image.bundle("infra0.run", Payload())
    assert f"there is no file {FOLDER}/code, which UNLOCK_FILE in {SETTINGS} names" in image.boot().stderr
