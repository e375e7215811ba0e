"""The commented specification that init writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bundlegen.errors import UsageError
from bundlegen.spec.load import load
from bundlegen.spec.model import Cluster
from bundlegen.spec.starter import specification
from bundlegen.system.resources import template_text

GUIDE = ["infra0=10.0.0.6", "infra1=10.0.0.7", "infra2=10.0.0.8"]


def loaded(tmp_path: Path, text: str) -> Cluster:
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    return load(path).cluster


def test_it_is_sound_as_it_is(tmp_path: Path) -> None:
    cluster = loaded(tmp_path, specification(GUIDE, template_text))
    assert [(host.name, host.address) for host in cluster.hosts] == [
        ("infra0", "10.0.0.6"),
        ("infra1", "10.0.0.7"),
        ("infra2", "10.0.0.8"),
    ]


def test_the_defaults_shown_are_the_defaults(tmp_path: Path) -> None:
    text = specification(GUIDE, template_text)
    shown = loaded(tmp_path, re.sub(r"^#(?=[a-z ] ?[a-zA-Z])(?! [A-Za-z])", "", text, flags=re.MULTILINE))
    plain = loaded(tmp_path, text)
    assert shown.pki.ca_key_host == "infra0"
    assert shown.model_fields_set > plain.model_fields_set
    without = shown.pki.model_copy(update={"ca_key_host": None})
    assert shown.model_copy(update={"pki": without}) == plain


def test_addresses_are_written_in_canonical_form(tmp_path: Path) -> None:
    cluster = loaded(tmp_path, specification(["a=FD00::0:1", "no=fd00::2", "0123=fd00::3"], template_text))
    assert [(host.name, host.address) for host in cluster.hosts] == [
        ("a", "fd00::1"),
        ("no", "fd00::2"),
        ("0123", "fd00::3"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["infra0"], '"infra0" is not NAME=ADDRESS (write it like infra0=10.0.0.6)'),
        (["Infra0=10.0.0.6"], '"Infra0=10.0.0.6": "Infra0" is not a host name (write infra0)'),
        (
            ["a=10.0.0.6:2380"],
            '"a=10.0.0.6:2380": "10.0.0.6:2380" has a port (write 10.0.0.6, and ports under `ports`)',
        ),
        (["a=10.0.0.1", "a=10.0.0.2"], "the name a is there twice (each host has its own name)"),
        (["a=fd00::1", "b=fd00:0::1"], "the address fd00::1 is there twice (each host has its own address)"),
        (["a=b=10.0.0.1"], '"a=b=10.0.0.1": "b=10.0.0.1" is not an IP address (write it like 10.0.0.6 or fd00::6)'),
        ([f"h{i}=10.0.0.1" for i in range(1001)], "1001 hosts, at most 1000 are possible (make several clusters)"),
    ],
)
def test_arguments_that_are_wrong(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        specification(arguments, template_text)
    assert caught.value.lines() == (message,)
