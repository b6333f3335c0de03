"""How much a stream has written so far, and at which tier it is billed."""

from typing import Any

import msgspec
import pytest

from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.codec import Codec, StreamWatcher
from gatewayctl.protocols.sse import SseEvent

CHAT = CODECS[WireProtocol.CHAT_COMPLETIONS]
RESPONSES = CODECS[WireProtocol.RESPONSES]
MESSAGES = CODECS[WireProtocol.MESSAGES]

every_codec = pytest.mark.parametrize("codec", CODECS.values(), ids=list(CODECS))


def seen(codec: Codec, *events: Any) -> StreamWatcher:
    """Return a watcher that saw the events."""
    watcher = codec.watcher(usage_requested=True)
    for each in events:
        data = msgspec.json.encode(each)
        watcher.see(SseEvent(raw=b"data: " + data + b"\n\n", data=data))
    return watcher


def test_no_reasoning_is_counted_twice() -> None:
    """Some servers tell it by its old name and by its new one in the same chunk."""
    delta = {"reasoning": "abc", "reasoning_content": "abc", "content": "d"}
    assert seen(CHAT, {"choices": [{"delta": delta}]}).written == 4


@pytest.mark.parametrize(
    ("delta", "written"),
    [
        ({"content": "four", "refusal": "no"}, 6),
        ({"content": [{"type": "thinking", "thinking": [{"text": "ab"}]}]}, 2),
        ({"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}, 2),
        ({"tool_calls": [{"custom": {"name": "f", "input": "abc"}}]}, 3),
        ({"function_call": {"arguments": {"a": 1}}}, 7),
        ({"audio": {"data": "AAAA"}}, 0),
        ({"content": 3, "tool_calls": "x"}, 0),
    ],
)
def test_what_a_chat_delta_writes(delta: dict[str, Any], written: int) -> None:
    """Characters of text, refusal and arguments; of every choice, and none of sound."""
    event = {"choices": [{"delta": delta}, {"index": 1, "delta": delta}]}
    assert seen(CHAT, event).written == 2 * written
    whole = {"choices": [{"message": delta}]}
    assert CHAT.read_reply(msgspec.json.encode(whole)).written == written


@pytest.mark.parametrize(
    ("delta", "written"),
    [
        ({"text": "ab"}, 2),
        ({"thinking": "abc"}, 3),
        ({"partial_json": '{"a"'}, 4),
        ({"signature": "ab"}, 0),
    ],
)
def test_what_a_messages_delta_writes(delta: dict[str, Any], written: int) -> None:
    """Characters of text, thinking and tool input; a signature is none of them."""
    event = {"type": "content_block_delta", "delta": delta}
    assert seen(MESSAGES, event, event).written == 2 * written


@pytest.mark.parametrize(
    ("block", "written"),
    [
        ({"type": "tool_use", "id": "t", "name": "f", "input": {}}, 0),
        ({"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}, 7),
        ({"type": "text", "text": "ab"}, 2),
        ({"type": "thinking", "thinking": "ab", "signature": "xyz"}, 2),
        ({"type": "redacted_thinking", "data": "xyz"}, 0),
    ],
)
def test_what_a_messages_block_writes(block: dict[str, Any], written: int) -> None:
    """A block that comes whole counts by what it holds, in a stream and out of one."""
    event = {"type": "content_block_start", "content_block": block}
    assert seen(MESSAGES, event).written == written
    whole = {"type": "message", "content": [block]}
    assert MESSAGES.read_reply(msgspec.json.encode(whole)).written == written


def test_what_a_responses_stream_writes_counts_once() -> None:
    """Deltas are told again by the events that close them; some servers send those alone."""
    delta = {"type": "response.output_text.delta", "delta": "abc"}
    closed = {"type": "response.output_text.done", "text": "abc"}
    item = {"content": [{"type": "output_text", "text": "abc"}]}
    done = {"type": "response.output_item.done", "item": item}
    call = {"name": "f", "arguments": "{}", "summary": []}
    assert seen(RESPONSES, delta, closed, done).written == 3
    assert seen(RESPONSES, closed, done).written == 3
    assert seen(RESPONSES, {**done, "item": call}).written == 2
    assert seen(RESPONSES, {"type": "response.output_audio.delta", "delta": "AAAA"}).written == 0
    whole = {"status": "completed", "output": [item, call]}
    assert RESPONSES.read_reply(msgspec.json.encode(whole)).written == 5


@pytest.mark.parametrize(
    ("told", "tier"),
    [("flex", "flex"), (3, None), ("", None), ("x" * 65, None), ("a\nb", None), (None, None)],
)
def test_the_tier_is_the_one_that_the_reply_names(told: Any, tier: str | None) -> None:
    """What was billed, not what was asked for, as long as it is a name."""
    chunk = {"choices": [], "service_tier": told}
    assert seen(CHAT, chunk, {"choices": []}).tier == tier
    response = {"output": [], "service_tier": told}
    assert seen(RESPONSES, {"type": "response.completed", "response": response}).tier == tier
    usage = {"input_tokens": 1, "service_tier": told}
    start = {"type": "message_start", "message": {"usage": usage}}
    assert (
        seen(MESSAGES, start, {"type": "message_delta", "usage": {"output_tokens": 1}}).tier == tier
    )


@pytest.mark.parametrize(
    ("usage", "tier"),
    [
        ({"service_tier": "standard", "speed": "fast"}, "fast"),
        ({"service_tier": "priority", "speed": "standard"}, "priority"),
        ({"speed": "standard"}, "standard"),
    ],
)
def test_a_speed_other_than_the_standard_one_is_the_tier(usage: Any, tier: str) -> None:
    """Anthropic bills its fast mode by the usage's ``speed``."""
    assert seen(MESSAGES, {"type": "message_start", "message": {"usage": usage}}).tier == tier


@every_codec
def test_content_nested_to_any_depth_is_survived(codec: Codec) -> None:
    """Counting what was written never runs out of stack."""
    nested: Any = "x"
    for _ in range(300):
        nested = [nested]
    event = {
        "type": "content_block_delta",
        "choices": [{"delta": {"content": nested, "tool_calls": [{"arguments": nested}]}}],
        "delta": {"text": nested, "partial_json": nested},
    }
    assert seen(codec, event).written >= 0
