"""The one install.sh, and image.sh, which it reads for what only images need: their parts, and how these are joined.

The results are the same bytes in every bundle of a bundlegen version, because nothing but the parts goes in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from bundlegen.bundle import conf, effects_table
from bundlegen.system.resources import template_text

PARTS: Final[tuple[str, ...]] = (
    "header.sh",
    "main.sh",
    "core/usage.sh",
    "core/numbers.sh",
    "core/text.sh",
    "core/log.sh",
    "core/files.sh",
    "core/lock.sh",
    "core/verdicts.sh",
    "keys",
    "path",
    "bundle/payload.sh",
    "bundle/pieces.sh",
    "bundle/unseal.sh",
    "guard/log.sh",
    "guard/lived.sh",
    "guard/birth.sh",
    "checks/host.sh",
    "checks/runtime.sh",
    "checks/state.sh",
    "checks/data.sh",
    "checks/destinations.sh",
    "checks/newcomer.sh",
    "checks/joining.sh",
    "checks/history.sh",
    "checks/quorum.sh",
    "checks/versions.sh",
    "checks/stopped.sh",
    "checks/preflight.sh",
    "transaction/journal.sh",
    "transaction/plan.sh",
    "transaction/foreign.sh",
    "transaction/place.sh",
    "transaction/receipt.sh",
    "transaction/undo.sh",
    "transaction/rollback.sh",
    "effects",
    "host/effects.sh",
    "host/network.sh",
    "host/runtime.sh",
    "host/manifests.sh",
    "host/images.sh",
    "host/imports.sh",
    "host/kubelet.sh",
    "host/pod.sh",
    "host/leave.sh",
    "health/http.sh",
    "health/members.sh",
    "health/shown.sh",
    "health/probe.sh",
    "health/words.sh",
    "health/judge.sh",
    "health/restart.sh",
    "health/agree.sh",
    "health/metrics.sh",
    "health/depth.sh",
    "health/report.sh",
    "host/snapshot.sh",
    "host/trust.sh",
    "host/backup.sh",
    "operations/create.sh",
    "operations/configure.sh",
    "operations/renew.sh",
    "operations/upgrade.sh",
    "operations/add.sh",
    "operations/remove.sh",
    "operations/replace.sh",
    "operations/rotate-ca.sh",
    "operations/restore.sh",
    "operations/adopt.sh",
)
"""Files in templates/install, in the order in which they are joined: the header, the table of contents, the rest.

A name without ``.sh`` is that of a table, see :data:`TABLES`.
"""

IMAGE_PARTS: Final[tuple[str, ...]] = (
    "golden/header.sh",
    "golden/hygiene.sh",
    "golden/findings.sh",
    "golden/identities.sh",
    "golden/bake.sh",
    "golden/search.sh",
    "golden/firstboot.sh",
)
"""The same of image.sh. It defines functions and constants, and calls nothing."""

TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "keys": conf.shell,
    "path": conf.shell_path,
    "effects": effects_table.shell,
}
"""What is made from tables of the program: the keys of bundle.conf, and what a changed file costs."""

_DIALECT = "# shellcheck shell=bash\n"
_CALL = 'main "$@"\n'


def join(names: Sequence[str], parts: Mapping[str, str]) -> str:
    """The text of a script from the texts of its parts, by name.

    Each part loses the line that tells shellcheck its dialect; the header has the shebang instead. Raises KeyError for
    a missing part and ValueError for a part that is not as agreed.
    """
    texts = []
    for name in names:
        text = parts[name]
        if not text.startswith((_DIALECT, "#!")):
            raise ValueError(f"{name} does not begin with {_DIALECT.strip()!r}")
        if "\r" in text or not text.endswith("\n"):
            raise ValueError(f"{name} must have LF line ends, and end with one")
        texts.append(text.removeprefix(_DIALECT).strip("\n") + "\n")
    return "\n".join(texts)


def texts() -> dict[str, str]:
    """The texts of all parts by name, those of tables included."""
    return {
        part: f"{_DIALECT}{TABLES[part]()}" if part in TABLES else template_text(f"install/{part}")
        for part in (*PARTS, *IMAGE_PARTS)
    }


@lru_cache(maxsize=1)
def install_script() -> bytes:
    """The bytes of install.sh: the same for every host of every cluster, and throughout one run.

    Its last line calls ``main``, so that a script that is cut off does nothing.
    """
    return f"{join(PARTS, texts())}\n{_CALL}".encode()


@lru_cache(maxsize=1)
def image_script() -> bytes:
    """The bytes of image.sh, likewise."""
    return join(IMAGE_PARTS, texts()).encode()
