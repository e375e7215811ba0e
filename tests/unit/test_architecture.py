"""The house: stages are folders, one above the other, and an import points down or stays on its floor.

Deciding is pure, doing is at the edge: an edge module touches the world (disk, clock, programs); a pure one gets values
and returns values. Imports inside functions and under TYPE_CHECKING count like all others.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from bundlegen import cli

PACKAGE = Path(__file__).parents[2] / "bundlegen"

# From the top. A floor is a folder, but for the few modules that lie in none.
FLOORS: dict[str, tuple[str, ...]] = {
    "cli": ("__main__", "cli"),
    "commands": ("commands", "commands.*"),
    "change": ("change", "change.*"),
    "trust": ("trust", "trust.*"),
    "operations": ("operations", "operations.*"),
    "record": ("record", "record.*"),
    "packer": ("packer",),
    "images": ("images", "images.*"),
    "bundle": ("bundle", "bundle.*"),
    "pki": ("pki", "pki.*"),
    "spec": ("spec", "spec.*"),
    "system": ("system", "system.*"),
    "ground": ("bundlegen", "addresses", "durations", "errors", "kubernetes", "layout"),
}
RANK = {floor: rank for rank, floor in enumerate(reversed(FLOORS))}

# What touches the world, or imports what does. Every other module is pure.
EDGE = (
    "__main__",
    "cli",
    "commands.*",
    "change.asked",
    "change.build",
    "change.compared",
    "change.contents",
    "change.control_plane",
    "change.entry",
    "change.folder",
    "change.going",
    "change.inherited",
    "change.listing",
    "change.parts",
    "change.plans",
    "change.prepared",
    "change.run",
    "change.shape",
    "change.status",
    "change.taken_in",
    "change.withdraw",
    "trust.*",
    "record.reading",
    "images.archive",
    "images.pack",
    "bundle.effects_table",
    "bundle.install_script",
    "bundle.pieces",
    "bundle.stub",
    "pki.authorities",
    "pki.authority",
    "pki.entropy",
    "pki.files",
    "pki.keys",
    "pki.making",
    "pki.changes",
    "pki.ledger",
    "pki.pairs",
    "pki.state",
    "pki.store",
    "pki.store_json",
    "pki.survey",
    "pki.unlock",
    "spec.load",
    "system.clock",
    "system.console",
    "system.files",
    "system.memory",
    "system.process",
    "system.resources",
    "system.signals",
)

# Ways to the disk, other programs, the clock, randomness and the network: not for a pure module.
EFFECTS = {
    "asyncio",
    "fcntl",
    "glob",
    "io",
    "multiprocessing",
    "os",
    "random",
    "secrets",
    "shutil",
    "signal",
    "socket",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
    "uuid",
}


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package, by its dotted name without ``bundlegen.``."""
    trees = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[1:] if parts[-1] != "__init__" else parts[1:-1]) or "bundlegen"
        trees[name] = ast.parse(file.read_text(encoding="utf-8"))
    return trees


def floors_of(name: str) -> list[str]:
    return [floor for floor, patterns in FLOORS.items() if _matches(name, patterns)]


def floor_of(name: str) -> str:
    found = floors_of(name)
    assert len(found) == 1, f"bundlegen.{name} is on the floors {found}, not on one: see FLOORS"
    return found[0]


def pure(name: str) -> bool:
    return not _matches(name, EDGE)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def imports(tree: ast.AST) -> set[str]:
    """What a module imports anywhere, dotted: ``from a import b`` is both ``a`` and ``a.b``."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def arrows(trees: Mapping[str, ast.AST]) -> dict[str, set[str]]:
    """For each module those of ``trees`` that it imports; a folder's own ``__init__`` holds nothing."""
    found = {}
    for name, tree in trees.items():
        own = {each.removeprefix("bundlegen.") for each in imports(tree) if each.startswith("bundlegen.")}
        found[name] = {each for each in own if each in trees} - {name}
    return found


def upward(found: Mapping[str, set[str]]) -> list[str]:
    return [
        f"{name} ({floor_of(name)}) imports {other} ({floor_of(other)})"
        for name, others in found.items()
        for other in sorted(others)
        if RANK[floor_of(other)] > RANK[floor_of(name)]
    ]


def circle(found: Mapping[str, set[str]]) -> list[str]:
    """The modules of an import circle; empty where there is none."""
    try:
        tuple(TopologicalSorter(found).static_order())
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_module_is_on_one_floor() -> None:
    assert {"cli", "change.build", "spec.model", "pki.store", "system.process"} <= set(modules())
    assert [name for name in modules() if len(floors_of(name)) != 1] == []
    patterns = [*EDGE, *(pattern for floor in FLOORS.values() for pattern in floor)]
    assert [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in modules())] == []


def test_folders_hold_no_code_of_their_own() -> None:
    """``from bundlegen.pki import store`` must not start half of the program."""
    folders = [name for name in modules() if any(other.startswith(f"{name}.") for other in modules())]
    assert "pki" in folders
    assert [name for name in folders if len(modules()[name].body) != 1 or not ast.get_docstring(modules()[name])] == []


def test_every_command_has_its_module() -> None:
    files = {name.removeprefix("commands.") for name in modules() if name.startswith("commands.")}
    assert files - {"arguments", "options", "pages", "usage"} == {command.replace("-", "_") for command in cli.COMMANDS}
    for command in cli.COMMANDS:
        body = modules()[f"commands.{command.replace('-', '_')}"].body
        run = next(node for node in body if isinstance(node, ast.FunctionDef) and node.name == "run")
        assert [each.arg for each in run.args.args] == ["arguments", "console"]


def test_imports_point_down() -> None:
    assert upward(arrows(modules())) == []


def test_no_import_circles() -> None:
    assert circle(arrows(modules())) == []


def test_pure_modules_touch_nothing() -> None:
    found = [name for name in modules() if pure(name)]
    assert len(found) > 30
    wrong = {
        name: touched for name in found if (touched := EFFECTS & {i.split(".")[0] for i in imports(modules()[name])})
    }
    assert wrong == {}
    below = arrows(modules())
    assert [f"{name} imports {other}" for name in found for other in below[name] if not pure(other)] == []


@pytest.mark.parametrize(
    "source",
    [
        "from bundlegen.change import build",
        "import bundlegen.change.build",
        "def f():\n    from bundlegen.change.build import build",
        "if TYPE_CHECKING:\n    from bundlegen.change.build import Built",
    ],
)
def test_an_import_upwards_or_in_a_circle_is_seen_wherever_it_is(source: str) -> None:
    below = {**modules(), "spec.model": ast.parse(source)}
    assert "spec.model (spec) imports change.build (change)" in upward(arrows(below))
    assert set(circle(arrows(below))) >= {"spec.model", "change.build"}
