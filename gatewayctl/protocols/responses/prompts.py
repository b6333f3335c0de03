"""Responses requests read as prompts of the IR, for an upstream of another protocol.

Items are read in ``history``; what routing needs of a request, without reading all of it, is the
business of ``request``.
"""

from typing import Annotated, Any, Final

import msgspec

from gatewayctl.core.conversation import (
    Format,
    Message,
    Prompt,
    Role,
    Sampling,
    Text,
    Thinking,
)
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.shape import Demand
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols.losses import Losses, item, refused
from gatewayctl.protocols.responses import history
from gatewayctl.protocols.responses import tools as offered
from gatewayctl.protocols.responses.tools import Given
from gatewayctl.protocols.thinking import OFF


class _Format(msgspec.Struct):
    type: str
    name: str | None = None
    description: str | None = None
    schema: msgspec.Raw = msgspec.Raw()
    strict: bool | None = None


class _Text(msgspec.Struct):
    format: _Format | None = None
    verbosity: str | None = None


class _Reasoning(msgspec.Struct):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class _Request(msgspec.Struct):
    """All fields that mean something elsewhere too, and those that none can do without."""

    model: request_body.Name
    input: str | list[dict[str, Any]] | None = None
    instructions: str | None = None
    stream: bool | None = None
    max_output_tokens: request_body.Tokens | None = None
    tools: list[Given] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: _Reasoning | None = None
    text: _Text | None = None
    include: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=1000)] | None = None
    service_tier: str | None = None
    user: str | None = None
    safety_identifier: str | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    truncation: str | None = None
    background: bool | None = None
    previous_response_id: Any = None
    conversation: Any = None
    prompt: Any = None
    # What only says how OpenAI is to send the stream.
    stream_options: Any = None


_REQUEST = msgspec.json.Decoder(_Request)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_READ: Final = frozenset(_Request.__struct_fields__)
_SAYS_NOTHING: Final = frozenset({b"null", b"[]", b"{}", b"false"})
_ENCRYPTED: Final = "reasoning.encrypted_content"
_LOGPROBS: Final = "message.output_text.logprobs"


def read(body: bytes) -> Prompt:
    """Read a whole request; raise ``RequestInvalid`` with the JSON path at fault."""
    request = request_body.read(_REQUEST, body)
    losses = Losses()
    _stateless(request)
    functions = offered.read(request.tools or (), losses)
    names = [tool.name for tool in functions]
    others = len(request.tools or ()) - len(functions)
    prompt = Prompt(
        protocol=WireProtocol.RESPONSES,
        model=request.model,
        messages=_messages(request, losses),
        stream=bool(request.stream),
        tools=functions,
        tool_choice=offered.choice(request.tool_choice, names, others),
        parallel=request.parallel_tool_calls if functions else None,
        format=_format(request.text),
        thinking=_thinking(request.reasoning),
        verbosity=request.text.verbosity if request.text else None,
        output_budget=request.max_output_tokens,
        sampling=Sampling(
            temperature=request.temperature,
            top_p=request.top_p,
            presence_penalty=request.presence_penalty,
            frequency_penalty=request.frequency_penalty,
        ),
        logprobs=_logprobs(request),
        tier=request.service_tier,
        user=request.user or request.safety_identifier,
        metadata=request.metadata or {},
        store=request.store,
    )
    _left_out(request, request_body.read(_FIELDS, body, checked=True), losses)
    return msgspec.structs.replace(prompt, dropped=losses.found())


def _stateless(request: _Request) -> None:
    """Refuse what only the provider that keeps it can know."""
    for field in ("previous_response_id", "conversation", "prompt"):
        if getattr(request, field) is not None:
            raise refused(Demand.STATE, f"$.{field}")
    if request.background:
        raise refused(Demand.STATE, "$.background")
    if request.input is None:
        raise request_body.invalid("$.input", "this field is required.")


def _messages(request: _Request, losses: Losses) -> tuple[Message, ...]:
    found: tuple[Message, ...]
    if isinstance(request.input, str):
        found = (Message(role=Role.USER, parts=(Text(text=request.input),)),)
    else:
        found = history.messages(request.input or (), losses)
    if not request.instructions:
        return found
    instructions = Text(text=request.instructions)
    return (Message(role=Role.SYSTEM, parts=(instructions,)), *found)


def _format(text: _Text | None) -> Format | None:
    found = text.format if text else None
    if found is None or found.type == "text":
        return None
    if found.type == "json_object":
        return Format()
    if found.type != "json_schema":
        raise refused(Demand.FORM, "$.text.format")
    return Format(
        schema=offered.schema(bytes(found.schema), "$.text.format.schema"),
        name=found.name,
        description=found.description,
        strict=found.strict,
    )


def _thinking(reasoning: _Reasoning | None) -> Thinking | None:
    if reasoning is None:
        return None
    detail = reasoning.summary or reasoning.generate_summary
    if reasoning.effort is None and detail is None:
        return None
    return Thinking(
        effort=reasoning.effort,
        off=reasoning.effort == OFF,
        visible=None if detail is None else True,
        detail=detail,
    )


def _logprobs(request: _Request) -> int | None:
    if _LOGPROBS in (request.include or ()):
        return request.top_logprobs or 0
    return request.top_logprobs or None


def _left_out(request: _Request, fields: dict[str, msgspec.Raw], losses: Losses) -> None:
    losses.add(
        *(
            item("include", each)
            for each in request.include or ()
            if each not in {_ENCRYPTED, _LOGPROBS}
        )
    )
    if request.truncation not in {None, "disabled"}:
        losses.add("truncation")
    losses.add(
        *(
            name
            for name, value in fields.items()
            if name not in _READ and bytes(value) not in _SAYS_NOTHING
        )
    )
