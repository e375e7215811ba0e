"""Which module may import which: deciding is pure, doing is at the edge, and imports point one way only.

    cli -> build -> edge -> pure -> errors

An edge module touches the world (disk, clock, programs); a pure one gets values and returns values.
"""

from __future__ import annotations

import ast
from fnmatch import fnmatchcase
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "bundlegen"

# The layer of every module, as shell patterns. A new module is put where it belongs here first.
LAYERS: dict[str, tuple[str, ...]] = {
    "errors": (
        "bundlegen",
        "errors",
        "bundle",
        "change",
        "commands",
        "images",
        "operations",
        "pki",
        "record",
        "spec",
        "system",
        "trust",
    ),
    "pure": (
        "addresses",
        "durations",
        "kubernetes",
        "layout",
        "packer",
        "bundle.install_script",
        "bundle.member",
        "bundle.plan",
        "bundle.render",
        "images.contents",
        "operations.*",
        "pki.catalog",
        "pki.certinfo",
        "pki.issue",
        "pki.sealing",
        "record.blocks",
        "record.calendar",
        "record.document",
        "record.make",
        "record.markdown",
        "record.page",
        "record.pictures",
        "record.receipts",
        "record.schema",
        "record.steps",
        "record.story",
        "record.tables",
        "record.write",
        "spec.check",
        "spec.differences",
        "spec.explain",
        "spec.finding",
        "spec.model",
        "spec.rules_*",
        "spec.schema",
        "spec.starter",
        "spec.types",
        "spec.yaml_tree",
        "system.text",
    ),
    "edge": (
        "bundle.effects",
        "bundle.pieces",
        "bundle.stub",
        "change.folder",
        "change.parts",
        "images.archive",
        "images.pack",
        "pki.*",
        "record.*",
        "spec.load",
        "system.clock",
        "system.process",
        "system.resources",
        "trust.*",
    ),
    "build": ("change.build",),
    "cli": ("cli", "commands.*", "system.console", "system.signals", "__main__"),
}
RANK = {layer: rank for rank, layer in enumerate(LAYERS)}

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


def layer_of(name: str) -> str:
    """The first layer with a pattern for the module."""
    for layer, patterns in LAYERS.items():
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            return layer
    raise LookupError(f"bundlegen.{name} is in no layer: add it to LAYERS")


def imports(name: str, *, everywhere: bool = True) -> set[str]:
    """What a module imports, dotted; with ``everywhere``, imports inside functions as well."""
    tree = modules()[name]
    found: set[str] = set()
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def own_imports(name: str, *, everywhere: bool = True) -> set[str]:
    """Those of :func:`imports` that are modules of the package, by their name in :func:`modules`."""
    own = {found.removeprefix("bundlegen.") for found in imports(name, everywhere=everywhere)}
    return {found for found in own if found in modules()} - {name, "bundlegen"}


def test_every_module_has_a_layer() -> None:
    assert {"cli", "change.build", "spec.model", "pki.store", "system.process"} <= set(modules())
    assert {name: layer_of(name) for name in modules()}.keys() == modules().keys()


def test_imports_point_one_way() -> None:
    wrong = [
        f"{name} ({layer_of(name)}) imports {other} ({layer_of(other)})"
        for name in modules()
        for other in own_imports(name)
        if RANK[layer_of(other)] > RANK[layer_of(name)]
    ]
    assert wrong == []


def test_pure_modules_touch_nothing() -> None:
    pure = [name for name in modules() if layer_of(name) in ("errors", "pure")]
    assert len(pure) > 5
    wrong = {name: touched for name in pure if (touched := EFFECTS & {i.split(".")[0] for i in imports(name)})}
    assert wrong == {}


def test_no_import_cycles() -> None:
    with pytest.raises(CycleError):
        tuple(TopologicalSorter({"a": {"b"}, "b": {"a"}}).static_order())
    graph = {name: own_imports(name, everywhere=False) for name in modules()}
    assert set(TopologicalSorter(graph).static_order()) == set(modules())
