"""The least JSON value that a JSON schema allows: arguments for a call, a structured reply.

Covers what tool schemas are written in: types, properties, required, enum, const, default,
anyOf/oneOf/allOf, local references, lengths and bounds. It is no validator.
"""

from collections.abc import Mapping
from typing import Any, Final

_DEEPEST: Final = 12


def instance(
    schema: Mapping[str, Any], root: Mapping[str, Any] | None = None, depth: int = 0
) -> Any:
    """Return a small value that satisfies ``schema``; ``root`` is where references point into."""
    root = schema if root is None else root
    schema = _resolved(schema, root)
    for literal in ("const", "default"):
        if literal in schema:
            return schema[literal]
    if schema.get("enum"):
        return schema["enum"][0]
    for union in ("anyOf", "oneOf"):
        if schema.get(union):
            return instance(schema[union][0], root, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    if isinstance(kind, str):
        kind = kind.lower()  # Google's own schemas say OBJECT, STRING …
    if kind is None and ("properties" in schema or "required" in schema):
        kind = "object"
    return _of_kind(kind, schema, root, depth)


def _of_kind(kind: object, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Any:
    value: Any
    match kind:
        case "object":
            value = _object(schema, root, depth)
        case "array":
            least = schema.get("minItems", 0) if depth <= _DEEPEST else 0
            value = [instance(schema.get("items", {}), root, depth + 1) for _ in range(least)]
        case "integer" | "number" if "exclusiveMinimum" in schema:
            value = schema["exclusiveMinimum"] + 1
        case "integer" | "number":
            value = schema.get("minimum", min(1, schema.get("maximum", 1)))
        case "boolean":
            value = False
        case "null":
            value = None
        case _:
            text = "example"[: schema.get("maxLength", 7)]
            value = text.ljust(schema.get("minLength", 0), "e")
    return value


def _object(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> dict[str, Any]:
    if depth > _DEEPEST:
        return {}
    properties = schema.get("properties", {})
    required = schema.get("required", ())
    return {name: instance(properties.get(name, {}), root, depth + 1) for name in required}


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a local reference and merge ``allOf``, which together say what one schema would."""
    for _ in range(_DEEPEST):
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#"):
            break
        target: Any = root
        for step in reference[1:].split("/")[1:]:
            target = target.get(step, {})
        schema = target
    merged: dict[str, Any] = dict(schema)
    for part in schema.get("allOf", ()):
        resolved = _resolved(part, root)
        merged = {
            **merged,
            **resolved,
            "properties": {**merged.get("properties", {}), **resolved.get("properties", {})},
            "required": [*merged.get("required", ()), *resolved.get("required", ())],
        }
    return merged
