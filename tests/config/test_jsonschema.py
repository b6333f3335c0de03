"""The JSON Schema and the walk agree: what one takes by form, the other takes too."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.catalog import SmallCatalog

from gatewayctl.config.jsonschema import json_schema
from gatewayctl.config.load import load_text

ROOT = Path(__file__).parents[2]
SCHEMA = json_schema()
CASES = sorted((Path(__file__).parent / "cases").glob("*.toml"))
OF_FORM = {
    "unknown-key",
    "wrong-type",
    "unknown-value",
    "empty-string",
    "missing-id",
    "missing-model",
    "missing-target",
    "out-of-range",
    "port-out-of-range",
    "fraction-out-of-range",
    "margin-below-one",
    "ratio-not-positive",
    "negative-price",
    "price-too-high",
    "alloy-missing-name",
    "alloy-missing-context-window",
    "alloy-zero-context-window",
    "alloy-zero-minimum",
    "alloy-weight-not-positive",
    "zero-context-window",
}
"""Problems that a schema can see."""
UNSEEN = {
    "syntax",
    "not-finite",
    "too-precise",
    "name-out-of-form",
    "size-out-of-form",
    "duration-out-of-form",
    "url-out-of-form",
    "host-out-of-form",
    "hours-out-of-form",
}
"""Problems that JSON cannot have, or whose form a schema knows only roughly."""
TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


def wrong(schema: Mapping[str, Any], value: object, at: str = "$") -> Iterator[str]:
    """Yield where a value breaks a schema: the keywords that ours uses, and no others."""
    known = {"$schema", "title", "$defs", "description", "$ref", "anyOf", "enum", "const"}
    known |= {"type", "properties", "additionalProperties", "required", "items", "pattern"}
    known |= {"minimum", "maximum", "exclusiveMinimum", "minLength", "propertyNames"}
    assert schema.keys() <= known
    if "$ref" in schema:
        definitions: Any = SCHEMA["$defs"]
        yield from wrong(definitions[schema["$ref"].removeprefix("#/$defs/")], value, at)
    if "anyOf" in schema and all(any(wrong(arm, value, at)) for arm in schema["anyOf"]):
        yield at
    if value not in schema.get("enum", [value]) or schema.get("const", value) != value:
        yield at
    if "type" in schema and not _is(schema["type"], value):
        yield at
    else:
        yield from _wrong_inside(schema, value, at)


def _wrong_inside(schema: Mapping[str, Any], value: object, at: str) -> Iterator[str]:
    match value:
        case dict():
            yield from _wrong_table(schema, value, at)
        case list():
            for number, item in enumerate(value):
                yield from wrong(schema.get("items", {}), item, f"{at}[{number}]")
        case str():
            short = len(value) < schema.get("minLength", 0)
            if short or not re.search(schema.get("pattern", ""), value):
                yield at
        case int() | float() if not _in_range(schema, value):
            yield at
        case _:
            return


def _is(name: str, value: object) -> bool:
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _in_range(schema: Mapping[str, Any], value: float) -> bool:
    above = value > schema["exclusiveMinimum"] if "exclusiveMinimum" in schema else True
    return above and schema.get("minimum", value) <= value <= schema.get("maximum", value)


def _wrong_table(schema: Mapping[str, Any], value: dict[str, object], at: str) -> Iterator[str]:
    for name in schema.get("required", []):
        if name not in value:
            yield f"{at}.{name}"
    for name, item in value.items():
        yield from wrong(schema.get("propertyNames", {}), name, f"{at}.{name}")
        inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", True))
        if inner is False:
            yield f"{at}.{name}"
        elif inner is not True:
            yield from wrong(inner, item, f"{at}.{name}")


def test_the_example_is_valid_by_the_schema() -> None:
    """The file that shows every key has none that the schema does not know."""
    values = tomllib.loads((ROOT / "config.toml.example").read_text())
    assert list(wrong(SCHEMA, values)) == []


def codes(path: Path) -> set[str]:
    """Return the codes of a case's problems."""
    loaded = load_text(path.read_text(), name="x", environ={}, catalog=SmallCatalog())
    return {problem.code for problem in loaded.problems}


@pytest.mark.parametrize(
    "path", [path for path in CASES if not codes(path) & UNSEEN], ids=lambda path: path.stem
)
def test_the_schema_sees_what_is_wrong_by_form(path: Path) -> None:
    """A broken file breaks the schema exactly when a problem is one of form."""
    broken = list(wrong(SCHEMA, tomllib.loads(path.read_text())))
    assert bool(broken) is bool(codes(path) & OF_FORM)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('[aliases]\na = " "', "empty-string"),
        ('[routing]\ndeadline = "0s"', "duration-out-of-form"),
        ('[routing]\ndeadline = "0.0h"', "duration-out-of-form"),
    ],
)
def test_the_schema_sees_blanks_and_zeros(text: str, code: str) -> None:
    """What an editor could have marked is not left to the walk."""
    loaded = load_text(text, name="x", environ={}, catalog=SmallCatalog())
    assert code in {problem.code for problem in loaded.problems}
    assert list(wrong(SCHEMA, tomllib.loads(text)))
