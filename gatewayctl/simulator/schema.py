"""The least JSON value that a JSON schema allows: arguments for a call, a structured reply.

Covers what tool schemas are written in: types, properties, required, enum, const, default,
anyOf/oneOf/allOf, local references, lengths and bounds. It is no validator of values.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gatewayctl.simulator.problems import invalid

_DEEPEST: Final = 12
_LONGEST: Final = 1_000_000
_UNIONS: Final = ("anyOf", "oneOf", "allOf")
_COUNTS: Final = ("minItems", "minLength", "maxLength")
_FORMS: Final[dict[str, type | tuple[type, ...]]] = {
    "properties": dict,
    **dict.fromkeys(("required", "enum", *_UNIONS), list),
    **dict.fromkeys(_COUNTS, (int, str)),  # Google writes them as text
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum"), (int, float)),
}


def instance(schema: Mapping[str, Any]) -> Any:
    """Return a small value that satisfies ``schema``; raise ``Refused`` where it is none."""
    _check(schema, "schema")
    return _instance(schema, schema, 0)


def _check(schema: Any, path: str) -> None:
    """Raise ``Refused`` for what is looked at and has not the form that JSON schema gives it."""
    if isinstance(schema, bool):  # whether anything goes, or nothing
        return
    if not isinstance(schema, dict):
        raise invalid(f"{path}: a JSON schema is required", path)
    for name, form in _FORMS.items():
        if name in schema and not isinstance(schema[name], form):
            raise invalid(f"{path}.{name}: this has another type than expected", path)
    if not all(isinstance(name, str) for name in schema.get("required", ())):
        raise invalid(f"{path}.required: names are required", path)
    if any(_count(schema[name]) is None for name in _COUNTS if name in schema):
        raise invalid(f"{path}: a length is a number from 0", path)
    for place, inner in _inside(schema):
        _check(inner, f"{path}.{place}")


def _inside(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the schemas that stand in one, by their places."""
    for name, inner in schema.get("properties", {}).items():
        yield f"properties.{name}", inner
    if "items" in schema:
        yield "items", schema["items"]
    for union in _UNIONS:
        for index, inner in enumerate(schema.get(union, ())):
            yield f"{union}[{index}]", inner


def _count(given: int | str) -> int | None:
    """Return a length, None for what is none."""
    count = int(given) if isinstance(given, int) or given.isdecimal() else -1
    return count if 0 <= count <= _LONGEST else None


def _instance(schema: Any, root: Mapping[str, Any], depth: int) -> Any:
    """Do it at a depth; ``root`` is where references point into."""
    schema = _resolved(schema, root)
    for literal in ("const", "default"):
        if literal in schema:
            return schema[literal]
    if schema.get("enum"):
        return schema["enum"][0]
    for union in ("anyOf", "oneOf"):
        if schema.get(union):
            return _instance(schema[union][0], root, depth + 1)
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
            least = _count(schema.get("minItems", 0)) if depth <= _DEEPEST else 0
            value = [_instance(schema.get("items", {}), root, depth + 1) for _ in range(least or 0)]
        case "integer" | "number" if "exclusiveMinimum" in schema:
            value = schema["exclusiveMinimum"] + 1
        case "integer" | "number":
            value = schema.get("minimum", min(1, schema.get("maximum", 1)))
        case "boolean":
            value = False
        case "null":
            value = None
        case _:
            text = "example"[: _count(schema.get("maxLength", 7))]
            value = text.ljust(_count(schema.get("minLength", 0)) or 0, "e")
    return value


def _object(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> dict[str, Any]:
    if depth > _DEEPEST:
        return {}
    properties = schema.get("properties", {})
    required = schema.get("required", ())
    return {name: _instance(properties.get(name, {}), root, depth + 1) for name in required}


def _resolved(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a local reference and merge ``allOf``, which together say what one schema would."""
    for _ in range(_DEEPEST):
        reference = schema.get("$ref") if isinstance(schema, Mapping) else None
        if not isinstance(reference, str) or not reference.startswith("#"):
            break
        target: Any = root
        for step in reference[1:].split("/")[1:]:
            target = target.get(step, {}) if isinstance(target, Mapping) else {}
        _check(target, f"schema{reference}")
        schema = target
    merged: dict[str, Any] = dict(schema) if isinstance(schema, Mapping) else {}
    for part in merged.get("allOf", ()):
        resolved = _resolved(part, root)
        merged = {
            **merged,
            **resolved,
            "properties": {**merged.get("properties", {}), **resolved.get("properties", {})},
            "required": [*merged.get("required", ()), *resolved.get("required", ())],
        }
    return merged
