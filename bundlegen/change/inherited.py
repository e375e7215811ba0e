"""A store that bundlegen 0.1 made knows certificates, and no change: it has run one build, which was ``create``.

What that was built from is not written down. So the first build takes the specification for it, if nothing that is
known says otherwise: the certificates in the store, and the record in the change folder where that is still there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from bundlegen import layout
from bundlegen.bundle.plan import BundlePlan
from bundlegen.errors import ConflictError
from bundlegen.pki.history import Made, Options

_SHOWN: Final = 4
_HINT: Final = "put the specification back to what create was built from, build once, and make the change then"


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True, defer_build=True
    )


class _File(_Model):
    path: str
    placed: bool
    sha256: str


class _Part(_Model):
    name: str
    size: int


class _Host(_Model):
    name: str
    payload_digest: str
    sha256: str
    files: tuple[_File, ...]
    bundle: str
    parts: tuple[_Part, ...] = ()


class _Other(_Model):
    """The bundle for images, or the file with all bundles' images: that there is one is all that counts here."""


class Evidence(_Model):
    """What the record of a change that is there says of it."""

    cluster: str
    change: str
    hosts: tuple[_Host, ...]
    versions: dict[str, str]
    sealed: bool = False
    signed: bool = False
    base: _Other | None = None
    images: _Other | None = None

    @property
    def version(self) -> str:
        """Of the bundlegen that made it."""
        return self.versions.get("bundlegen", "0.1")

    @property
    def options(self) -> Options:
        """What shaped it beside the specification: to make it again without ``--seal`` would lay its keys open."""
        split, extension = None, ""
        for host in self.hosts[:1]:
            for part in host.parts[:1]:
                number, _, extension = part.name.removeprefix(f"{host.bundle}.").partition(".")
                split = part.size if number.isdecimal() else None
                extension = extension if split else number
        return Options(
            seal=self.sealed,
            signed=self.signed,
            base=self.base is not None,
            shared_images=self.images is not None,
            split=split,
            extension=extension,
        )

    @property
    def made(self) -> dict[str, Made]:
        """Its bundles by host."""
        return {
            host.name: Made(
                payload_digest=host.payload_digest,
                sha256=host.sha256,
                files={
                    file.path: file.sha256
                    for file in host.files
                    if file.placed and not file.path.startswith(f"{layout.PKI_DIR}/")
                },
            )
            for host in self.hosts
        }


def evidence(folder: Path, cluster: str) -> Evidence | None:
    """The record in ``folder``; None if it holds none of this cluster's first change."""
    try:
        found = Evidence.model_validate_json((folder / layout.RECORD).read_bytes())
    except (OSError, ValidationError):
        return None
    return found if (found.cluster, found.change) == (cluster, layout.FIRST_CHANGE) else None


def check(store: Path, issue: Iterable[str], found: Evidence | None, *, asked: bool) -> None:
    """Whether the specification can be that of ``create``.

    ``issue``: which certificates it would have issued. ``asked``: the user says that it is. Raises ConflictError.
    """
    lacking = tuple(issue)
    before = f"{store} was made by bundlegen 0.1, which did not write down what it built from"
    if lacking:
        raise ConflictError(f"{before}, and this specification is another one: {_some(lacking)}", hint=_HINT)
    if found is None and not asked:
        raise ConflictError(
            f"{before}, and the folder of its change is not in --output",
            hint=f"if this specification is the one, unedited, say so: --change {layout.FIRST_CHANGE}",
        )


def check_plans(found: Evidence, plans: Iterable[BundlePlan]) -> None:
    """Raises ConflictError if the record names other files than these plans make."""
    wrong = tuple(_differences(found, {plan.host: plan for plan in plans}))
    if wrong:
        raise ConflictError(
            f"the specification is not what {found.change} was built from by bundlegen {found.version}: {_some(wrong)}",
            hint=_HINT,
        )


def _differences(found: Evidence, plans: dict[str, BundlePlan]) -> Iterator[str]:
    """What follows from the specification, host by host; files that follow from bundlegen's version are passed over."""
    for host in found.hosts:
        plan = plans.pop(host.name, None)
        if plan is None:
            yield f"{host.name} is not in it"
            continue
        made = {file.path: file.sha256 for file in host.files if file.placed and _follows(file.path)}
        wanted = {each.destination: each.sha256 for each in plan.entries if each.placed and _follows(each.destination)}
        yield from (
            f"{path} of {host.name} differs"
            for path in sorted(made.keys() | wanted.keys())
            if made.get(path) != wanted.get(path)
        )
    yield from (f"{host} was not in it" for host in plans)


def _follows(path: str) -> bool:
    return path not in layout.OWN_FILES


def _some(sentences: tuple[str, ...]) -> str:
    shown = sentences if len(sentences) <= _SHOWN else (*sentences[: _SHOWN - 1], f"and {len(sentences) - 3} more")
    return "; ".join(shown)
