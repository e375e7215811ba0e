"""What is in the one-file program: its third-party licences and a CycloneDX bill of materials.

Both follow what PyInstaller really packs, not what a requirement says: bundlegen.spec hands over every packed file.
"""

import contextlib
import json
import platform
import re
import sys
import sysconfig
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import PyInstaller

from bundlegen.errors import ToolError
from bundlegen.system.process import run

MAKESELF_NOTE = """\
makeself (makeself, makeself-header.sh) is carried unmodified and run as a program of its own. It is free software
under the GNU General Public License, version 2 or later, whose text follows; its source is the two scripts themselves.
The head of each bundle is made from makeself-header.sh.
"""


class Material(NamedTuple):
    """One part of the program that others made."""

    name: str
    version: str
    purl: str
    licence: str
    inside: tuple[dict[str, Any], ...] = ()


def of(packed: Iterable[str]) -> list[Material]:
    """The materials of these packed files, by name; PyInstaller's bootloader and Python, which are always in, as well.

    Raises RuntimeError: nobody is known to have made one of the files.
    """
    owners = {
        str(Path(str(each.locate_file(file))).resolve()): each for each in distributions() for file in each.files or []
    }
    wheels = {"pyinstaller": distribution("pyinstaller")}
    packages = set()
    for name in sorted(packed):
        path = str(Path(name).resolve())
        if owner := owners.get(path):
            wheels[owner.metadata["Name"].lower()] = owner
        elif is_library(path) and not of_python(path):
            packages.add(debian_package(name))
    found = [from_wheel(each) for each in wheels.values()] + [from_debian(each) for each in packages]
    return sorted([*found, makeself(), python()])


def is_library(path: str) -> bool:
    """Whether the file is a shared library, by its name."""
    return path.endswith(".so") or ".so." in path


def of_python(path: str) -> bool:
    """Whether the file is the interpreter's own."""
    return path.startswith(sysconfig.get_path("stdlib")) or "/libpython" in path


def from_wheel(each: Distribution) -> Material:
    """A Python distribution, with what it says is compiled into it."""
    name = each.metadata["Name"]
    inside = []
    for file in sorted(map(str, each.files or [])):
        if "/sboms/" in file:
            listed = json.loads(Path(str(each.locate_file(file))).read_text("utf-8"))
            inside += [
                {key: part[key] for key in ("type", "name", "version", "purl") if key in part}
                for part in listed["components"]
            ]
    return Material(name, each.version, f"pkg:pypi/{name.lower()}@{each.version}", licences(each), tuple(inside))


def licences(each: Distribution) -> str:
    """The text of each licence file that the distribution has."""
    names = sorted(
        str(file) for file in each.files or [] if re.search(r"(licen[cs]e|copying|notice)", file.name, re.IGNORECASE)
    )
    texts = [Path(str(each.locate_file(name))).read_text("utf-8", "replace") for name in names if ".py" not in name]
    return "\n".join(texts) or f"License: {each.metadata['License'] or 'see its home page'}\n"


def debian_package(library: str) -> str:
    """The Debian package that a shared library is from."""
    for path in (library, str(Path(library).resolve())):
        # A package may list its file as it was before /lib became a part of /usr.
        for name in (path, path.removeprefix("/usr"), f"/usr{path}"):
            with contextlib.suppress(ToolError):
                return said("dpkg-query", "-S", name).partition(":")[0]
    raise RuntimeError(f"{library} is packed, and neither a wheel nor a Debian package is known to have it")


def from_debian(package: str) -> Material:
    """A Debian package."""
    version = said("dpkg-query", "-W", "-f", "${Version}\n", package).split()[0]
    licence = Path(f"/usr/share/doc/{package}/copyright").read_text("utf-8")
    return Material(package, version, f"pkg:deb/debian/{package}@{quote(version, safe='')}", licence)


def said(*argv: str) -> str:
    """What the program writes. Raises ToolError."""
    return run(argv).stdout.decode()


def makeself() -> Material:
    """The makeself that is carried."""
    version = said("makeself", "--version").split()[-1]
    gpl = Path("/usr/share/common-licenses/GPL-2").read_text("utf-8")
    return Material("makeself", version, f"pkg:deb/debian/makeself@{version}", f"{MAKESELF_NOTE}\n{gpl}")


def python() -> Material:
    """The interpreter; .ci/dist-oldest makes it from Debian's source, whose fixes the version alone does not tell."""
    version, purl = platform.python_version(), f"pkg:generic/python@{platform.python_version()}"
    built = Path(sys.base_prefix) / "debian-source-version"
    if built.is_file():
        version = built.read_text("utf-8").strip()
        purl = f"pkg:deb/debian/python3.11@{quote(version, safe='')}?arch=source"
    return Material("python", version, purl, python_licence())


def python_licence() -> str:
    """The licence beside the standard library, where the interpreter has it; its name otherwise."""
    places = [Path(sysconfig.get_path("stdlib")) / "LICENSE.txt"]
    places.append(Path(f"/usr/share/doc/python{sysconfig.get_python_version()}/copyright"))
    return next((place.read_text("utf-8") for place in places if place.is_file()), "PSF-2.0\n")


def oldest_glibc(packed: Iterable[str]) -> str:
    """The oldest GNU C library, such as 2.35, with which these files and the bootloader run.

    Source: the symbol versions that each asks for, by its dynamic symbol table (System V ABI, gnu.version_r).
    """
    bootloader = Path(PyInstaller.__file__).parent / "bootloader" / PyInstaller.PLATFORM / "run"
    files = [name for name in packed if Path(name).read_bytes()[:4] == b"\x7fELF"]
    shown = said("objdump", "-p", str(bootloader), *files)
    asked = {tuple(map(int, found.split("."))) for found in re.findall(r"\bGLIBC_([0-9.]+)$", shown, re.MULTILINE)}
    return ".".join(map(str, max(asked)))


def write(materials: list[Material], folder: Path, name: str, glibc: str) -> Path:
    """Write both files into ``folder`` and return the path of the licences'."""
    rule = "\n" + "=" * 100 + "\n\n"
    texts = folder / "THIRD-PARTY-LICENCES.txt"
    texts.write_text(rule.join(f"{each.name} {each.version}\n\n{each.licence}" for each in materials), "utf-8")
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "name": "bundlegen", "version": distribution("bundlegen").version},
            "properties": [{"name": "bundlegen:glibc", "value": glibc}],
        },
        "components": [
            {"type": "library", "name": each.name, "version": each.version, "purl": each.purl}
            | ({"components": each.inside} if each.inside else {})
            for each in materials
        ],
    }
    (folder / f"{name}.cdx.json").write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    return texts
