"""Read a specification from its file: every problem at once, each with file, line and field.

Reads the specification and looks at the files it names (own CA, images); writes nothing.
"""

from __future__ import annotations

import errno
import glob
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bundlegen.addresses import RejectedError, show
from bundlegen.errors import Problem, SpecError
from bundlegen.layout import is_destination
from bundlegen.spec import signers
from bundlegen.spec.characters import cut
from bundlegen.spec.check import Checked, check
from bundlegen.spec.finding import FieldPath, Finding
from bundlegen.spec.model import Cluster
from bundlegen.spec.sections import CaFiles
from bundlegen.spec.yaml_tree import Tree, UnreadableError, parse

MAX_BYTES: Final = 1 << 20
_BOM: Final = b"\xef\xbb\xbf"
_MAX_IMAGES: Final = 100


@dataclass(frozen=True)
class Loaded:
    """A sound specification: ``cluster.pki.ca`` holds absolute paths, ``images`` the files that the globs match."""

    cluster: Cluster
    warnings: tuple[Problem, ...]
    path: Path
    images: tuple[Path, ...] = ()
    tree: Tree = field(default_factory=Tree, repr=False, compare=False)

    def where(self, path: FieldPath) -> str:
        """Where in the file the field at ``path`` is, as users are told; the file itself for no field."""
        return f"{self.path}:{self.tree.place(path)[0]}" if path else str(self.path)


def load(path: Path, *, with_images: bool = True) -> Loaded:
    """The cluster that the file at ``path`` describes. Raises SpecError with every problem, in file order.

    Without ``with_images`` the images need not be there yet.
    """
    try:
        tree = parse(_text(path))
    except UnreadableError as error:
        causes = cut(error.findings) or [Finding((), error.message, error.hint, place=error.place)]
        raise SpecError(_located(causes, Tree(), path)) from error
    if tree.data is None and not tree.findings:
        message = "holds no specification"
        raise SpecError([Problem(f"{path}:1", "", message, "bundlegen init NAME=ADDRESS... writes one to start from")])
    unseen = [*tree.unseen, *(found for found in tree.unseen_in_values if not _names_a_file(found.path))]
    checked = check(tree.data, [*tree.findings, *cut(unseen)], tree.written)
    folder = path.parent.absolute()
    images, image_problems = _images(checked, folder) if with_images else ((), ())
    cluster, ca_problems = _with_ca(checked, folder)
    cluster, trust_problems = _with_signers(cluster, folder)
    problems = tuple(_explained((*checked.problems, *ca_problems, *trust_problems, *image_problems), tree))
    if problems:
        raise SpecError(_located(problems, tree, path))
    return Loaded(cluster, tuple(_located(checked.warnings, tree, path)), path, images, tree)


def _names_a_file(path: FieldPath) -> bool:
    """Whether the field names files here, whose names may hold whatever the file system takes."""
    return path[:1] == ("images",) or path[:2] in (("pki", "ca"), ("trust", "allowedSigners"))


def _explained(problems: tuple[Finding, ...], tree: Tree) -> Iterator[Finding]:
    """``problems``; those with a file whose name holds a character that nobody sees give way to that character."""
    for problem in problems:
        causes = [found for found in tree.unseen_in_values if found.path == problem.path]
        yield from causes if causes and _names_a_file(problem.path) else (problem,)


def _located(findings: Iterable[Finding], tree: Tree, path: Path) -> list[Problem]:
    """``findings`` as problems of the file at ``path``, in the order of the file; each one once."""
    placed = [(found.place or tree.place(found.path), found) for found in dict.fromkeys(findings)]
    ordered = sorted(placed, key=lambda each: each[0])
    return [Problem(f"{path}:{line}", found.field, found.message, found.hint) for (line, _), found in ordered]


def _text(path: Path) -> str:
    """The text of the specification. Raises SpecError if it cannot be read as text."""
    try:
        # Without O_NONBLOCK a pipe that nobody writes to would hang.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _unreadable(path, "is not a file", "name a file")
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(path, *_why(error)) from error
    if len(raw) > MAX_BYTES:
        raise _unreadable(
            path, f"is larger than {MAX_BYTES >> 20} MiB", "no specification is that large: is it the right file?"
        )
    raw = raw.removeprefix(_BOM)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        hint = (
            "save it as UTF-8 without a byte order mark"
            if raw[:2] in (b"\xff\xfe", b"\xfe\xff")
            else "save it as UTF-8"
        )
        raise _unreadable(path, f"is not UTF-8: byte 0x{raw[error.start]:02x}", hint, line) from error
    for number, line_text in enumerate(text.split("\n"), 1):
        bad = next(
            (c for c in line_text if (ord(c) < 32 and c not in "\t\r") or (0x7F <= ord(c) <= 0x9F and c != "\x85")), ""
        )
        if bad:
            raise _unreadable(
                path,
                f"contains the control character {show(bad)[1:-1]}",
                "remove it: a specification is plain text",
                number,
            )
    return text


def _unreadable(path: Path, message: str, hint: str, line: int = 0) -> SpecError:
    shown = show(str(path), 4096)[1:-1]
    return SpecError([Problem(f"{shown}:{line}" if line else shown, "", message, hint)])


def _why(error: OSError | ValueError) -> tuple[str, str]:
    match getattr(error, "errno", None):
        case errno.ENOENT | errno.ENOTDIR:
            return "does not exist", "bundlegen init NAME=ADDRESS... writes one to start from"
        case errno.EACCES | errno.EPERM:
            return "may not be read", "check its permissions and those of its folder"
        case errno.EISDIR:
            return "is not a file", "name a file"
        case _:
            return f"cannot be read: {getattr(error, 'strerror', None) or error}", "check the path"


def _with_ca(checked: Checked, folder: Path) -> tuple[Cluster, tuple[Finding, ...]]:
    """The cluster with absolute paths of its own CA's files, and what is wrong with those files."""
    cluster = checked.cluster
    ca = cluster.pki.ca
    if ca is None or not cluster.pki.known_ca_files:
        return cluster, ()
    problems: list[Finding] = []

    def resolved(path: FieldPath, files: CaFiles) -> dict[str, str]:
        found = {part: folder / name for part, name in files._asdict().items()}
        problems.extend(Finding((*path, part), *wrong) for part, file in found.items() if (wrong := _unusable(file)))
        return {part: str(file) for part, file in found.items()}

    if cluster.pki.ca_files is not None:
        ca = ca.model_copy(update=resolved(("pki", "ca"), cluster.pki.ca_files))
    if ca.previous is not None:
        before = resolved(("pki", "ca", "previous"), CaFiles(ca.previous.certificate, ca.previous.key))
        ca = ca.model_copy(update={"previous": ca.previous.model_copy(update=before)})
    pki = cluster.pki.model_copy(update={"ca": ca})
    return cluster.model_copy(update={"pki": pki}), tuple(problems)


def _with_signers(cluster: Cluster, folder: Path) -> tuple[Cluster, tuple[Finding, ...]]:
    """The cluster with the lines of its list of allowed signers, and what is wrong with that file."""
    trust = cluster.trust
    if trust is None or trust.allowed_signers is None:
        return cluster, ()
    file, field = folder / trust.allowed_signers, ("trust", "allowedSigners")
    try:
        lines = read_signers(file, trust.signer)
    except RejectedError as error:
        return cluster, (Finding(field, error.message, error.hint),)
    told = trust.model_copy(update={"allowed_signers": None, "signers": lines})
    return cluster.model_copy(update={"trust": told}), ()


def read_signers(file: Path, signer: str) -> tuple[str, ...]:
    """The lines of a list of allowed signers. Raises RejectedError for one that cannot be read, or lacks ``signer``."""
    if wrong := _unusable(file):
        raise RejectedError(*wrong)
    shown = show(str(file), 200)[1:-1]
    with file.open("rb") as opened:
        content = opened.read(signers.MAX_BYTES + 1)
    if len(content) > signers.MAX_BYTES:
        raise RejectedError(f"{shown} is larger than {signers.MAX_BYTES >> 10} KiB", "name a list of allowed signers")
    lines = signers.lines_of(content.decode("utf-8", "replace"))
    if not signers.allows(lines, signer):
        raise RejectedError(f"no line of {shown} is about {signer}", "add its line, or correct the name")
    return lines


def _unusable(file: Path) -> tuple[str, str] | None:
    """What keeps ``file`` from being used, and what to do; None if it is a readable file with something in it."""
    shown = show(str(file), 200)[1:-1]
    try:
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as opened:
            status = os.fstat(opened.fileno())
    except (OSError, ValueError) as error:
        message, hint = _why(error)
        return f"{shown} {message}", "paths are relative to the specification" if message == "does not exist" else hint
    if not stat.S_ISREG(status.st_mode):
        return f"{shown} is not a file", "name a file"
    return (f"{shown} is empty", "replace it") if status.st_size == 0 else None


def _images(checked: Checked, folder: Path) -> tuple[tuple[Path, ...], tuple[Finding, ...]]:
    """The archives that ``images`` names, each once, sorted by name, and what is wrong with them."""
    found: dict[str, Path] = {}
    problems: list[Finding] = []
    for index, pattern in enumerate(checked.cluster.images):
        where = ("images", index)
        if not checked.sound(where):
            continue
        matches = list(_matches(pattern, folder))
        if not matches:
            hint = "paths are relative to the specification: save the image there, or correct the name"
            problems.append(Finding(where, f"nothing matches {show(pattern)}", hint))
        for file in matches:
            # os.path, as Path raises where a folder may not be searched
            folder_given = os.path.isdir(file)  # noqa: PTH112
            if folder_given and not os.path.isfile(file / "oci-layout"):  # noqa: PTH113
                hint = "name an archive, or the folder that holds oci-layout and index.json"
                problems.append(Finding(where, f"{show(str(file), 200)[1:-1]} is a folder and no OCI layout", hint))
            elif not folder_given and (wrong := _unusable(file)):
                problems.append(Finding(where, *wrong))
            elif not is_destination(file.name):
                problems.append(
                    Finding(
                        where,
                        f"{show(file.name)} holds characters no bundle carries",
                        "rename it: letters, digits and . _ + @ -",
                    )
                )
            elif found.setdefault(file.name, file) != file:
                problems.append(
                    Finding(where, f"two files are named {file.name}: {found[file.name]} and {file}", "rename one")
                )
    if len(found) > _MAX_IMAGES:
        problems.append(
            Finding(("images",), f"{len(found)} files match, at most {_MAX_IMAGES} are possible", "narrow the patterns")
        )
    return tuple(found[name] for name in sorted(found)), tuple(problems)


def _matches(pattern: str, folder: Path) -> Iterator[Path]:
    """The files that ``pattern`` means: a name that exists is taken as it is, whatever characters it holds."""
    if os.path.lexists(folder / pattern):
        yield folder / pattern
        return
    for name in sorted(glob.glob(pattern, root_dir=folder)):  # noqa: PTH207 - Path.glob takes no absolute pattern
        yield folder / name
