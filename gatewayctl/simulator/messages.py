"""The Messages API on the simulator's side: reads its requests, writes its replies and events."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from gatewayctl.protocols import sse
from gatewayctl.simulator import problems
from gatewayctl.simulator.brain import Answer, Stop
from gatewayctl.simulator.catalogue import SimModel
from gatewayctl.simulator.problems import Problem, Vendor, invalid
from gatewayctl.simulator.request import Ask, Body, Choice, OfferedTool, strings, texts_of
from gatewayctl.simulator.wire import Frame, Made

VENDOR: Final = Vendor.ANTHROPIC

_STOP = {
    Stop.END: "end_turn",
    Stop.LENGTH: "max_tokens",
    Stop.TOOL: "tool_use",
    Stop.SEQUENCE: "stop_sequence",
    Stop.FILTERED: "refusal",
}


def read(body: Body) -> Ask:
    """Understand a request for a message."""
    ask = read_countable(body)
    if ask.max_output is None:
        raise invalid("max_tokens: Field required")
    return ask


def read_countable(body: Body) -> Ask:
    """Understand a request whose tokens are only to be counted."""
    turns = body.objects("messages", required=True)
    prompt, results = _latest(turns)
    choice, forced = _choice(body.fields.get("tool_choice"))
    form = body.object("output_config").get("format") or {}
    tools = body.objects("tools")
    return Ask(
        model=body.text("model"),
        stream=body.flag("stream"),
        counted=(body.fields.get("system"), turns, tools, form),
        turns=len(turns),
        prompt=prompt,
        results=results,
        tools=tuple(
            OfferedTool(name=tool["name"], schema=tool["input_schema"])
            for tool in tools
            if isinstance(tool.get("name"), str) and isinstance(tool.get("input_schema"), dict)
        ),
        choice=choice,
        forced=forced,
        max_output=body.positive("max_tokens"),
        stop=strings(body.fields.get("stop_sequences")),
        json_schema=form.get("schema"),
    )


def _latest(turns: list[Mapping[str, Any]]) -> tuple[str, tuple[str, ...]]:
    """Return the user's last text and the tool results since the assistant's last turn."""
    texts: list[str] = []
    results: list[str] = []
    for turn in turns:
        content = turn.get("content")
        if turn.get("role") == "assistant":
            texts, results = [], []
            continue
        if turn.get("role") == "user":
            texts += texts_of(content)
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and block.get("type") == "tool_result":
                results.append("\n".join(texts_of(block.get("content"))))
    return texts[-1] if texts else "", tuple(results)


def _choice(value: object) -> tuple[Choice, str | None]:
    match value:
        case {"type": "tool", "name": str(name)}:
            return Choice.REQUIRED, name
        case {"type": "any"}:
            return Choice.REQUIRED, None
        case {"type": "none"}:
            return Choice.NONE, None
        case _:
            return Choice.AUTO, None


def whole(made: Made) -> bytes:
    """Write a ``message``."""
    answer = made.answer
    message = _message(made, [_block(made, empty=False)], answer.output_tokens)
    message["stop_reason"] = _STOP[answer.stop]
    message["stop_sequence"] = answer.stop_sequence
    return msgspec.json.encode(message)


def stream(made: Made) -> Iterator[Frame]:
    """Write ``message_start``, one content block, ``message_delta`` and ``message_stop``."""
    answer = made.answer
    yield _event("message_start", {"message": _message(made, [], 1)})
    yield _event("content_block_start", {"index": 0, "content_block": _block(made, empty=True)})
    yield _event("ping", {})
    for delta in _deltas(answer):
        yield _event("content_block_delta", {"index": 0, "delta": delta}, content=True)
    yield _event("content_block_stop", {"index": 0})
    stop = {"stop_reason": _STOP[answer.stop], "stop_sequence": answer.stop_sequence}
    usage = {
        "input_tokens": answer.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": answer.output_tokens,
    }
    yield _event("message_delta", {"delta": stop, "usage": usage})
    yield _event("message_stop", {}, terminal=True)


def _deltas(answer: Answer) -> Iterator[dict[str, str]]:
    if answer.call is None:
        for piece in answer.pieces:
            yield {"type": "text_delta", "text": piece}
        return
    arguments = answer.call.json
    for start in range(0, len(arguments), 12):
        yield {"type": "input_json_delta", "partial_json": arguments[start : start + 12]}


def _block(made: Made, *, empty: bool) -> dict[str, object]:
    """Return the content block, ``empty`` as a stream opens it."""
    call = made.answer.call
    if call is None:
        return {"type": "text", "text": "" if empty else made.answer.text, "citations": None}
    return {
        "type": "tool_use",
        "id": f"toolu_{made.token}",
        "name": call.name,
        "input": {} if empty else call.arguments,
    }


def _message(made: Made, content: list[object], output_tokens: int) -> dict[str, object]:
    return {
        "id": f"msg_{made.token}",
        "type": "message",
        "role": "assistant",
        "model": made.ask.model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": made.answer.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": output_tokens,
            "server_tool_use": None,
            "service_tier": "standard",
        },
    }


def _event(
    name: str, fields: Mapping[str, object], *, content: bool = False, terminal: bool = False
) -> Frame:
    data = sse.write(name, msgspec.json.encode({"type": name, **fields}))
    return Frame(data=data, content=content, terminal=terminal)


def unknown_model(model: str) -> Problem:
    """Refuse a model that is not served."""
    return problems.anthropic_unknown_model(model)


def overflow(ask: Ask, model: SimModel, tokens: int) -> Problem:
    """Refuse what the window cannot hold: the input alone, or the input with its output."""
    if tokens > model.window:
        return Problem(
            status=400, message=f"prompt is too long: {tokens} tokens > {model.window} maximum"
        )
    return Problem(
        status=400,
        message=(
            f"input length and `max_tokens` exceed context limit: {tokens} + {ask.max_output} > "
            f"{model.window}, decrease input length or `max_tokens` and try again"
        ),
    )


def excessive_output(ask: Ask, model: SimModel) -> Problem:
    """Refuse an output limit beyond the model's."""
    return Problem(
        status=400,
        message=(
            f"max_tokens: {ask.max_output} > {model.max_output}, which is the maximum allowed "
            f"number of output tokens for {model.id}"
        ),
    )


def error(problem: Problem) -> bytes:
    """Write an error reply's body."""
    return problems.anthropic_body(problem)


def error_frame(problem: Problem) -> Frame:
    """Write an ``error`` event."""
    return Frame(data=sse.write("error", problems.anthropic_body(problem)))


def failed_frame(_made: Made, problem: Problem) -> Frame:
    """Write an error: a stream of this protocol has no other way to fail."""
    return error_frame(problem)
