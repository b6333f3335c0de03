"""What a chat request demands that not every protocol can say."""

from typing import Any

import msgspec
import pytest

from gatewayctl.core.model import Capability
from gatewayctl.core.shape import Demand, RequestShape
from gatewayctl.protocols.chat_completions.codec import ChatCompletionsCodec

CODEC = ChatCompletionsCodec()
TOOL = {"type": "function", "function": {"name": "f"}}
HOSTED = {"type": "web_search"}


def shape(**fields: Any) -> RequestShape:
    """Return the shape of a request with these fields."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]} | fields
    return CODEC.shape(msgspec.json.encode(body))


def allowed(mode: str, *tools: dict[str, Any]) -> dict[str, Any]:
    """Return a choice among some tools."""
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(tools)}}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"n": 2}, Demand.ANSWERS),
        ({"stop": "a"}, Demand.STOP),
        ({"stop": ["a"]}, Demand.STOP),
        ({"modalities": ["text", "audio"]}, Demand.MODALITY),
        ({"response_format": {"type": "json_object"}}, Demand.JSON_OBJECT),
        ({"response_format": {"type": "grammar", "grammar": "x"}}, Demand.FORM),
        ({"tools": [TOOL], "tool_choice": allowed("auto", TOOL)}, Demand.ALLOWED_TOOLS),
        ({"tool_choice": allowed("required", TOOL, TOOL)}, Demand.ALLOWED_TOOLS),
        ({"tool_choice": allowed("required", HOSTED)}, Demand.HOSTED_TOOL),
        ({"tool_choice": {"type": "custom"}}, Demand.HOSTED_TOOL),
        ({"tools": [HOSTED], "tool_choice": "required"}, Demand.HOSTED_TOOL),
    ],
)
def test_a_field_that_may_not_be_dropped_is_a_demand(
    fields: dict[str, Any], expected: Demand
) -> None:
    """Planning must know it before anything is translated."""
    assert shape(**fields).demands == {expected}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}, Demand.AUDIO),
        ({"type": "file", "file": {"file_id": "f"}}, Demand.UPLOADED),
        ({"type": "file", "file": {"file_data": "https://a.example/a.pdf"}}, Demand.DOCUMENT_URL),
        ({"type": "video_url", "video_url": {"url": "https://a.example/v"}}, Demand.MODALITY),
    ],
)
def test_a_part_that_may_not_be_dropped_is_a_demand(part: dict[str, Any], expected: Demand) -> None:
    """Whatever is shown to a model is what the question is about."""
    messages = [{"role": "user", "content": [{"type": "text", "text": "t"}, part]}]
    assert shape(messages=messages).demands == {expected}


def test_sound_that_the_provider_keeps_is_state() -> None:
    """The message says nothing but its id; beside a text it can be left out."""
    kept = {"role": "assistant", "audio": {"id": "a"}}
    assert shape(messages=[kept]).demands == {Demand.STATE}
    assert not shape(messages=[kept | {"content": "so it said"}]).demands
    assert not shape(messages=[kept | {"audio": None}]).demands


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"n": 1},
        {"stop": []},
        {"stop": None},
        {"modalities": ["text"]},
        {"response_format": {"type": "text"}},
        {"response_format": {"type": "json_schema", "json_schema": {}}},
        {"tools": [HOSTED]},
        {"tools": [TOOL, HOSTED], "tool_choice": "required"},
        {"tools": [HOSTED], "tool_choice": "auto"},
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"tool_choice": allowed("required", TOOL)},
        {"tool_choice": allowed("auto", HOSTED)},
        {"web_search_options": {}},
    ],
)
def test_what_every_protocol_can_say_or_do_without_is_none(fields: dict[str, Any]) -> None:
    """Most requests can go anywhere."""
    assert not shape(**fields).demands


def test_a_schema_is_needed_of_a_model_wherever_it_stands() -> None:
    """llama.cpp takes one in a plain JSON format: then it is no JSON without a schema."""
    found = shape(response_format={"type": "json_object", "schema": {"type": "object"}})
    assert found.needs == {Capability.JSON_SCHEMA}
    assert not found.demands
