"""Two bundles or two change folders side by side: what changes on which host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundlegen import layout
from bundlegen.bundle import effects
from bundlegen.errors import UsageError, VerificationError
from bundlegen.record.schema import Compared, ComparedHost, Difference
from bundlegen.system.text import one_line
from bundlegen.trust.bundle import Bundle, read
from bundlegen.trust.diff import between, carried


@dataclass(frozen=True)
class Comparison:
    """Hosts that only one side has, and what changes on each of the others."""

    gone: tuple[str, ...]
    added: tuple[str, ...]
    hosts: tuple[ComparedHost, ...]

    @property
    def changed(self) -> bool:
        return bool(self.gone or self.added or any(host.changes for host in self.hosts))

    @property
    def common(self) -> tuple[Difference, ...]:
        """What changes on every host in the same way."""
        if len(self.hosts) < 2:
            return ()
        return tuple(each for each in self.hosts[0].changes if all(each in host.changes for host in self.hosts))


def compare(old: Path, new: Path) -> Comparison:
    """Compare two bundles, or two change folders host by host.

    Raises UsageError for one of each, VerificationError if something cannot be read.
    """
    if old.is_dir() != new.is_dir():
        raise UsageError("one is a bundle and the other a folder", hint="name two bundles or two change folders")
    if not old.is_dir():
        return Comparison((), (), (between(read(old), read(new)),))
    before, after = _folder(old), _folder(new)
    return Comparison(
        gone=tuple(host for host in before if host not in after),
        added=tuple(host for host in after if host not in before),
        hosts=tuple(between(before[host], after[host]) for host in after if host in before),
    )


def _folder(folder: Path) -> dict[str, Bundle]:
    paths = sorted(path for path in folder.iterdir() if path.name.endswith(layout.BUNDLE_SUFFIX))
    if not paths:
        raise VerificationError(f"there is no bundle in {folder}", hint="name the folder of a change")
    bundles = {}
    for path in paths:
        bundle = read(path)
        if bundle.owner in bundles:
            raise VerificationError(f"{folder} has two bundles for {bundle.owner}")
        bundles[bundle.owner] = bundle
    return bundles


def recorded(found: Comparison, *, change: str | None = None, sha256: str | None = None) -> Compared:
    """As a record has it: without what bundles only carry.

    ``change``: the name of the older one; ``sha256``: of its SHA256SUMS.
    """
    hosts = tuple(
        host.model_copy(update={"changes": tuple(each for each in host.changes if not carried(each))})
        for host in found.hosts
    )
    return Compared(change=change, sha256=sha256, hosts_gone=found.gone, hosts_added=found.added, hosts=hosts)


def data(found: Comparison) -> dict[str, Any]:
    """For machines."""
    return {
        "changed": found.changed,
        "hostsGone": list(found.gone),
        "hostsAdded": list(found.added),
        "hosts": [host.data() for host in found.hosts],
    }


def text(found: Comparison) -> str:
    """For people."""
    if not found.changed:
        return "Nothing changes."
    lines = [one_line(f"{host}: no longer has a bundle") for host in found.gone]
    lines += [one_line(f"{host}: has a bundle now") for host in found.added]
    common = found.common
    if common:
        lines += _block(f"all {len(found.hosts)} hosts", common)
    for host in found.hosts:
        own = [each for each in host.changes if each not in common]
        if own:
            lines += _block(host.name, own)
    if len(found.hosts) > 1 and len({(host.restarts, host.files) for host in found.hosts}) == 1:
        return "\n".join([*lines, *_costs(f"all {len(found.hosts)} hosts", found.hosts[0])])
    for host in found.hosts:
        lines += _costs(host.name, host)
    return "\n".join(lines)


def _block(title: str, changes: Sequence[Difference]) -> list[str]:
    return [f"{title}:", *(f"  {one_line(str(each))}" for each in changes)]


def _costs(where: str, host: ComparedHost) -> Iterator[str]:
    """What has to be restarted there, and what each file costs."""
    yield f"Restarts on {where}: {_listed(host.restarts)}"
    for file in host.files:
        yield one_line(f"  {file.path}: {effects.WORDS[file.effect]} ({file.why})")


def _listed(what: tuple[str, ...]) -> str:
    return " and ".join(what) or "none"
