"""The makeself wrapper: its stub, made by the real program once per build, and the few changes a bundle needs.

makeself itself would compress the same installer once per host, on disk, with whatever tar and gzip are installed.
Here it writes the stub for one small folder that holds no secret; :meth:`Stub.header` then fills in each bundle's own
sizes and sums. What follows the header is written by :mod:`bundlegen.bundle.pieces`, so ``--check``, ``--list`` and
``--noexec --target`` work as makeself documents them. Where the installer is run, the stub unpacks the first piece
alone, and tells it where the images lie in the file.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from bundlegen.bundle.pieces import Piece
from bundlegen.errors import ToolError
from bundlegen.system import process, resources

PROGRAM: Final = "makeself"
KNOWN_VERSIONS: Final = ("2.4.5", "2.5.0")
STARTUP: Final = ("/bin/bash", "-p", "./install.sh")
"""-p: bash ignores BASH_ENV and functions in the environment; named as an argument, the script need not be executable,
so that a noexec file system does not matter."""

_FIRST: Final = "stub/first.sh"
_DIALECT: Final = "# shellcheck shell=sh\n"
_START: Final = "\nORIG_UMASK=`umask`\n"
_HINT: Final = "as root: apt-get install makeself"
_HEADER: Final = "makeself-header.sh"
_FOLDER: Final = "bundle"
_OUTPUT: Final = "bundle.run"
_LABEL: Final = "bundlegen bundle"
_DATE: Final = "not recorded, so that the same inputs give the same bytes"

_UNPACK_ROOT: Final = (
    'TMPROOT=${TMPDIR:=/tmp}; MS_free() { ( set -- `df -kP "$1" 2>/dev/null | tail -n 1`; echo "${4:-0}" ) ; }; '
    'if test "`id -u`" = 0; then for MS_dir in /dev/shm /run; do if test -w $MS_dir && '
    'test "`stat -f -c %T $MS_dir 2>/dev/null`" = tmpfs && test "`MS_free $MS_dir`" -gt @NEED@; '
    "then TMPROOT=$MS_dir; fi; done; fi"
)


class StubEdit(NamedTuple):
    """One edit of makeself's stub: why, what must stand there just ``times`` times, and what replaces it."""

    why: str
    pattern: str
    replacement: str
    times: int = 1


_OWN_PIECE_ONLY: Final = (
    r'\1; MS_kb=@ALL@; case "$0" in /*) BUNDLEGEN_FILE=$0 ;; *) BUNDLEGEN_FILE=$location/$0 ;; esac; '
    r'if test x"$script" != x -a x"$keep" = xn; then filesizes=${filesizes%% *}; MS_kb=@KB@; fi'
)
_EDITS: Final = (
    StubEdit("keys unpack to memory where root has it, never to a disk", r"^TMPROOT=\$\{TMPDIR:=/tmp\}$", _UNPACK_ROOT),
    StubEdit(
        "a private folder that nobody can guess, that names the process it belongs to, and that goes however it ends",
        r'tmpdir="\$TMPROOT/selfgz\$\$\$RANDOM"\n\s*dashp=""',
        'tmpdir=`mktemp -d "$TMPROOT/bundlegen-unpack.$$.XXXXXXXX"` || exit 1; '
        'finish=\'rm -rf "$tmpdir"\'\n\tdashp="-p"',
    ),
    StubEdit(
        "a folder that is named is a new one, and nobody else's",
        r'^if test x"\$targetdir" = x\.; then\n\s*tmpdir="\."\nelse\n(\s*if test x"\$keep" = xy; then\n)'
        r'\s*if test x"\$nooverwrite" = xy && test -d "\$targetdir"; then\n.*\n.*\n\s*fi\n',
        r'if :; then\n\1\tMS_new_folder "$targetdir"\n',
    ),
    StubEdit("which is made alone", r'^(\ttmpdir="\$targetdir"\n\tdashp=)"-p"$', r'\1""'),
    StubEdit(
        "dd reads less than it is asked for from a pipe, where it is not GNU's",
        r"^MS_dd\(\)\n\{\n(?:    .*\n)+\}$",
        'MS_dd()\n{\n    tail -c "+`expr $2 + 1`" "$1" | head -c "$3"\n}',
    ),
    StubEdit(
        "a wrong sum is said in our words",
        r'^(\s*)echo "Error in SHA256 checksums: .*\n\s*exit 2$',
        r'\1MS_damaged "its part $i is not as it was made"',
    ),
    StubEdit("the installer speaks, the stub does not: its output may be JSON", r'^quiet="n"$', 'quiet="y"'),
    StubEdit("no progress dots between the installer's lines", r"^noprogress=n$", "noprogress=y"),
    StubEdit("--check says that all is good", r'MS_Check "\$0" y\n', 'quiet=n; MS_Check "$0" y\n'),
    StubEdit(
        "--list lists with modes and sizes",
        r"echo Target directory: \$targetdir\n",
        "quiet=n; echo Target directory: $targetdir\n",
    ),
    StubEdit("--confirm asks", r"^(\s*)verbose=y\n", r"\1verbose=y; quiet=n\n"),
    StubEdit(
        "a signal is no lock conflict: 130, as a shell has it", r"eval \$finish; exit 15$", "eval $finish; exit 130"
    ),
    StubEdit(
        "the installer gets only its own piece, checked and unpacked: it reads the images itself",
        r'^(location="`pwd`")$',
        _OWN_PIECE_ONLY,
    ),
    StubEdit(
        "where the images are in this file",
        r'^(offset=`head -n "\$skip" "\$0" \| wc -c \| (?:tr -d|sed) "[^"]+"`)$',
        r"\1; BUNDLEGEN_IMAGES_AT=`expr $offset + ${filesizes%% *}`",
    ),
    StubEdit("the installer is told so", r"^res=0$", "res=0; export BUNDLEGEN_FILE BUNDLEGEN_IMAGES_AT"),
    StubEdit(
        "--info tells what the whole file unpacks to",
        r"echo Uncompressed size: \d+ KB",
        "echo Uncompressed size: @ALL@ KB",
    ),
    StubEdit("--confirm tells what is unpacked", r"About to extract \d+ KB in", "About to extract $MS_kb KB in"),
    StubEdit("room is needed for that", r'test "\$leftspace" -lt \d+; then', 'test "$leftspace" -lt $MS_kb; then'),
    StubEdit("and the message says so", r"to decompress \$0 \(\d+ KB\)", "to decompress $0 ($MS_kb KB)"),
)
_VARIABLES: Final = (
    ("label", r'^label="bundlegen bundle"$'),
    ("crc", r'^CRCsum="0+"$'),
    ("md5", r'^MD5="0+"$'),
    ("sha", r'^SHA="[0-9a-f]{64}"$'),
    ("filesizes", r'^filesizes="\d+"$'),
    ("totalsize", r'^totalsize="\d+"$'),
)
_FILLED: Final = (
    ("WHOLE", r'(?<=^  MS_whole=")\d+(?="$)'),
    ("LABEL", r'^label="[^"\n]*"$'),
    ("CRC", r'^CRCsum="[0 ]+"$'),
    ("MD5", r'^MD5="[0 ]+"$'),
    ("SHA", r'^SHA="[0-9a-f ]+"$'),
    ("FILESIZES", r'^filesizes="[0-9 ]+"$'),
    ("TOTALSIZE", r'^totalsize="\d+"$'),
)
_NUMBERS: Final = (
    ("ALL", r"(?<=^\techo Uncompressed size: )\d+(?= KB$)"),
    ("ALL", r"(?<=; MS_kb=)\d+(?=; case )"),
    ("KB", r"(?<=; MS_kb=)\d+(?=; fi$)"),
    ("NEED", r'(?<=`" -gt )\d+(?=; then)'),
)
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,253}", re.ASCII)


@dataclass(frozen=True)
class Stub:
    """makeself's stub, its variable fields left open as ``@NAME@`` in ``template``. ``version`` is makeself's."""

    version: str
    template: str

    def header(self, label: str, pieces: Sequence[Piece]) -> bytes:
        """The stub of one bundle: ``label`` is shown by ``--info``; the sizes and sums are those of ``pieces``.

        The first piece is all that an installer run unpacks; the others are images.
        """
        everything, own = (-(-sum(piece.unpacked for piece in some) // 1024) + 64 for some in (pieces, pieces[:1]))
        values = {
            "LABEL": f'label="{label}"',
            "CRC": f'CRCsum="{" ".join("0" * 10 for _ in pieces)}"',
            "MD5": f'MD5="{" ".join("0" * 32 for _ in pieces)}"',
            "SHA": f'SHA="{" ".join(piece.sha256 for piece in pieces)}"',
            "FILESIZES": f'filesizes="{" ".join(str(piece.size) for piece in pieces)}"',
            "TOTALSIZE": f'totalsize="{sum(piece.size for piece in pieces)}"',
            "ALL": str(everything),
            "KB": str(own),
            "NEED": str(own + 4096),
        }
        text = re.sub("@((?!WHOLE)[A-Z0-9]+)@", lambda match: values[match[1]], self.template)
        return _with_whole_size(text, sum(piece.size for piece in pieces)).encode("ascii")


def _with_whole_size(text: str, follows: int) -> str:
    """``text`` with the size of the whole file in it, of which the digits of that size are a part."""
    bare = len(text) - len("@WHOLE@") + follows
    size = bare
    while size != bare + len(str(size)):
        size = bare + len(str(size))
    return text.replace("@WHOLE@", str(size))


def label(cluster: str, change: str, host: str) -> str:
    """What ``--info`` and makeself's own messages call a bundle. ``host`` empty: the one for images.

    Raises ValueError for a name that could mean something to the shell, in whose text the label is.
    """
    for name in (cluster, change, host or "-"):
        if not _NAME.fullmatch(name):
            raise ValueError(f"a bundle's label cannot hold {name!r}")
    return f"etcd {cluster}, {change}: {host or 'every host'}"


def arguments() -> tuple[str, ...]:
    """What makeself is called with. Relative names only: it records its command line in every archive."""
    return (
        *("--quiet", "--sha256", "--nomd5", "--nocrc", "--nox11", "--nowait", "--gzip", "--tar-quietly"),
        *("--complevel", "9n", "--packaging-date", _DATE),
        *(_FOLDER, _OUTPUT, _LABEL, *STARTUP),
    )


def make_stub() -> Stub:
    """The stub, by running makeself on a folder that holds one empty file.

    Raises ToolError if makeself is missing, fails, or writes a stub that bundlegen does not know.
    """
    with tempfile.TemporaryDirectory(prefix="bundlegen-stub.") as name:
        work = Path(name)
        (work / _FOLDER).mkdir()
        (work / _FOLDER / "install.sh").touch()
        process.run((*_program(work), *arguments()), cwd=work, hint=_HINT)
        return adapt((work / _OUTPUT).read_bytes())


def _program(work: Path) -> tuple[str, ...]:
    """How makeself is started: the installed one, or the one carried in the one-file program, copied to ``work``."""
    carried = resources.carried(PROGRAM)
    if carried is None:
        return (process.find(PROGRAM, hint=_HINT),)
    # Its own path to its header is where its package puts that.
    text, changed = re.subn(r"^HEADER=.*$", f"HEADER=./{_HEADER}", (carried / PROGRAM).read_text(), flags=re.MULTILINE)
    if changed != 1:
        raise _unknown(f"it names its header {changed} times")
    (work / PROGRAM).write_text(text)
    (work / _HEADER).write_bytes((carried / _HEADER).read_bytes())
    return ("/bin/sh", f"./{PROGRAM}")


def adapt(archive: bytes) -> Stub:
    """The stub of an archive that makeself wrote with :func:`arguments`. Raises ToolError for an unknown kind."""
    lines = archive.split(b"\n", 2000)
    found = re.search(rb'\nskip="(\d+)"\n', archive)
    if found is None or int(found[1]) >= len(lines):
        raise _unknown("its stub says no length")
    text = b"\n".join(lines[: int(found[1])]).decode("ascii", "replace") + "\n"
    version = re.search(r"generated using Makeself (\S+)", text)
    if version is None:
        raise _unknown("its stub names no version")
    if "@" in re.sub(r'\$@|"\$@"', "", text):
        raise _unknown("its stub holds an @")
    # The program's own path, which differs between machines, is part of the recorded command line.
    text = re.sub(r'^(\s*echo Build command was: )"[^"\s]*makeself ', r'\1"makeself ', text, flags=re.MULTILINE)
    for edit in _EDITS:
        text = _replaced(text, edit.pattern, edit.replacement, edit.times, edit.why)
    for variable, pattern in _VARIABLES:
        text = _replaced(text, pattern, f"@{variable.upper()}@", 1, variable)
    if text.count(_START) != 1:
        raise _unknown("bundlegen's own lines have no place")
    text = text.replace(_START, resources.template_text(_FIRST).removeprefix(_DIALECT) + _START)
    # How many lines the stub has is how it finds what follows it.
    text = _replaced(text, r'^skip="\d+"$', f'skip="{text.count(chr(10))}"', 1, "its length")
    return Stub(version[1], text)


def blanked(stub: bytes) -> str:
    """The template that :meth:`Stub.header` would have made ``stub`` from, if it did.

    Only a template that is known, from which ``stub`` comes out again byte for byte, says anything about ``stub``.
    """
    text = stub.decode("ascii", "replace")
    for variable, pattern in _FILLED:
        text = re.sub(pattern, f"@{variable}@", text, count=1, flags=re.MULTILINE)
    for number, pattern in _NUMBERS:
        text = re.sub(pattern, f"@{number}@", text, count=1, flags=re.MULTILINE)
    return text


def _replaced(text: str, pattern: str, replacement: str, count: int, what: str) -> str:
    result, changed = re.subn(pattern, replacement.replace("\\1", r"\g<1>"), text, flags=re.MULTILINE)
    if changed != count:
        raise _unknown(f"{what}: found {changed} times")
    return result


def _unknown(what: str) -> ToolError:
    known = " and ".join(KNOWN_VERSIONS)
    return ToolError(f"this makeself writes a stub bundlegen does not know ({what})", hint=f"install makeself {known}")
