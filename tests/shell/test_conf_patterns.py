"""The patterns of bundle.conf's values are read alike by Python, which verifies, and by bash, which installs."""

from __future__ import annotations

import re
import subprocess

from bundlegen.bundle import conf

VALUES = (
    *(key.example for key in conf.KEYS),
    *("", "x", "0", "-1", "12345678901234567890", "a[0]", "new", "existing", "no ", "createx", "2-add", "02-add", "2-"),
    *(
        "/a/../b",
        "/..",
        "/.",
        "/...",
        "/a/",
        "//a",
        "/.a",
        "a/b",
        "/a b",
        "é",
        "infra0=",
        "infra0=1 ",
        "http://[::1]:2381",
    ),
    *("http://::1:2381", "b]=[a", "v1.31", "v1.31.4-rc", "images.tar.gz.x", "imagesxtarxgz", "0" * 32, "a" * 254),
)

SCRIPT = """
set -Eeuo pipefail
LC_ALL=C
while IFS= read -r pattern; do
  for value in "$@"; do
    [[ ${value} =~ ^${pattern}$ ]] && printf 1 || printf 0
  done
  printf '\\n'
done
"""


def test_bash_and_python_agree() -> None:
    patterns = [key.pattern for key in conf.KEYS]
    done = subprocess.run(
        ["bash", "-c", SCRIPT, "bash", *VALUES],
        input="".join(f"{pattern}\n" for pattern in patterns),
        capture_output=True,
        text=True,
        check=True,
    )
    ours = ["".join(str(int(re.fullmatch(pattern, value) is not None)) for value in VALUES) for pattern in patterns]
    assert done.stdout.splitlines() == ours
    assert all({"0", "1"} == set(answers) for answers in ours)
