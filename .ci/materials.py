"""Writes what is in the one-file program: THIRD-PARTY-LICENCES.txt and a CycloneDX bill of materials."""

import json
import platform
import re
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path

MAKESELF_NOTE = """\
makeself (makeself, makeself-header.sh) is carried unmodified and run as a program of its own. It is free software
under the GNU General Public License, version 2 or later, whose text follows; its source is the two scripts themselves.
The head of each bundle is made from makeself-header.sh.
"""


def carried(name: str, found: dict[str, Distribution]) -> dict[str, Distribution]:
    """The distribution and all it requires here, by name."""
    here = distribution(name)
    key = here.metadata["Name"].lower()
    if key not in found:
        found[key] = here
        for line in here.requires or []:
            requirement, _, marker = line.partition(";")
            wanted = re.match(r"[A-Za-z0-9._-]+", requirement)
            if wanted and not re.search("extra|python_version|sys_platform|implementation_name", marker):
                carried(wanted[0], found)
    return found


def licences(each: Distribution) -> str:
    """The text of each licence file that the distribution has."""
    names = sorted(
        str(file) for file in each.files or [] if re.search(r"(licen[cs]e|copying|notice)", file.name, re.IGNORECASE)
    )
    texts = [Path(str(each.locate_file(name))).read_text("utf-8", "replace") for name in names if ".py" not in name]
    return "\n".join(texts) or f"License: {each.metadata['License'] or 'see its home page'}\n"


def main(folder: Path, name: str, makeself: str) -> None:
    others = carried("bundlegen", {})
    ours = others.pop("bundlegen")
    loader = distribution("pyinstaller")
    parts = [f"{each.metadata['Name']} {each.version}\n\n{licences(each)}" for _, each in sorted(others.items())]
    parts.append(f"PyInstaller's bootloader {loader.version}\n\n{licences(loader)}")
    parts.append(f"Python {platform.python_version()}\n\n{python_licence()}")
    gpl = Path("/usr/share/common-licenses/GPL-2").read_text("utf-8")
    parts.append(f"makeself {makeself}\n\n{MAKESELF_NOTE}\n{gpl}")
    rule = "\n" + "=" * 100 + "\n\n"
    (folder / "THIRD-PARTY-LICENCES.txt").write_text(rule.join(parts), "utf-8")
    pypi = [(each.metadata["Name"], each.version, "pypi") for _, each in sorted(others.items())]
    generic = [("makeself", makeself, "deb/debian"), ("python", platform.python_version(), "generic")]
    components = [
        {"type": "library", "name": what, "version": version, "purl": f"pkg:{kind}/{what.lower()}@{version}"}
        for what, version, kind in [*pypi, *generic, ("pyinstaller", loader.version, "pypi")]
    ]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "bundlegen", "version": ours.version}},
        "components": components,
    }
    (folder / f"{name}.cdx.json").write_text(json.dumps(document, indent=2) + "\n", "utf-8")


def python_licence() -> str:
    """The licence beside the standard library, where the interpreter has it; its name otherwise."""
    places = [Path(sys.base_prefix) / f"lib/python3.{sys.version_info.minor}" / "LICENSE.txt"]
    places.append(Path(f"/usr/share/doc/python3.{sys.version_info.minor}/copyright"))
    return next((place.read_text("utf-8") for place in places if place.is_file()), "PSF-2.0\n")


main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
