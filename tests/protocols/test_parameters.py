"""Parameters of functions, as strict upstreams take them."""

import msgspec
import pytest

from gatewayctl.protocols import parameters


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        (None, {"type": "object", "properties": {}}),
        (b"{}", {"type": "object", "properties": {}}),
        (b'{"type":"object"}', {"type": "object", "properties": {}}),
        (b'{"properties":{"a":{}}}', {"type": "object", "properties": {"a": {}}}),
        (b'{"$schema":"x","type":"object"}', {"$schema": "x", "type": "object", "properties": {}}),
        (b'{"type":"string"}', {"type": "string"}),
        (b'{"type":["object","null"]}', {"type": ["object", "null"]}),
        (b"true", True),
    ],
)
def test_a_function_always_says_that_it_takes_an_object_with_properties(
    schema: bytes | None, written: object
) -> None:
    """OpenAI refuses ``{"type": "object"}`` alone, which tools of MCP servers often have."""
    assert msgspec.json.decode(bytes(parameters.written(schema))) == written


def test_a_schema_that_is_whole_stays_byte_for_byte() -> None:
    """Nothing is read or written anew that need not be."""
    schema = b'{ "properties": {"a": {"type":"object"}}, "type" : "object" }'
    assert bytes(parameters.written(schema)) == schema
