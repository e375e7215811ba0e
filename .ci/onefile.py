"""Where the one-file program begins: it forgets how it was started (see onefile.sh), and tidies up after that."""

import os
import shutil

from bundlegen.cli import main

place = os.environ.pop("BUNDLEGEN_PLACE", "")
if place:
    if before := os.environ.pop("BUNDLEGEN_TMPDIR", ""):
        os.environ["TMPDIR"] = before
    else:
        os.environ.pop("TMPDIR", None)
try:
    code = main()
finally:
    # Not earlier: modules are read from it when they are first used.
    if place:
        shutil.rmtree(place, ignore_errors=True)
raise SystemExit(code)
