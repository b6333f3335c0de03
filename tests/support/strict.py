"""Strict reading of replies and streams with the vendors' own types.

The SDKs build objects from almost anything; these functions validate, and check besides what no
type says: each stream's order of events, its numbering, and that ids stay the same.
"""

from typing import Any, Final

import msgspec
from anthropic.types import Message, RawMessageStreamEvent
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

_REPLIES: Final[dict[str, TypeAdapter[Any]]] = {
    "chat_completions": TypeAdapter(ChatCompletion),
    "responses": TypeAdapter(Response),
    "messages": TypeAdapter(Message),
}
_EVENTS: Final[dict[str, TypeAdapter[Any]]] = {
    "chat_completions": TypeAdapter(ChatCompletionChunk),
    "responses": TypeAdapter(ResponseStreamEvent),
    "messages": TypeAdapter(RawMessageStreamEvent),
}


def reply(protocol: str, body: bytes) -> Any:
    """Return a whole reply as the vendor's type; raise ``ValidationError`` when it is not one."""
    return _REPLIES[protocol].validate_json(body, strict=True)


def event(protocol: str, data: bytes) -> Any:
    """Return one event's data as the vendor's type; raise ``ValidationError`` when it is not."""
    return _EVENTS[protocol].validate_json(data, strict=True)


def events(protocol: str, stream: bytes) -> list[Any]:
    """Return a whole stream's events as the vendor's types, pings left out.

    Fails when an event is not valid, out of order, or when the stream is not complete.
    """
    frames = [_frame(block) for block in stream.split(b"\n\n") if block]
    assert stream.endswith(b"\n\n"), "the stream ends inside an event"
    if protocol == "chat_completions":
        assert frames.pop() == ("", b"[DONE]"), "no [DONE] at the end"
    parsed = []
    for name, data in frames:
        kind = msgspec.json.decode(data).get("type", "")
        assert name == ("" if protocol == "chat_completions" else kind)
        if kind != "ping":
            parsed.append(event(protocol, data))
    _ORDERS[protocol](parsed)
    return parsed


def _frame(block: bytes) -> tuple[str, bytes]:
    fields = [line.split(b": ", 1) for line in block.split(b"\n")]
    names = [value.decode() for key, value in fields if key == b"event"]
    data = b"\n".join(value for key, value in fields if key == b"data")
    return (names[0] if names else ""), data


def _chat_order(chunks: list[ChatCompletionChunk]) -> None:
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    open_choices: dict[int, bool] = {}
    for chunk in chunks:
        for choice in chunk.choices:
            if choice.index not in open_choices:
                assert choice.delta.role == "assistant"
                open_choices[choice.index] = True
            assert open_choices[choice.index], "a delta after the finish reason"
            open_choices[choice.index] = choice.finish_reason is None
    assert open_choices, "no choice at all"
    assert not any(open_choices.values()), "a choice never finished"


def _messages_order(parsed: list[Any]) -> None:
    assert parsed[0].type == "message_start"
    assert [event.type for event in parsed[-2:]] == ["message_delta", "message_stop"]
    opened = None
    blocks = 0
    for event in parsed[1:-2]:
        match event.type:
            case "content_block_start":
                assert opened is None, "a block inside a block"
                assert event.index == blocks
                opened = event.index
                blocks += 1
            case "content_block_delta":
                assert event.index == opened
            case "content_block_stop":
                assert event.index == opened
                opened = None
            case other:
                raise AssertionError(f"{other} in the middle of the stream")
    assert opened is None, "a block was never closed"


def _responses_order(parsed: list[Any]) -> None:
    assert [event.sequence_number for event in parsed] == list(range(len(parsed)))
    assert [event.type for event in parsed[:2]] == ["response.created", "response.in_progress"]
    last = parsed[-1]
    assert last.type in ("response.completed", "response.incomplete")
    assert len({event.response.id for event in (*parsed[:2], last)}) == 1
    assert last.type == f"response.{last.response.status}"
    done = [event.item for event in parsed if event.type == "response.output_item.done"]
    assert done == last.response.output
    for item in done:
        mine = [e for e in parsed if getattr(e, "item_id", None) == item.id]
        deltas = "".join(e.delta for e in mine if e.type.endswith(".delta"))
        whole = item.arguments if item.type == "function_call" else item.content[0].text
        assert deltas == whole
        assert mine[-1].type in (
            "response.content_part.done",
            "response.function_call_arguments.done",
        )


_ORDERS: Final = {
    "chat_completions": _chat_order,
    "messages": _messages_order,
    "responses": _responses_order,
}
