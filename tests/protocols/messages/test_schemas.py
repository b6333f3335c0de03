"""Schemas of answers, as Anthropic takes them."""

from typing import Any

import msgspec
import pytest

from gatewayctl.core.errors import RequestInvalid
from gatewayctl.protocols.messages import schemas

NAMED = {"type": "object", "properties": {"a": {"type": "string"}}}
CLOSED = {**NAMED, "additionalProperties": False}


def closed(schema: Any) -> Any:
    """Return a schema with its objects closed."""
    return msgspec.json.decode(bytes(schemas.closed(msgspec.json.encode(schema))))


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        (NAMED, CLOSED),
        (CLOSED, CLOSED),
        ({"type": "array", "items": NAMED}, {"type": "array", "items": CLOSED}),
        ({"anyOf": [NAMED, {"type": "null"}]}, {"anyOf": [CLOSED, {"type": "null"}]}),
        (
            {"$ref": "#/$defs/n", "$defs": {"n": NAMED}},
            {"$ref": "#/$defs/n", "$defs": {"n": CLOSED}},
        ),
        (
            {"type": "object", "properties": {"n": NAMED}},
            {"type": "object", "properties": {"n": CLOSED}, "additionalProperties": False},
        ),
    ],
)
def test_objects_that_name_members_have_no_others(schema: Any, written: Any) -> None:
    """Anthropic refuses a schema that does not say so; its answers still fit the client's."""
    assert closed(schema) == written


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {"a": {}}, "additionalProperties": True},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"properties": {"a": {}}},
        True,
    ],
)
def test_what_may_hold_anything_is_left_to_the_upstream(schema: Any) -> None:
    """To close it would change what is asked for."""
    assert closed(schema) == schema


def test_a_schema_that_nests_too_deeply_is_refused() -> None:
    """Nothing but that leaves, whatever the schema is."""
    deep = b'{"items":' * 5000 + b"{}" + b"}" * 5000
    with pytest.raises(RequestInvalid):
        schemas.closed(deep)


def test_a_schema_with_a_number_beyond_all_is_refused() -> None:
    """It came as it was written, and no decoder holds it."""
    with pytest.raises(RequestInvalid):
        schemas.closed(b'{"type":"number","maximum":1e999}')


def test_an_object_that_may_be_null_is_closed_too() -> None:
    """A list of types may name it."""
    written = schemas.closed(b'{"type":["object","null"],"properties":{"a":{}}}')
    assert msgspec.json.decode(written)["additionalProperties"] is False
