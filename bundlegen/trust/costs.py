"""What it costs on a host to put one bundle in the place of another: file by file. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from bundlegen import layout
from bundlegen.bundle import effects, effects_table
from bundlegen.record.schema import Replaced
from bundlegen.trust.side import Side, hidden, values


def costs(old: Side, new: Side) -> tuple[Replaced, ...]:
    """Every file that is placed where ``new`` is installed after ``old``. Raises VerificationError.

    The effects are those of the table that the installer has, but for one thing: kubeadm's configuration also holds
    what its static Pod manifest does not follow from, and the same manifest is the same Pod.
    """
    return () if new.is_base else tuple(_replaced(old, new))


def _replaced(old: Side, new: Side) -> Iterator[Replaced]:
    before = {line.destination: line.sha256 for line in old.manifest}
    for line in new.manifest:
        path = line.destination
        if not path.startswith("/") or before.get(path) == line.sha256:
            continue
        row = effects_table.of(path, new.conf)
        if path == layout.KUBEADM_CONFIG and row.effect != effects.NONE and _same_pod(old, new):
            yield Replaced(path=path, effect=effects.NONE, why="kubeadm makes the same static Pod manifest from it")
        else:
            yield Replaced(path=path, effect=row.effect, why=row.why)
    if old.conf.get("MANIFEST_MODE") != new.conf.get("MANIFEST_MODE") == "kubeadm":
        row = effects_table.of(layout.STATIC_POD_MANIFEST, new.conf)
        yield Replaced(path=layout.STATIC_POD_MANIFEST, effect=row.effect, why=row.why)


def _same_pod(old: Side, new: Side) -> bool:
    if any(hidden(side, layout.KUBEADM_CONFIG) for side in (old, new)):
        return False
    return old.conf.get("MANIFEST_MODE") == new.conf.get("MANIFEST_MODE") and _flagged(old) == _flagged(new)


def _flagged(side: Side) -> dict[str, str]:
    """What etcd's Pod follows from in kubeadm's configuration: not the parts that are about certificates.

    kubernetesVersion is one of them: it decides about the image and the probes.
    """
    return {
        name: value
        for name, value in values(side, layout.KUBEADM_CONFIG).items()
        if "CertSANs." not in name and "alidityPeriod" not in name and not name.endswith(("Algorithm", ".criSocket"))
    }
