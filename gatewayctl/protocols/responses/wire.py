"""What is read of Responses bodies. Fields that are not named here pass as bytes.

Null is taken for absent. Requests are typed strictly; of replies and events only what is looked
at, since compatible servers differ in the rest.
"""

from typing import Any

import msgspec

from gatewayctl.protocols.body import Name, Tokens


class Part(msgspec.Struct):
    """One content part; unknown types pass. ``image_url`` may be a data URL of megabytes."""

    type: str
    text: str | None = None
    image_url: msgspec.Raw = msgspec.Raw()
    file_url: str | None = None
    file_id: str | None = None


class Item(msgspec.Struct):
    """One input item: a message (its ``type`` may be left out), a call, a result, reasoning."""

    type: str | None = None
    role: str | None = None
    content: str | list[Part] | None = None
    output: msgspec.Raw = msgspec.Raw()


class Tool(msgspec.Struct):
    """A tool definition of any type: function, custom, namespace, web_search and others."""

    type: str
    name: Any = None


class Reasoning(msgspec.Struct):
    """How much the model may think, and whether it tells."""

    effort: str | None = None
    summary: str | None = None


class Format(msgspec.Struct):
    """The form the answer must have."""

    type: str


class Text(msgspec.Struct):
    """Wishes about the answer's text."""

    format: Format | None = None


class Request(msgspec.Struct):
    """A request. ``input`` may be missing where something else stands for it."""

    model: Name
    input: str | list[Item] | None = None
    instructions: str | None = None
    stream: bool | None = None
    max_output_tokens: Tokens | None = None
    tools: list[Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    text: Text | None = None
    previous_response_id: str | None = None
    conversation: str | dict[str, Any] | None = None
    prompt: dict[str, Any] | None = None
    background: Any = None


class Response(msgspec.Struct):
    """A response: a whole reply, or what an event tells of it so far."""

    id: str | None = None
    created_at: float | None = None
    model: str | None = None
    status: str | None = None
    output: list[msgspec.Raw] | None = None
    usage: Any = None
    service_tier: Any = None
    error: Any = None


class Event(msgspec.Struct):
    """One event of a stream; ``code`` and ``message`` are those of a bare ``error`` event."""

    type: str | None = None
    sequence_number: int | None = None
    delta: Any = None
    text: Any = None
    refusal: Any = None
    arguments: Any = None
    input: Any = None
    item: dict[str, Any] | None = None
    response: Response | None = None
    error: Any = None
    code: Any = None
    message: Any = None


class EventType(msgspec.Struct):
    """An event whose other fields are unlike those of any known one."""

    type: str | None = None
