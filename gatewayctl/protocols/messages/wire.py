"""What is read of Messages bodies. Fields that are not named here pass as bytes.

Null is taken for absent. Requests are typed strictly; of replies and events only what is looked
at, since compatible servers differ in the rest.
"""

from typing import Any

import msgspec

from gatewayctl.protocols.body import Name, Tokens


class Source(msgspec.Struct):
    """Where an image's or a document's data is: in the body, at an address, uploaded before.

    ``content`` holds the blocks of a document that is made of some.
    """

    type: str
    content: msgspec.Raw = msgspec.Raw()


class Block(msgspec.Struct):
    """One content block; unknown types pass. ``content`` is a tool result's own content."""

    type: str
    text: str | None = None
    source: Source | str | None = None
    content: msgspec.Raw = msgspec.Raw()


class Nested(msgspec.Struct):
    """A block inside a tool result."""

    type: str = ""
    source: Source | str | None = None


class Message(msgspec.Struct):
    """One message. Claude Code also sends the role ``system`` here."""

    role: str
    content: str | list[Block]


class ToolChoice(msgspec.Struct):
    """Whether and which tool must be called."""

    type: str
    name: Any = None
    disable_parallel_tool_use: bool | None = None


class Thinking(msgspec.Struct):
    """How much the model may think: ``enabled`` with a budget, ``adaptive``, ``disabled``."""

    type: str
    budget_tokens: Tokens | None = None


class Format(msgspec.Struct):
    """The form the answer must have."""

    type: str


class OutputConfig(msgspec.Struct):
    """Wishes about the answer."""

    format: Format | None = None


class Request(msgspec.Struct):
    """A request, or one for a count (without ``max_tokens``)."""

    model: Name
    messages: list[Message]
    max_tokens: Tokens | None = None
    system: str | list[Block] | None = None
    stream: bool | None = None
    tools: list[dict[str, msgspec.Raw]] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: Format | None = None
    stop_sequences: msgspec.Raw = msgspec.Raw()


class Started(msgspec.Struct):
    """The message of ``message_start``."""

    id: Any = None
    model: Any = None
    usage: Any = None


class Delta(msgspec.Struct):
    """What a delta adds; ``content`` is a compaction's, the stop fields are the message's."""

    type: Any = None
    text: Any = None
    thinking: Any = None
    partial_json: Any = None
    signature: Any = None
    content: Any = None
    stop_reason: Any = None
    stop_sequence: Any = None
    stop_details: Any = None


class ContentBlock(msgspec.Struct):
    """A block at its start. ``data`` is redacted thinking, ``content`` a server tool's result."""

    type: str = ""
    id: Any = None
    name: Any = None
    text: Any = None
    thinking: Any = None
    signature: Any = None
    data: Any = None
    content: Any = None
    input: Any = None


class Event(msgspec.Struct):
    """One event of a stream."""

    type: str | None = None
    index: Any = None
    message: Started | None = None
    delta: Delta | None = None
    content_block: ContentBlock | None = None
    usage: Any = None
    error: Any = None


class EventType(msgspec.Struct):
    """An event whose other fields are unlike those of any known one."""

    type: str | None = None


class Reply(msgspec.Struct):
    """A whole reply, an error among them."""

    type: str
    id: Any = None
    model: Any = None
    content: list[ContentBlock] | None = None
    stop_reason: Any = None
    stop_sequence: Any = None
    stop_details: Any = None
    usage: Any = None
    error: Any = None
