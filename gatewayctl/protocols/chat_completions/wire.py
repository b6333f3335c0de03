"""What is read of Chat Completions bodies. Fields that are not named here pass as bytes.

Null is taken for absent, as servers do. Requests are typed strictly; of replies and chunks only
what is looked at, since compatible servers differ in the rest.
"""

from typing import Any

import msgspec

from gatewayctl.protocols.body import Count, Name, Tokens


class Url(msgspec.Struct):
    """An image's address; kept raw, since a data URL may be megabytes."""

    url: msgspec.Raw = msgspec.Raw()


class File(msgspec.Struct):
    """A document: uploaded before (``file_id``) or in the body (``file_data``, kept raw)."""

    file_id: str | None = None
    file_data: msgspec.Raw = msgspec.Raw()
    filename: str | None = None


class Part(msgspec.Struct):
    """One content part; unknown types pass."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: Url | str | None = None
    file: File | None = None


class Message(msgspec.Struct):
    """One message, as far as routing cares. ``audio`` names sound that the provider keeps."""

    role: str
    content: str | list[Part] | None = None
    audio: msgspec.Raw = msgspec.Raw()


class Tool(msgspec.Struct):
    """A tool definition; its schema passes as bytes."""

    type: str = "function"


class ResponseFormat(msgspec.Struct):
    """The form the answer must have; ``schema`` is where llama.cpp takes one without a name."""

    type: str
    schema: msgspec.Raw = msgspec.Raw()

    @property
    def has_schema(self) -> bool:
        """Tell whether the answer must be JSON after a schema."""
        return self.type == "json_schema" or bytes(self.schema) not in (b"", b"null")


class StreamOptions(msgspec.Struct):
    """What a stream carries besides its deltas."""

    include_usage: bool | None = None


class Reasoning(msgspec.Struct):
    """How much the model may think, as OpenRouter and vLLM are told."""

    enabled: bool | None = None
    effort: str | None = None
    max_tokens: int | None = None


class Request(msgspec.Struct):
    """A request. ``reasoning`` is OpenRouter's and vLLM's object."""

    model: Name
    messages: list[Message]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_completion_tokens: Tokens | None = None
    max_tokens: Tokens | None = None
    n: Count | None = None
    tools: list[Tool] | None = None
    functions: list[Tool] | None = None
    parallel_tool_calls: bool | None = None
    tool_choice: str | dict[str, Any] | None = None
    function_call: str | dict[str, Any] | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    reasoning: msgspec.Raw = msgspec.Raw()
    modalities: list[str] | None = None
    stop: Any = None


class Delta(msgspec.Struct):
    """What one chunk adds. Untyped, since servers differ."""

    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_details: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None
    audio: Any = None


class Choice(msgspec.Struct):
    """One choice of a chunk (``delta``) or of a whole reply (``message``).

    ``usage`` is where Moonshot puts a stream's; ``error`` where OpenRouter puts a choice's own;
    ``stop_reason`` and ``matched_stop`` where vLLM and SGLang put the stop sequence that was met.
    """

    index: Any = 0
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: Any = None
    stop_reason: Any = None
    matched_stop: Any = None
    logprobs: msgspec.Raw = msgspec.Raw()
    usage: Any = None
    error: Any = None


class Reply(msgspec.Struct):
    """A whole reply, or one event of a stream.

    ``x_groq`` holds Groq's usage and error of a stream, ``timings`` what llama.cpp counted.
    """

    id: Any = None
    model: Any = None
    created: Any = None
    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None
    service_tier: Any = None
    x_groq: Any = None
    timings: Any = None
