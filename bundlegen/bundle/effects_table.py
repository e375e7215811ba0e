"""What it costs on a host if a file there changes: one table for ``diff``, ``plan``, the record and install.sh.

The table is ``templates/install/host/effects.txt``. Its facts: a static Pod's UID is a hash of its manifest, so another
manifest is another Pod (kubernetes/pkg/kubelet/config/common.go), which kubelet starts 10 to 15 s after it has stopped
the old one; etcd reads leaf certificates at each handshake, and its CA when it starts (etcd/client/pkg/transport).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final

from bundlegen.bundle.effects import WORDS, Effect
from bundlegen.system import resources

TEMPLATE: Final = "install/host/effects.txt"


@dataclass(frozen=True)
class Row:
    """One line of the table. ``key`` and ``value``: what bundle.conf must say; empty if the line always counts."""

    path: str
    effect: Effect
    key: str
    value: str
    why: str

    def fits(self, path: str, conf: Mapping[str, str]) -> bool:
        """Whether this line is about the file at ``path`` on the host of ``conf``."""
        wanted = conf.get(self.path[1:], "") if self.path.startswith("@") else self.path
        return fnmatchcase(path, wanted) and (not self.key or conf.get(self.key) == self.value)


@lru_cache(maxsize=1)
def table() -> tuple[Row, ...]:
    """The table. Raises BundlegenError if this installation lacks it."""
    return parse(resources.template_text(TEMPLATE))


def parse(text: str) -> tuple[Row, ...]:
    """The table from its text. Raises ValueError for a line that cannot be understood."""
    rows = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        path, effect, condition, why = line.split(maxsplit=3)
        key, _, value = ("", "", "") if condition == "-" else condition.partition("=")
        rows.append(Row(path, _effect(effect), key, value, why))
    return tuple(rows)


def _effect(word: str) -> Effect:
    for effect in WORDS:
        if effect == word:
            return effect
    raise ValueError(f"{TEMPLATE} knows no effect {word!r}")


def of(path: str, conf: Mapping[str, str]) -> Row:
    """What it costs if the file at ``path`` changes on the host that ``conf``, its bundle.conf, is for."""
    return next(row for row in table() if row.fits(path, conf))


def shell() -> str:
    """The table as install.sh holds it: the words of each line but the reason."""
    lines = "".join(f"  '{row.path} {row.effect} {f'{row.key}={row.value}' if row.key else '-'}'\n" for row in table())
    words = "".join(f"  [{effect}]='{text}'\n" for effect, text in WORDS.items())
    return (
        "# What it costs if a file changes: path (@KEY: the value of that key of bundle.conf), effect, and what\n"
        "# bundle.conf must say for it to count. The first line that fits decides.\n"
        f"readonly EFFECTS=(\n{lines})\n"
        f"declare -rA EFFECT_WORDS=(\n{words})\n"
        "EFFECT='' # what effect_of found\n"
    )


def markdown() -> str:
    """The table as docs/installer.md has it."""
    rows = [("file", "what it costs", "why"), ("---", "---", "---")]
    for row in table():
        path = f"the value of `{row.path[1:]}`" if row.path.startswith("@") else f"`{row.path}`"
        if row.path == "*":
            path = "every other file"
        only = f", with `{row.key}='{row.value}'`" if row.key else ""
        rows.append((f"{path}{only}", WORDS[row.effect], row.why))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
