"""Whether kubelet starts at boot is asked before and after: that `systemctl enable` ends well says nothing."""

from __future__ import annotations

import json

import pytest

from tests.shell.payload import HEALTH, STATE, Payload
from tests.shell.sandbox import Sandbox

NEVER = {
    "masked": "systemctl unmask kubelet.service",
    "masked-runtime": "systemctl unmask kubelet.service",
    "static": "WantedBy=multi-user.target",
    "linked": "WantedBy=multi-user.target",
    "linked-runtime": "WantedBy=multi-user.target",
    "indirect": "WantedBy=multi-user.target",
    "generated": "WantedBy=multi-user.target",
    "alias": "WantedBy=multi-user.target",
    "transient": "WantedBy=multi-user.target",
    "bad": "systemctl enable kubelet.service",
}


@pytest.mark.parametrize("state", NEVER)
def test_a_kubelet_that_would_not_start_at_boot_is_said_before_anything_is_changed(host: Sandbox, state: str) -> None:
    host.stub("enabled", f"{state}\n")
    before = host.tree(times=True)
    for _ in range(2):
        done = host.install(Payload())
        assert done.returncode == 11, done.stdout
        assert f"kubelet.service is {state}: it would not start when this host boots" in done.stderr
        assert NEVER[state] in done.stderr
        assert host.tree(times=True) == before


@pytest.mark.parametrize("state", [*NEVER, "disabled", "enabled-runtime"])
def test_an_exit_status_is_no_effect(host: Sandbox, state: str) -> None:
    """The check is ignored, or it became so since: the run ends where systemd does not do what it said."""
    host.stub("enabled", f"{state}\n")
    host.stub("bin/systemctl.real", host.stubbed("bin/systemctl"))
    host.stub("bin/systemctl", '#!/bin/bash\n[[ $1 != enable ]] || exit 0\nexec /var/stub/bin/systemctl.real "$@"\n')
    host.path("/var/stub/bin/systemctl.real").chmod(0o755)
    before = host.tree()
    done = host.install(Payload(), "--ignore", "kubelet")
    assert done.returncode == 13, done.stdout
    assert f"kubelet is {state} after `systemctl enable`: it would not start when this host boots" in done.stderr
    assert "enabled kubelet" not in done.stdout
    # the receipt stays
    assert {name: facts for name, facts in host.tree().items() if not STATE.startswith(f"/{name}")} == before


@pytest.mark.parametrize("wanted", ["WantedBy", "RequiredBy"])
@pytest.mark.parametrize("state", ["static", "linked", "indirect", "generated", "alias"])
def test_a_kubelet_that_another_unit_wants_is_left_as_it_is(host: Sandbox, state: str, wanted: str) -> None:
    host.stub("enabled", f"{state}\n")
    host.stub(wanted, "multi-user.target\n")
    done = host.install(Payload())
    assert done.returncode == 0, done.stderr
    assert "enabled kubelet" not in done.stdout
    before = host.tree(times=True)
    done = host.install(Payload())
    assert done.returncode == 0
    assert "Already installed; nothing changed" in done.stdout
    assert host.tree(times=True) == before
    assert host.stubbed("enabled") == f"{state}\n"


@pytest.mark.parametrize("state", NEVER)
def test_health_warns_of_a_kubelet_that_would_not_start_again(host: Sandbox, state: str) -> None:
    assert host.install(Payload()).returncode == 0
    host.stub("enabled", f"{state}\n")
    done = host.execute(HEALTH, "--json")
    assert done.returncode == 0
    (check,) = (one for one in json.loads(done.stdout)["checks"] if one["name"] == "kubelet")
    assert check["verdict"] == "warning"
    assert f"would not start when this host boots: it is {state}" in check["text"]
    assert NEVER[state] in check["hint"]
