"""The models as a JSON Schema that editors make good use of."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from bundlegen.durations import text_of
from bundlegen.spec.model import Cluster

_DIALECT: Final = GenerateJsonSchema.schema_dialect
_TITLE: Final = "bundlegen cluster specification"


class _Schema(GenerateJsonSchema):
    def encode_default(self, dft: Any) -> Any:
        """Durations by the rules of the specification, not by ISO 8601."""
        return text_of(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of ``model``, by the names users write.

    pydantic's own differs in three ways: it titles every field after its Python name, it says ``null`` where a
    specification leaves the field out, and it lists defaults that stand for "none given".
    """
    raw = model.model_json_schema(by_alias=True, schema_generator=_Schema)
    polished: dict[str, Any] = _polished(raw)
    polished["$defs"] = dict(sorted(polished["$defs"].items()))
    return {"$schema": _DIALECT, "title": _TITLE} | {key: value for key, value in polished.items() if key != "title"}


def _polished(node: Any) -> Any:
    if isinstance(node, list):
        return [_polished(item) for item in node]
    if not isinstance(node, dict):
        return node
    result = {key: _polished(value) for key, value in node.items() if key != "title" or not isinstance(value, str)}
    choices = [choice for choice in result.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        del result["anyOf"]
        result |= choices[0]
    if result.get("default", ...) is None:
        del result["default"]
    if list(result.get("patternProperties", ())) and "additionalProperties" not in result:
        result["additionalProperties"] = False
    return result


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a specification, so that editors complete and check it."""
    return schema_of(Cluster)
