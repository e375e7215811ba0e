"""The first boot of an image: which bundle it takes, what it does where there is none, and how it goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bundlegen.bundle import pieces as packing
from bundlegen.bundle.entry import entry
from bundlegen.bundle.plan import BundlePlan
from bundlegen.bundle.stub import Stub, label, make_stub
from tests import figures
from tests.shell.payload import GOLDEN, KUBEADM_CONFIG, PKI, POD, STATE, Base, Payload
from tests.shell.sandbox import Sandbox, Tree
from tests.shell.steps import stops

UNIT_LINK = "/etc/systemd/system/multi-user.target.wants/bundlegen-firstboot.service"
SETTINGS = "/etc/bundlegen/firstboot.conf"
FOLDER = "/var/lib/bundlegen-firstboot"
MEMBERS = {"infra0": "10.0.0.6", "infra1": "10.0.0.7"}


@pytest.fixture(scope="module")
def stub() -> Stub:
    return make_stub()


# The stand-ins by their command lines; process 1 of the sandbox is neither.
END_MEMBER = """
for process in /proc/[0-9]*; do
  mapfile -d '' -t words < "$process/cmdline" || continue
  [[ ${words[0]-} != etcd && ${words[1]-} != */kubelet ]] || kill -9 "${process#/proc/}"
done 2> /dev/null
"""


class Image:
    """A machine that was started from an image."""

    def __init__(self, host: Sandbox, stub: Stub, baked: Payload | None = None) -> None:
        self.host = host
        self.stub = stub
        host.write(
            "/etc/systemd/system/kubelet.service", "[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\n"
        )
        baked = baked or Base()
        done = host.run(host.unpack(baked), "bake")
        assert done.returncode == 0, done.stderr
        shutil.rmtree(host.path("/run/bundlegen-unpack.1.x"))
        host.stub("enabled", "enabled\n")
        host.stub("active", "inactive\n")
        # the unit is running us
        host.stub("first-boot", "activating\n")
        self.copy = f"{baked.conf['STATE_DIR']}/bundle"
        self.settings(WAIT="0")
        host.path(FOLDER).mkdir(mode=0o700)

    def settings(self, **values: str) -> None:
        self.host.write(SETTINGS, "".join(f"{key}='{value}'\n" for key, value in values.items()))

    def bundle(self, name: str, made: Payload, folder: str = FOLDER) -> Path:
        """A payload as a bundle in its one file."""
        files = made.write(self.host.folder / "pack")
        modes = dict(line.split(" ")[::3][::-1] for line in (files / "MANIFEST").read_text().splitlines())
        entries = []
        for path, mode in modes.items():
            place = files / (f"files{path}" if path.startswith("/") else path)
            entries.append(entry(path, place.read_bytes(), int(mode, 8), ""))
        plan = BundlePlan(made.host, tuple(sorted(entries, key=lambda each: each.destination)))
        pieces = [packing.configuration_piece(plan)]
        header = self.stub.header(label("test", "create", made.host), pieces)
        place = self.host.path(f"{folder}/{name}")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(header + (pieces[0].content or b""))
        place.chmod(0o600)
        return place

    def boot(self):
        """What the unit runs."""
        return self.host.run(self.copy, "firstboot")

    def lose_power(self) -> None:
        """kubelet and etcd end with the machine; systemd knows of none at the next boot."""
        self.host.execute("/bin/bash", "-c", END_MEMBER)
        for name in ("pid", "etcd-pid"):
            self.host.path(f"/var/stub/{name}").unlink(missing_ok=True)
        self.host.stub("active", "inactive\n")

    def start_kubelet(self) -> None:
        words = "PATH=/usr/local/sbin:/usr/bin; systemctl daemon-reload; systemctl restart kubelet.service"
        self.host.execute("/bin/bash", "-c", words)

    def tree(self) -> Tree:
        return self.host.tree(times=True, receipts=True)

    @property
    def enabled(self) -> bool:
        return self.host.path(UNIT_LINK).is_symlink()

    def is_member(self) -> bool:
        done = self.host.execute("/bin/bash", "-p", f"{STATE}/bundle/install.sh", "health", "--wait", "60")
        return done.returncode == 0 and "this member serves" in done.stdout


@pytest.fixture
def image(host: Sandbox, stub: Stub) -> Image:
    return Image(host, stub)


def refused(image: Image, code: int, *said: str) -> None:
    """The first boot fails, says this, and leaves everything as it was."""
    before = image.tree()
    done = image.boot()
    assert done.returncode == code, done.stdout + done.stderr
    for words in said:
        assert words in done.stderr, done.stderr
    assert "Nothing is half-installed. When it is put right: systemctl start bundlegen-firstboot" in done.stderr
    assert image.tree() == before
    assert image.enabled
    assert not image.host.path(PKI).exists()
    assert not image.host.path("/run/bundlegen").exists()


def test_the_right_bundle(image: Image) -> None:
    place = image.bundle("infra0.run", Payload())
    done = image.boot()
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{FOLDER}/infra0.run is for this machine" in done.stdout
    assert "The cluster test is healthy: all 1 members answer." in done.stdout
    assert image.is_member()
    assert not place.exists()
    assert not image.enabled
    assert "--job-mode=ignore-dependencies restart kubelet.service" in image.host.stubbed("calls").splitlines()
    assert len(image.host.receipts()) == 1


def test_the_name_of_the_file_says_nothing(image: Image) -> None:
    image.bundle("infra1.run", Payload())
    assert image.boot().returncode == 0
    assert image.is_member()


def test_none(image: Image) -> None:
    refused(
        image,
        10,
        "no bundle for this machine (infra0) was found",
        "There is no *.run at all.",
        "No disk has the label BUNDLEGEN.",
    )
    image.settings(WAIT="0", FOLDER="/var/not-there", MEDIUM_LABEL="")
    refused(image, 10, "There is no folder /var/not-there.")


def test_for_another_machine(image: Image) -> None:
    image.bundle("infra1.run", Payload(host="infra1", members=MEMBERS))
    refused(image, 10, f"{FOLDER}/infra1.run is for infra1")


def test_two_different_ones(image: Image) -> None:
    image.bundle("one.run", Payload())
    image.bundle("two.run", Payload(etcd_argument="--snapshot-count=5"))
    image.settings(WAIT="forever")
    refused(image, 11, f"two different bundles for this machine: {FOLDER}/one.run and {FOLDER}/two.run")


def test_the_same_one_twice(image: Image) -> None:
    """Once more under another name: it is one, and both copies go; another's stays."""
    ours = [image.bundle(name, Payload(members=MEMBERS)) for name in ("infra0.run", "copy.run")]
    other = image.bundle("infra1.run", Payload(host="infra1", members=MEMBERS))
    image.host.stub("etcd-mode", "waiting")
    done = image.boot()
    assert done.returncode == 0, done.stderr
    assert [place.exists() for place in ours] == [False, False]
    assert other.exists()
    assert "infra1.run stays: it is for infra1. If it holds keys, delete it." in done.stderr


def test_a_damaged_one(image: Image) -> None:
    place = image.bundle("infra0.run", Payload())
    content = bytearray(place.read_bytes())
    content[-200] ^= 1
    place.write_bytes(content)
    refused(image, 10, f"{FOLDER}/infra0.run is damaged")


def test_cut_off(image: Image) -> None:
    place = image.bundle("infra0.run", Payload())
    place.write_bytes(place.read_bytes()[:-5000])
    refused(image, 10, f"{FOLDER}/infra0.run is damaged")


def test_a_damaged_one_beside_the_right_one(image: Image) -> None:
    image.bundle("infra0.run", Payload())
    image.host.write(f"{FOLDER}/broken.run", "#!/bin/sh\n")
    done = image.boot()
    assert done.returncode == 0, done.stderr
    assert image.is_member()


def test_a_program_that_is_no_bundle_is_not_run(image: Image) -> None:
    image.host.write(f"{FOLDER}/driver.run", "#!/bin/sh\ntouch /var/lib/it-ran\n").chmod(0o755)
    refused(image, 10, f"{FOLDER}/driver.run is no bundle")
    assert not image.host.path("/var/lib/it-ran").exists()


def test_the_bundle_for_images_is_for_no_machine(image: Image) -> None:
    image.bundle("base.run", Base())
    refused(image, 10, f"{FOLDER}/base.run is for no machine")


@pytest.mark.parametrize("what", ["owner", "mode", "folder", "link"])
def test_what_others_may_write_is_not_run(image: Image, what: str) -> None:
    place = image.bundle("infra0.run", Payload())
    if what == "owner":
        image.host.execute("/usr/bin/chown", "1000:1000", f"{FOLDER}/infra0.run")
    elif what == "mode":
        place.chmod(0o620)
    elif what == "folder":
        place.parent.chmod(0o777)
    else:
        # not beside it, where a bundle is taken whatever it is called
        place.rename(place.parent.with_name("elsewhere"))
        place.symlink_to("../elsewhere")
    refused(image, 10, f"{FOLDER}/infra0.run is not root's alone")


def test_it_waits_for_the_bundle(image: Image) -> None:
    """It is not there at first; and the message says so once."""
    image.settings(WAIT="forever")
    place = image.bundle("waiting.txt", Payload())
    late = f"sleep 1; mv {FOLDER}/waiting.txt {FOLDER}/infra0.run"
    image.host.spawn("python", "-c", f"import subprocess; subprocess.run(['/bin/bash', '-c', {late!r}])")
    done = image.boot()
    assert done.returncode == 0, done.stdout + done.stderr
    assert not place.exists()
    assert image.is_member()
    assert done.stdout.count("Looking for") == 1


def test_triggered_again_after_it_was_put_right(image: Image) -> None:
    image.bundle("infra1.run", Payload(host="infra1", members=MEMBERS))
    refused(image, 10)
    image.bundle("infra0.run", Payload())
    # meanwhile kubelet runs, and has nothing to run
    image.start_kubelet()
    done = image.boot()
    assert done.returncode == 0, done.stdout + done.stderr
    assert image.is_member()
    assert not image.enabled


def test_a_member_already(image: Image) -> None:
    """As after a power cut between the install and the tidying: the bundle goes, nothing is done again."""
    payload = Payload()
    image.bundle("infra0.run", payload)
    assert image.boot().returncode == 0
    place = image.bundle("infra0.run", payload)
    newer = image.bundle("newer.run", Payload(etcd_argument="--snapshot-count=5"))
    image.host.path(UNIT_LINK).symlink_to("/x")
    receipts = image.host.receipts()
    done = image.boot()
    assert done.returncode == 0, done.stderr
    assert "This machine is a member already: infra0 of test." in done.stdout
    assert not place.exists()
    assert newer.exists()
    assert not image.enabled
    assert image.host.receipts() == receipts


def test_an_install_that_fails_is_undone(image: Image) -> None:
    image.host.stub("etcd-mode", "alarm")
    image.bundle("infra0.run", Payload(days=-1))
    image.host.stub("kubeadm-fails", "")
    payload = Payload()
    payload.conf["NOT_AFTER"] = "1000000000"
    image.bundle("infra0.run", payload)
    before = image.tree()
    done = image.boot()
    assert done.returncode == 11
    assert "did not install (exit code 11): see its messages above" in done.stderr
    assert "clock: this host's clock says" in done.stderr
    assert image.tree() == before
    assert image.enabled


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("WAIT='soon'\n", 1),
        ("# a remark\n\nWAIT=1\n", 3),
        ("OTHER='x'\n", 1),
        ("FOLDER='$(id)'\n", 1),
        ("FOLDER='../x'\n", 1),
        ("]='x'\n", 1),
    ],
)
def test_settings_that_are_none(image: Image, text: str, line: int) -> None:
    image.host.write(SETTINGS, text)
    refused(image, 2, f"line {line} of {SETTINGS} is not a setting")


def test_settings(image: Image) -> None:
    """Another folder; none; and without the file, what it would say."""
    image.settings(WAIT="0", FOLDER="", MEDIUM_LABEL="")
    refused(image, 10, "was found nowhere, as both places are switched off")
    image.settings(WAIT="0", FOLDER="/media/other")
    image.bundle("infra0.run", Payload(), "/media/other")
    assert image.boot().returncode == 0
    assert image.is_member()


def test_without_settings(image: Image) -> None:
    image.host.path(SETTINGS).unlink()
    image.bundle("infra0.run", Payload())
    assert image.boot().returncode == 0


def test_killed_at_any_step_the_next_boot_finishes(image: Image) -> None:
    host = image.host
    content = image.bundle("infra0.run", Payload()).read_bytes()
    host.arm(0, "none")
    done = host.run_armed(image.copy, "firstboot")
    assert done.returncode == 0, done.stderr
    calls = host.disarm()
    first = next(number for number, call in enumerate(calls) if "transaction" in call)
    # the steps are those of an install, see test_interruptions.py
    points = stops(calls, first)[:: figures.of(5, 1)]
    assert len(points) >= 8
    for point in points:
        assert host.run(f"{STATE}/bundle", "uninstall").returncode == 0
        for folder in host.path("/var/lib").glob("etcd*"):
            shutil.rmtree(folder)
        shutil.rmtree(host.path(STATE).parent, ignore_errors=True)
        host.stub("active", "inactive\n")
        host.path(UNIT_LINK).unlink(missing_ok=True)
        host.path(UNIT_LINK).symlink_to("/x")
        host.write(f"{FOLDER}/infra0.run").write_bytes(content)
        host.path(f"{FOLDER}/infra0.run").chmod(0o600)
        host.arm(point, "kill")
        host.run_armed(image.copy, "firstboot")
        host.disarm()
        image.lose_power()
        done = image.boot()
        assert done.returncode == 0, f"{calls[point - 1]}: {done.stdout}{done.stderr}"
        if host.stubbed("active") == "inactive\n":
            # systemd's own job for it, which waited for the unit
            image.start_kubelet()
        assert image.is_member(), calls[point - 1]
        assert not image.enabled
        assert not host.path(f"{FOLDER}/infra0.run").exists()


@pytest.mark.parametrize("mode", ["kubeadm", "rendered"])
def test_an_image_of_one_host(host: Sandbox, stub: Stub, mode: str) -> None:
    image = Image(host, stub, Payload(mode=mode))
    assert not host.path(POD).exists()
    done = image.boot()
    assert done.returncode == 0, done.stdout + done.stderr
    assert image.is_member()
    assert host.path(POD).is_file()
    assert not image.enabled
    again = image.boot()
    assert again.returncode == 0
    assert "This machine is a member already: infra0 of test." in again.stdout
    # back to what was baked, with the copy that is left
    assert host.run(image.copy, "uninstall").returncode == 0
    assert not host.path(POD).exists()
    assert host.path(KUBEADM_CONFIG).is_file()


def test_an_image_of_another_host(host: Sandbox, stub: Stub) -> None:
    image = Image(host, stub, Payload(host="infra1", members=MEMBERS))
    before = image.tree()
    done = image.boot()
    assert done.returncode == 10
    assert "no interface here has its address 10.0.0.7" in done.stderr
    assert image.tree() == before
    assert image.enabled


def test_an_image_of_one_host_that_was_changed(host: Sandbox, stub: Stub) -> None:
    image = Image(host, stub, Payload())
    host.path(KUBEADM_CONFIG).write_text("other\n")
    before = image.tree()
    done = image.boot()
    assert done.returncode == 12
    assert f"{KUBEADM_CONFIG} is not as it was baked" in done.stderr
    assert image.tree() == before


def test_it_belongs_to_the_copy(host: Sandbox) -> None:
    done = host.run(host.unpack(Base()), "firstboot")
    assert done.returncode == 2
    assert "firstboot is for the copy that bake left in an image" in done.stderr
    assert not host.path(GOLDEN).exists()
