"""Check a specification: the models first, then every rule between fields, all problems together.

Rules need a whole Cluster. Where fields are wrong, harmless stand-ins take their place, the rules run all the
same, and what they find because of a stand-in is dropped. So one run names everything there is to correct.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from bundlegen.errors import Problem, SpecError
from bundlegen.spec import rules_etcd, rules_flags, rules_hosts, rules_kubelet, rules_paths, rules_trust
from bundlegen.spec.explain import explain
from bundlegen.spec.finding import FieldPath, Finding
from bundlegen.spec.model import Cluster

_RULES: Final = (
    *rules_hosts.RULES,
    *rules_paths.RULES,
    *rules_trust.RULES,
    *rules_kubelet.RULES,
    *rules_etcd.RULES,
    *rules_flags.RULES,
)
_STAND_IN_VERSION: Final = "v1.31.0"


@dataclass(frozen=True)
class Checked:
    """``cluster`` is what was described if ``problems`` is empty; otherwise stand-ins replace the ``broken`` fields."""

    cluster: Cluster
    problems: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    broken: frozenset[FieldPath]

    def sound(self, path: FieldPath) -> bool:
        """Whether the value at ``path`` is the user's and right, not a stand-in."""
        return not _within(path, self.broken)


def check(data: Any, known: Iterable[Finding] = (), written: Mapping[FieldPath, str] | None = None) -> Checked:
    """Everything there is to say about ``data``, the plain tree of one specification.

    ``known`` are problems found while reading it: their fields are not judged again. ``written`` holds scalars
    as they stand in the file, for messages. Raises nothing.
    """
    known = tuple(known)
    problems = list(known)
    broken = {finding.path for finding in known}
    sound = copy.deepcopy(data) if isinstance(data, dict) else {}
    if not isinstance(data, dict):
        problems.append(Finding((), "must be a mapping of fields", "start with name, kubernetesVersion and hosts"))
        broken.add(())
    for path in broken:
        _replace(sound, path)
    for attempt in range(3):
        try:
            cluster = Cluster.model_validate(sound)
            break
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                if detail["type"] == "too_short" and detail["input"]:
                    continue  # pydantic counts items that are right; those that are wrong are reported themselves
                found = explain(detail, written or {})
                if attempt == 0 and not _within(found.path, broken):
                    problems.append(found)
                broken.add(found.path)
                _replace(sound, found.path)
    else:
        cluster = Cluster.model_validate(_stand_in_cluster())
        broken.add(())
    problems = _without_consequences(problems)
    for rule in _RULES:
        problems.extend(
            found for found in rule(cluster) if not any(_within(path, broken) for path in (found.path, *found.involves))
        )
    return Checked(
        cluster,
        tuple(found for found in problems if not found.warning),
        tuple(found for found in problems if found.warning),
        frozenset(broken),
    )


def _without_consequences(problems: list[Finding]) -> list[Finding]:
    """``problems`` without "x is missing" where another says that y was probably meant to be x."""
    meant = {(*found.path[:-1], found.hint[13:-1]) for found in problems if found.hint.startswith("did you mean ")}
    return [found for found in problems if found.message != "is missing" or found.path not in meant]


def _within(path: FieldPath, broken: AbstractSet[FieldPath]) -> bool:
    return any(path[:length] in broken for length in range(len(path) + 1))


def _stand_in_host(number: int) -> dict[str, str]:
    return {"name": f"stand-in-{number}", "address": f"100::{number + 1:x}"}


def _stand_in_cluster() -> dict[str, Any]:
    return {"name": "stand-in", "kubernetesVersion": _STAND_IN_VERSION, "hosts": [_stand_in_host(0)]}


def _replace(data: dict[str, Any], path: FieldPath) -> None:
    """Put a stand-in where ``path`` leads, or take the field away where it has a default."""
    match path:
        case ():
            data.clear()
            data.update(_stand_in_cluster())
        case ("name" | "kubernetesVersion" | "hosts" as field,):
            data[field] = _stand_in_cluster()[field]
        case ("hosts", int(number)) if len(data["hosts"]) > number:
            data["hosts"][number] = _stand_in_host(number)
        case ("hosts", int(number), "name" | "address" as field):
            data["hosts"][number][field] = _stand_in_host(number)[field]
        case ("hosts", int(number), "extraSANs", int(position)):
            data["hosts"][number]["extraSANs"][position] = f"stand-in-{number}-{position}.invalid"
        case ("images", int(position)):
            data["images"][position] = "stand-in"
        case ("pki", "ca", *_):
            data["pki"].pop("ca", None)
        case ("kubelet", "extraConfig", *_):
            data["kubelet"].pop("extraConfig", None)
        case (*parents, str(field)):
            _remove(data, tuple(parents), field)
        case (*parents, int(), _) | (*parents, int()):
            _replace(data, tuple(parents))


def _remove(data: Any, parents: FieldPath, field: str) -> None:
    part: Any
    for part in parents:
        if (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        ):
            data = data[part]
        else:
            return
    if isinstance(data, dict):
        data.pop(field, None)


def parse(data: dict[str, Any]) -> Cluster:
    """The cluster that ``data`` (as read from YAML or JSON) describes. Raises SpecError with every problem."""

    checked = check(data)
    if checked.problems:
        raise SpecError(Problem("", found.field, found.message, found.hint) for found in checked.problems)
    return checked.cluster
