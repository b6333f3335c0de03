"""What a reply says of the tier it is billed at, in a stream and whole, in every protocol."""

from typing import Any

import msgspec
import pytest

from gatewayctl.core.events import Metered, fold
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.codec import Codec
from gatewayctl.protocols.sse import SseEvent

CHAT = CODECS[WireProtocol.CHAT_COMPLETIONS]
RESPONSES = CODECS[WireProtocol.RESPONSES]
MESSAGES = CODECS[WireProtocol.MESSAGES]
GEMINI = CODECS[WireProtocol.GEMINI]

NAMED: tuple[tuple[Codec, dict[str, Any], str | None], ...] = (
    (CHAT, {"service_tier": "flex"}, "flex"),
    (CHAT, {"service_tier": "priority"}, "priority"),
    (RESPONSES, {"service_tier": "ultrafast"}, "ultrafast"),
    (MESSAGES, {"service_tier": "batch", "speed": "standard"}, "batch"),
    (MESSAGES, {"service_tier": "standard", "speed": "fast"}, "fast"),
    (MESSAGES, {"service_tier": "priority", "speed": "fast"}, "fast"),
    (MESSAGES, {"service_tier": "standard", "inference_geo": "us"}, "us"),
    (MESSAGES, {"speed": "fast", "inference_geo": "us"}, "fast+us"),
    (MESSAGES, {"service_tier": "standard", "inference_geo": "global"}, "standard"),
    (GEMINI, {"serviceTier": "PRIORITY"}, "priority"),
    (GEMINI, {"trafficType": "ON_DEMAND_FLEX"}, "flex"),
    (GEMINI, {"trafficType": "PROVISIONED_THROUGHPUT"}, "provisioned_throughput"),
    (CHAT, {"service_tier": "a-new-one"}, "a-new-one"),
    (RESPONSES, {}, None),
)
"""A codec, what its reply says, and the tier that this is."""


def _whole(codec: Codec, said: dict[str, Any]) -> Any:
    if codec is CHAT:
        return {"choices": [{"message": {"content": "a"}}], **said}
    if codec is RESPONSES:
        return {"status": "completed", "output": [], **said}
    if codec is MESSAGES:
        usage = {"input_tokens": 1, "output_tokens": 1, **said}
        return {"type": "message", "content": [], "usage": usage}
    return {"candidates": [], "usageMetadata": {"promptTokenCount": 1, **said}}


def _stream(codec: Codec, said: dict[str, Any]) -> list[Any]:
    if codec is CHAT:
        usage = {"prompt_tokens": 1, "completion_tokens": 1}
        return [{"choices": [], **said}, {"choices": [], "usage": usage}]
    if codec is RESPONSES:
        response = {"output": [], "usage": {"input_tokens": 1}, **said}
        return [{"type": "response.completed", "response": response}]
    if codec is MESSAGES:
        usage = {"input_tokens": 1, **said}
        started = {"type": "message_start", "message": {"usage": usage}}
        return [started, {"type": "message_delta", "usage": {"output_tokens": 1}}]
    return [{"candidates": [], "usageMetadata": {"promptTokenCount": 1, **said}}]


def _events(said: list[Any]) -> list[SseEvent]:
    return [
        SseEvent(raw=b"data: " + data + b"\n\n", data=data)
        for data in map(msgspec.json.encode, said)
    ]


@pytest.mark.parametrize(("codec", "said", "tier"), NAMED)
def test_a_whole_reply_tells_its_tier(codec: Codec, said: dict[str, Any], tier: str | None) -> None:
    """As it was served, whatever was asked for; what no price list knows is kept as it is."""
    assert codec.read_reply(msgspec.json.encode(_whole(codec, said))).tier == tier


@pytest.mark.parametrize(("codec", "said", "tier"), NAMED)
def test_a_stream_tells_its_tier(codec: Codec, said: dict[str, Any], tier: str | None) -> None:
    """It is not forgotten when a later event counts tokens alone."""
    watcher = codec.watcher(usage_requested=True)
    for event in _events(_stream(codec, said)):
        watcher.see(event)
    assert watcher.tier == tier


@pytest.mark.parametrize(("codec", "said", "tier"), NAMED)
def test_a_translated_stream_keeps_its_tier(
    codec: Codec, said: dict[str, Any], tier: str | None
) -> None:
    """What is billed does not depend on the client's protocol."""
    reader = codec.event_reader()
    events = [each for event in _events(_stream(codec, said)) for each in reader.read(event)]
    assert fold(each for each in events if isinstance(each, Metered)).tier == tier


def test_what_a_stream_says_last_counts() -> None:
    """Asked for one tier and served at another: the reply ends with the one that it was."""
    events = (
        {"type": "response.created", "response": {"output": [], "service_tier": "priority"}},
        {"type": "response.completed", "response": {"output": [], "service_tier": "default"}},
    )
    watcher = RESPONSES.watcher(usage_requested=True)
    for event in _events(list(events)):
        watcher.see(event)
    assert watcher.tier == "default"


def test_a_stream_may_tell_its_terms_in_parts() -> None:
    """Anthropic's first event names the speed; a later one that names the rest leaves it."""
    start = {"type": "message_start", "message": {"usage": {"speed": "fast"}}}
    watcher = MESSAGES.watcher(usage_requested=True)
    for event in _events(
        [
            start,
            {"type": "message_delta", "usage": {"service_tier": "standard", "output_tokens": 1}},
        ]
    ):
        watcher.see(event)
    assert watcher.tier == "fast"
