"""The texts of the templates for Packer: what Packer itself does not check."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bundlegen.packer import BUILDERS, quoted, templates
from bundlegen.spec.load import load
from bundlegen.system.resources import template_names, template_text

EXAMPLE = Path(__file__).parents[2] / "examples/three-hosts.yaml"
FILES = templates(load(EXAMPLE).cluster, template_text)
VARIABLE = re.compile(r'^variable "(\w+)" \{\n(.*?)^\}$', re.MULTILINE | re.DOTALL)


def variables(builder: str) -> dict[str, str]:
    """The body of every variable declared for ``builder``, by name."""
    texts = [text for name, text in FILES.items() if name.startswith(f"{builder}/") and name.endswith(".pkr.hcl")]
    return {name: body for text in texts for name, body in VARIABLE.findall(text)}


def test_every_template_is_used() -> None:
    used: set[str] = set()

    def source(name: str) -> str:
        used.add(name)
        return template_text(name)

    templates(load(EXAMPLE).cluster, source)
    assert used == {name for name in template_names() if name.startswith("packer/")}


@pytest.mark.parametrize("builder", [builder.name for builder in BUILDERS])
def test_variables_have_type_and_description(builder: str) -> None:
    found = variables(builder)
    assert {"change_folder", "base_sha256", "ssh_username"} <= set(found)
    assert [name for name, body in found.items() if "  type " not in body or '  description = "' not in body] == []


@pytest.mark.parametrize("builder", [builder.name for builder in BUILDERS])
def test_what_is_used_is_declared_and_the_other_way_round(builder: str) -> None:
    text = "".join(text for name, text in FILES.items() if name.startswith(f"{builder}/"))
    assert set(re.findall(r"\bvar\.(\w+)", text)) == set(variables(builder))


def test_passwords_are_sensitive_and_have_no_default() -> None:
    passwords = {
        (builder.name, name): body
        for builder in BUILDERS
        for name, body in variables(builder.name).items()
        if re.search("password|secret|token", name)
    }
    assert list(passwords) == [("vsphere-iso", "vcenter_password")]
    for body in passwords.values():
        assert re.search(r"^  sensitive +=  ?true$", body, re.MULTILINE)
        assert "default" not in body


def test_only_a_folder_apart_has_what_packer_1_6_does_not_understand() -> None:
    found = {name for name, text in FILES.items() if re.search(r"^ *required_plugins \{", text, re.MULTILINE)}
    assert found == {f"{builder.name}/plugins/plugins.pkr.hcl" for builder in BUILDERS if builder.plugin}


def test_nothing_is_evaluated_in_what_is_quoted() -> None:
    assert quoted('a "b" \\ ${c} %{d}\n') == r'"a \"b\" \\ $${c} %%{d}\n"'
