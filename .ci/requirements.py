"""Prints what the one-file program is made from and with: setup.cfg's requirements, and setuptools, one a line."""

import sys
from configparser import ConfigParser
from pathlib import Path

config = ConfigParser()
config.read(Path(__file__).parent.parent / "setup.cfg", "utf-8")
wanted = [*config["options"]["install_requires"].split(), *config["options.extras_require"]["dist"].split()]
sys.stdout.write("\n".join([*wanted, "setuptools", ""]))
