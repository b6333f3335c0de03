"""What a Responses request demands of an upstream, and what of it is refused."""

import json
from typing import Any

import pytest

from gatewayctl.core.conversation import (
    Format,
    Prompt,
)
from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.shape import Demand
from gatewayctl.protocols.responses import prompts
from gatewayctl.protocols.responses.codec import ResponsesCodec

FUNCTION = {"type": "function", "name": "read", "strict": False}
OTHER = {"type": "function", "name": "write"}


def read(**fields: Any) -> Prompt:
    """Read a request of these fields."""
    return prompts.read(json.dumps({"model": "m", "input": "hi", **fields}).encode())


def refusal(**fields: Any) -> RequestInvalid:
    """Return the refusal of a request that must be refused."""
    with pytest.raises(RequestInvalid) as caught:
        read(**fields)
    return caught.value


@pytest.mark.parametrize(
    ("fields", "path", "demand"),
    [
        ({"previous_response_id": "resp_1"}, "$.previous_response_id", Demand.STATE),
        ({"conversation": "conv_1"}, "$.conversation", Demand.STATE),
        ({"prompt": {"id": "pmpt_1"}}, "$.prompt", Demand.STATE),
        ({"background": True}, "$.background", Demand.STATE),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "$.input[0]", Demand.STATE),
        (
            {"input": [{"type": "compaction", "encrypted_content": "x"}]},
            "$.input[0]",
            Demand.STATE,
        ),
        ({"tool_choice": {"type": "web_search"}}, "$.tool_choice", Demand.HOSTED_TOOL),
        (
            {"tool_choice": {"type": "custom", "name": "x"}},
            "$.tool_choice",
            Demand.HOSTED_TOOL,
        ),
        (
            {"tools": [{"type": "web_search"}], "tool_choice": "required"},
            "$.tool_choice",
            Demand.HOSTED_TOOL,
        ),
        ({"text": {"format": {"type": "grammar"}}}, "$.text.format", Demand.FORM),
        (
            {"input": [{"role": "user", "content": [{"type": "input_video"}]}]},
            "$.input[0].content[0]",
            Demand.MODALITY,
        ),
    ],
)
def test_what_may_not_be_left_out_is_demanded_and_refused(
    fields: dict[str, Any], path: str, demand: Demand
) -> None:
    """Planning sees it in the shape, so that only an upstream of this protocol is asked."""
    found = refusal(**fields)
    assert found.path == path
    assert demand in str(found)
    body = json.dumps({"model": "m", "input": "hi", **fields}).encode()
    assert ResponsesCodec().shape(body).demands == {demand}


@pytest.mark.parametrize(
    ("part", "demands"),
    [
        ({"type": "input_text", "text": "a"}, set()),
        ({"type": "input_image", "image_url": "https://example.org/x.png"}, set()),
        ({"type": "input_image", "file_id": "file-1"}, {Demand.UPLOADED}),
        ({"type": "input_file", "file_id": "file-1"}, {Demand.UPLOADED}),
        ({"type": "input_file", "file_url": "https://example.org/x"}, {Demand.DOCUMENT_URL}),
        (
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            {Demand.AUDIO},
        ),
    ],
)
def test_the_shape_tells_what_parts_demand(part: dict[str, Any], demands: set[Demand]) -> None:
    """In a message and in a tool's result alike."""
    for item in (
        {"role": "user", "content": [part]},
        {"type": "function_call_output", "call_id": "c", "output": [part]},
    ):
        body = json.dumps({"model": "m", "input": [item]}).encode()
        assert ResponsesCodec().shape(body).demands == demands


@pytest.mark.parametrize(
    ("choice", "demands"),
    [
        ("auto", set()),
        ("required", set()),
        ({"type": "function", "name": "read"}, set()),
        ({"type": "allowed_tools", "mode": "required", "tools": [FUNCTION]}, set()),
        ({"type": "allowed_tools", "mode": "auto", "tools": [FUNCTION, OTHER]}, set()),
        ({"type": "allowed_tools", "mode": "auto", "tools": [FUNCTION]}, {Demand.ALLOWED_TOOLS}),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "mcp"}]},
            {Demand.HOSTED_TOOL},
        ),
        ({"type": "mcp", "server_label": "s"}, {Demand.HOSTED_TOOL}),
    ],
)
def test_the_shape_tells_what_a_choice_of_tools_demands(
    choice: object, demands: set[Demand]
) -> None:
    """A choice among all, or of one, can be said everywhere."""
    fields = {"model": "m", "input": "hi", "tools": [FUNCTION, OTHER], "tool_choice": choice}
    assert ResponsesCodec().shape(json.dumps(fields).encode()).demands == demands


def test_json_without_a_schema_is_a_demand() -> None:
    """Not every protocol knows that mode."""
    body = b'{"model":"m","input":"hi","text":{"format":{"type":"json_object"}}}'
    assert ResponsesCodec().shape(body).demands == {Demand.JSON_OBJECT}
    assert prompts.read(body).format == Format()


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"input": None}, "$.input"),
        ({"input": [{}]}, "$.input[0]"),
        ({"input": [{"type": 3}]}, "$.input[0].type"),
        ({"input": [{"role": "tool", "content": "x"}]}, "$.input[0].role"),
        ({"input": [{"role": "user", "content": 3}]}, "$.input[0].content"),
        ({"input": [{"role": "user", "content": ["x"]}]}, "$.input[0].content[0]"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
            "$.input[0].content[0].text",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "$.input[0].content[0].image_url",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file"}]}]},
            "$.input[0].content[0].file_data",
        ),
        ({"input": [{"type": "function_call", "name": "f"}]}, "$.input[0].arguments"),
        ({"input": [{"type": "function_call_output", "output": ""}]}, "$.input[0].call_id"),
        ({"tools": [{"type": "function"}]}, "$.tools[0].name"),
        (
            {"tools": [{"type": "function", "name": "f", "parameters": []}]},
            "$.tools[0].parameters",
        ),
        (
            {"input": [{"type": "reasoning", "summary": [], "encrypted_content": 1}]},
            "$.input[0].encrypted_content",
        ),
        ({"tool_choice": "sometimes"}, "$.tool_choice"),
        ({"tool_choice": {"type": "allowed_tools", "mode": []}}, "$.tool_choice.mode"),
        ({"tool_choice": {"type": "allowed_tools", "mode": "auto"}}, "$.tool_choice.tools"),
        ({"tool_choice": {"type": "function"}}, "$.tool_choice.name"),
        ({"text": {"format": {"type": "json_schema"}}}, "$.text.format.schema"),
        ({"temperature": "hot"}, "$.temperature"),
    ],
)
def test_a_malformed_request_is_refused_where_it_is_wrong(
    fields: dict[str, Any], path: str
) -> None:
    """With the JSON path at fault."""
    assert refusal(**fields).path == path
