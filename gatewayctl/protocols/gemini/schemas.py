"""Google's schemas made JSON schemas: the subset of OpenAPI's that ``parameters`` are written in.

JSON schemas that stand in a request as such pass as they are.
"""

from typing import Any, Final

from gatewayctl.protocols.gemini.names import camel

_NUMBERS: Final = frozenset(
    {"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"}
)
_ONE: Final = frozenset({"items", "additionalProperties"})
_MANY: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_NAMED: Final = frozenset({"properties", "defs", "$defs"})
_LEFT_OUT: Final = frozenset({"nullable", "propertyOrdering", "example"})


def standard(schema: Any) -> Any:
    """Return a schema as JSON Schema: types in lower case, counts as numbers, null as a type.

    Raises ``RecursionError`` for one that nests too deeply.
    """
    if not isinstance(schema, dict):
        return schema
    fields = {camel(name) if "_" in name else name: value for name, value in schema.items()}
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if name not in _LEFT_OUT and value is not None:
            found[name] = _field(name, value)
    if fields.get("nullable") is True:
        _allow_null(found)
    return found


def _field(name: str, value: Any) -> Any:
    if name in _ONE:
        return standard(value)
    if name in _MANY and isinstance(value, list):
        return [standard(each) for each in value]
    if name in _NAMED and isinstance(value, dict):
        return {key: standard(each) for key, each in value.items()}
    if name in _NUMBERS and isinstance(value, str) and value.isdecimal():
        return int(value[:18])
    if name == "type":
        return _type(value)
    return value


def _type(value: Any) -> Any:
    if isinstance(value, list):
        return [_type(each) for each in value]
    return value.lower() if isinstance(value, str) else value


def _allow_null(found: dict[str, Any]) -> None:
    kinds = found.get("type")
    if isinstance(kinds, str) and kinds != "null":
        found["type"] = [kinds, "null"]
    elif "anyOf" in found and isinstance(found["anyOf"], list):
        found["anyOf"] = [*found["anyOf"], {"type": "null"}]
    if isinstance(found.get("enum"), list) and None not in found["enum"]:
        found["enum"] = [*found["enum"], None]
