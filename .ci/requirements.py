"""Prints requirements of setup.cfg, and setuptools, one a line: of what runs (`run`), of all (`all`), or of what the
one-file program is made from and with (`dist`, unless another is named)."""

import sys
from configparser import ConfigParser
from pathlib import Path

EXTRAS = {"run": (), "dist": ("dist",), "all": ("test", "dist")}

config = ConfigParser()
config.read(Path(__file__).parent.parent / "setup.cfg", "utf-8")
wanted = config["options"]["install_requires"].split()
for extra in EXTRAS[sys.argv[1] if len(sys.argv) > 1 else "dist"]:
    wanted += config["options.extras_require"][extra].split()
sys.stdout.write("\n".join([*wanted, "setuptools", ""]))
