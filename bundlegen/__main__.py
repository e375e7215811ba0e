"""``python -m bundlegen``: the same as the ``bundlegen`` command."""

from bundlegen.cli import main

raise SystemExit(main())
