from typing import Any

import pytest

from gatewayctl.simulator.problems import Refused
from gatewayctl.simulator.schema import instance


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, "example"),
        ({"type": "string", "minLength": 9}, "exampleee"),
        ({"type": "string", "maxLength": 3}, "exa"),
        ({"type": ["null", "string"]}, None),
        ({"enum": ["b", "a"]}, "b"),
        ({"const": 4}, 4),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "number", "maximum": 0}, 0),
        ({"type": "boolean"}, False),
        ({"type": "string", "minLength": "9"}, "exampleee"),
        ({"properties": {"a": True}, "required": ["a"]}, {"a": "example"}),
        ({"type": "array", "items": {"type": "null"}, "minItems": 2}, [None, None]),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, False),
        (
            {"properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a"]},
            {"a": 1},
        ),
        (
            {"$ref": "#/$defs/x", "$defs": {"x": {"type": "integer", "minimum": 7}}},
            7,
        ),
        (
            {
                "type": "object",
                "allOf": [
                    {"properties": {"a": {"const": 1}}, "required": ["a"]},
                    {"properties": {"b": {"const": 2}}, "required": ["b"]},
                ],
            },
            {"a": 1, "b": 2},
        ),
    ],
)
def test_makes_the_least_value_a_schema_allows(schema: dict[str, Any], value: object) -> None:
    """Each form that tool schemas are written in yields a value that satisfies it."""
    assert instance(schema) == value


def test_a_schema_that_refers_to_itself_ends() -> None:
    """Recursion in a schema is cut at a depth, not followed for ever."""
    node = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    assert "next" in instance(node)


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": 5},
        {"properties": {"a": 5}, "required": ["a"]},
        {"properties": {"a": {"type": "array", "items": [{}], "minItems": 1}}},
        {"required": None},
        {"required": [5]},
        {"minLength": "x"},
        {"maxLength": -1},
        {"type": "array", "minItems": 10**9},
        {"type": "integer", "minimum": "3", "exclusiveMinimum": []},
        {"anyOf": [None]},
        {"allOf": {}},
        {"enum": "ab"},
        {"$ref": "#/x", "x": 5},
        {"$ref": "#/x/y", "x": {"y": {"required": 1}}},
    ],
)
def test_what_is_no_schema_is_refused(schema: dict[str, Any]) -> None:
    """As a malformed request is: it is the caller's mistake, not a fault of the simulator."""
    with pytest.raises(Refused) as refused:
        instance(schema)
    assert refused.value.problem.status == 400
