"""What is read of Gemini requests and replies. Fields that are not named here pass as bytes.

Google's servers take each field by two names, ``maxOutputTokens`` and ``max_output_tokens``, one
object where a list is expected, and a number written as text; so does this. Null is taken for
absent. In replies any figure and any part may be of a form not known here.
"""

from typing import Annotated, Any

import msgspec

from gatewayctl.protocols.body import Count, Name, Tokens

Members = dict[str, msgspec.Raw]
"""An object whose fields are looked up by both of their names."""


class Content(msgspec.Struct):
    """One turn, or the system instruction; no role is the user's."""

    role: str | None = None
    parts: list[Members] | Members | None = None


class Request(msgspec.Struct):
    """A request for an answer; one for a count may hold such a request as a whole."""

    model: Name | None = None
    contents: list[Content] | Content | None = None
    system_instruction: Content | None = msgspec.field(name="systemInstruction", default=None)
    system_instruction_: Content | None = msgspec.field(name="system_instruction", default=None)
    tools: list[Members] | Members | None = None
    tool_config: Any = msgspec.field(name="toolConfig", default=None)
    tool_config_: Any = msgspec.field(name="tool_config", default=None)
    generation_config: Any = msgspec.field(name="generationConfig", default=None)
    generation_config_: Any = msgspec.field(name="generation_config", default=None)
    cached_content: str | None = msgspec.field(name="cachedContent", default=None)
    cached_content_: str | None = msgspec.field(name="cached_content", default=None)
    whole: "Request | None" = msgspec.field(name="generateContentRequest", default=None)
    whole_: "Request | None" = msgspec.field(name="generate_content_request", default=None)


class ThinkingConfig(msgspec.Struct, rename="camel"):
    """How much the model may think: a budget (-1 as it likes, 0 not at all) or a level."""

    thinking_budget: Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 1)] | None = None
    thinking_level: str | None = None
    include_thoughts: bool | None = None


class GenerationConfig(msgspec.Struct, rename="camel"):
    """Wishes about the answer."""

    max_output_tokens: Tokens | None = None
    candidate_count: Count | None = None
    response_schema: Any = None
    response_json_schema: Any = None
    response_mime_type: Any = None
    response_modalities: Any = None
    stop_sequences: Any = None
    thinking_config: ThinkingConfig | None = None


class Settings(GenerationConfig, rename="camel"):
    """All wishes about the answer that other protocols know, or may demand."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    response_logprobs: bool | None = None
    logprobs: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None


class FunctionCallingConfig(msgspec.Struct, rename="camel"):
    """Whether a function must be called, and which of them may be."""

    mode: str | None = None
    allowed_function_names: list[str] | None = None


class ToolConfig(msgspec.Struct, rename="camel"):
    """How tools are to be used."""

    function_calling_config: FunctionCallingConfig | None = None


class Said(msgspec.Struct):
    """What a candidate says."""

    parts: Any = None


class Candidate(msgspec.Struct, rename="camel"):
    """One answer, or a piece of it; the first one may leave out its index."""

    content: Said | None = None
    finish_reason: str | None = None
    index: int | None = None
    logprobs_result: Any = None


class Reply(msgspec.Struct, rename="camel"):
    """A whole reply, or one frame of a stream."""

    candidates: list[Candidate] | None = None
    prompt_feedback: Any = None
    usage_metadata: Any = None
    model_version: Any = None
    response_id: Any = None
    error: Any = None
