"""The project's shell: the installer as rendered, and every script that runs as it stands."""

from __future__ import annotations

import os

import pytest

from bundlegen.bundle import install_script
from bundlegen.bundle.render import Renderer
from bundlegen.spec import load
from bundlegen.system import resources
from tests.lint.tree import ROOT, check, shell_scripts

SHELLCHECK = ("shellcheck", "--norc", "--enable=all")
SHFMT = ("shfmt", "-i", "2", "-ci", "-bn", "-sr", "-d")
RENDERED = ("install.sh", "image.sh", "health-command.sh", "guard.sh", "snapshot-command.sh")


@pytest.fixture(scope="module")
def rendered() -> dict[str, str]:
    """Every script that a bundle brings, by the name it has in RENDERED."""
    cluster = load.load(ROOT / "examples/three-hosts.yaml").cluster
    return {
        "install.sh": install_script.install_script().decode(),
        # as it is read: within install.sh, before the last line calls anything
        "image.sh": install_script.join((*install_script.PARTS, *install_script.IMAGE_PARTS), install_script.texts()),
        "health-command.sh": Renderer(cluster, "token", resources.template_text).health_command(),
        "guard.sh": Renderer(cluster, "token", resources.template_text).guard(),
        "apply.sh": Renderer(cluster, "token", resources.template_text).apply_command("ops@example.net"),
        "snapshot-command.sh": Renderer(cluster, "token", resources.template_text).snapshot_command(),
    }


def test_every_shell_template_is_rendered_here() -> None:
    """A script that no test renders is a script that nobody checks."""
    shell = {
        name
        for name in resources.template_names()
        if name.removesuffix(".j2").endswith((".sh", ".bash")) or resources.template_text(name).startswith("#!")
    }
    packer = {name for name in shell if name.startswith("packer/scripts/")}
    parts = {f"install/{name}" for name in install_script.texts() if name not in install_script.TABLES}
    programs = {f"{name}.j2" for name in ("apply.sh", "guard.sh", "health-command.sh", "snapshot-command.sh")}
    assert shell == parts | programs | {"stub/first.sh"} | packer
    assert packer


@pytest.mark.parametrize("name", [name for name in resources.template_names() if name.startswith("packer/scripts/")])
def test_scripts_for_packer(name: str) -> None:
    """Copied as they stand, to run on the builder or beside Packer."""
    text = resources.template_text(name)
    assert text.startswith("#!/bin/bash\n")
    assert "\nset -Eeuo pipefail\n" in text
    assert text.endswith('\nmain "$@"\n')
    check([*SHELLCHECK, "-"], stdin=text)
    check([*SHFMT, "-ln", "bash"], stdin=text)


def test_the_first_lines_of_the_stub() -> None:
    """Whatever sh a host has runs them."""
    text = resources.template_text("stub/first.sh")
    check([*SHELLCHECK, "-"], stdin=text)
    check([*SHFMT, "-ln", "posix"], stdin=text)


@pytest.mark.parametrize("name", RENDERED)
def test_rendered(rendered: dict[str, str], name: str) -> None:
    text = rendered[name]
    assert text.startswith("#!/bin/bash")
    assert "\nset -Eeuo pipefail\n" in text
    check([*SHELLCHECK, "-"], stdin=text)
    check([*SHFMT, "-ln", "bash"], stdin=text)


def test_install_sh_runs_nothing_before_it_is_whole(rendered: dict[str, str]) -> None:
    """Cut off anywhere, it does nothing: everything is in functions, and the last line calls them."""
    assert rendered["install.sh"].splitlines()[-1] == 'main "$@"'


def test_the_parts_are_in_the_house_format() -> None:
    check([*SHFMT, *(os.fspath(path) for path in sorted((ROOT / "templates/install").rglob("*.sh")))])


def test_scripts() -> None:
    scripts = [file.as_posix() for file in shell_scripts()]
    assert {".ci/run", ".ci/setup"} <= set(scripts)
    # Stand-ins for other programs live for one test: shellcheck's defaults do for them.
    stand_ins = [name for name in scripts if name.startswith("tests/shell/")]
    check([*SHELLCHECK, *(name for name in scripts if name not in stand_ins)])
    check(["shellcheck", "--norc", *stand_ins])
    check([*SHFMT, *scripts])


def test_editors_are_told_the_same_format() -> None:
    """Without flags shfmt follows .editorconfig, as editors and `make fmt` do."""
    check(["shfmt", "-d", *(file.as_posix() for file in shell_scripts())])


def test_the_linters_do_complain() -> None:
    with pytest.raises(pytest.fail.Exception, match="SC2086"):
        check([*SHELLCHECK, "-"], stdin="#!/bin/bash\necho $1\n")
    with pytest.raises(pytest.fail.Exception, match="orig"):
        check(SHFMT, stdin="if true; then\n        echo\nfi\n")
