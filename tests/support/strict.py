"""Strict reading of replies and streams with the vendors' own types.

The SDKs build objects from almost anything; these functions validate, and check besides what no
type says: each stream's order of events (``orders``), and that what the API's description requires
is there, which the types let pass (``complete``).
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from anthropic.types import Message, RawMessageStreamEvent
from google.genai.types import GenerateContentResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from support import orders

_REPLIES: Final[dict[str, TypeAdapter[Any]]] = {
    "chat_completions": TypeAdapter(ChatCompletion),
    "responses": TypeAdapter(Response),
    "messages": TypeAdapter(Message),
    "gemini": TypeAdapter(GenerateContentResponse),
}
_EVENTS: Final[dict[str, TypeAdapter[Any]]] = {
    "chat_completions": TypeAdapter(ChatCompletionChunk),
    "responses": TypeAdapter(ResponseStreamEvent),
    "messages": TypeAdapter(RawMessageStreamEvent),
    "gemini": TypeAdapter(GenerateContentResponse),
}
_ORDERS: Final[dict[str, Callable[[list[Any]], None]]] = {
    "chat_completions": orders.chat_completions,
    "messages": orders.messages,
    "responses": orders.responses,
    "gemini": orders.gemini,
}
_RESPONSE: Final = (
    "id object created_at completed_at status error incomplete_details instructions metadata model "
    "output parallel_tool_calls previous_response_id reasoning store temperature text tool_choice "
    "tools top_p truncation usage max_output_tokens service_tier"
)
_CHAT_USAGE: Final = (
    "prompt_tokens completion_tokens total_tokens prompt_tokens_details completion_tokens_details"
)
_MESSAGES_USAGE: Final = (
    "input_tokens output_tokens cache_creation_input_tokens cache_read_input_tokens"
)
_REQUIRED: Final = {
    "chat_completions": {
        "": "id object created model choices usage",
        "choices": "index message logprobs finish_reason",
        "choices.message": "role content refusal",
        "usage": _CHAT_USAGE,
    },
    "responses": {
        "": _RESPONSE,
        "usage": (
            "input_tokens input_tokens_details output_tokens output_tokens_details total_tokens"
        ),
        "usage.input_tokens_details": "cached_tokens",
        "usage.output_tokens_details": "reasoning_tokens",
    },
    "messages": {
        "": "id type role model content stop_reason stop_sequence usage",
        "usage": _MESSAGES_USAGE,
    },
    "gemini": {
        "": "candidates usageMetadata modelVersion responseId",
        "candidates": "content finishReason index",
        "usageMetadata": "promptTokenCount candidatesTokenCount totalTokenCount",
    },
}
_REQUIRED_OF_EVENTS: Final = {
    "chat_completions": {
        "": "id object created model choices",
        "choices": "index delta finish_reason",
        "usage": _CHAT_USAGE,
    },
    "responses": {"response": _RESPONSE},
    "messages": {
        "message": _REQUIRED["messages"][""],
        "message.usage": _MESSAGES_USAGE,
        "usage": _MESSAGES_USAGE,
    },
    "gemini": {"": "modelVersion responseId"},
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
    parsed = []
    for name, data in frames(protocol, stream):
        kind = msgspec.json.decode(data).get("type", "")
        assert name == kind
        parsed.append(event(protocol, data))
    _ORDERS[protocol](parsed)
    return parsed


def complete(protocol: str, body: bytes) -> None:
    """Fail when a reply lacks a field that clients may count on, be it null."""
    _complete(_REQUIRED[protocol], msgspec.json.decode(body))


def complete_events(protocol: str, stream: bytes) -> None:
    """Fail when a stream's events lack fields that clients may count on, be they null."""
    for _, data in frames(protocol, stream):
        _complete(_REQUIRED_OF_EVENTS[protocol], msgspec.json.decode(data))


def frames(protocol: str, stream: bytes) -> list[tuple[str, bytes]]:
    """Return a whole stream's frames as name and data, without pings and ``[DONE]``."""
    assert stream.endswith(b"\n\n"), "the stream ends inside an event"
    blocks = [block.strip(b"\n") for block in stream.split(b"\n\n")]
    found = [_frame(block) for block in blocks if block and not block.startswith(b":")]
    if protocol == "chat_completions":
        assert found.pop() == ("", b"[DONE]"), "no [DONE] at the end"
    assert protocol != "gemini" or not any(line.startswith(b":") for line in stream.split(b"\n")), (
        "a comment, which Gemini CLI takes for a broken frame"
    )
    pings = (("ping", b'{"type":"ping"}'), ("", b"{}"))
    return [frame for frame in found if frame not in pings]


def _frame(block: bytes) -> tuple[str, bytes]:
    fields = [line.split(b": ", 1) for line in block.split(b"\n")]
    names = [value.decode() for key, value in fields if key == b"event"]
    data = b"\n".join(value for key, value in fields if key == b"data")
    return (names[0] if names else ""), data


def _complete(required: dict[str, str], value: dict[str, Any]) -> None:
    for path, names in required.items():
        for found in _at(value, path):
            missing = [name for name in names.split() if name not in found]
            assert not missing, f"{path or 'the whole'} lacks {', '.join(missing)}"


def _at(value: Any, path: str) -> Iterator[dict[str, Any]]:
    """Yield the objects at a path, none where there is nothing."""
    if isinstance(value, list):
        for element in value:
            yield from _at(element, path)
    elif isinstance(value, dict) and not path:
        yield value
    elif isinstance(value, dict):
        head, _, rest = path.partition(".")
        yield from _at(value.get(head), rest)
