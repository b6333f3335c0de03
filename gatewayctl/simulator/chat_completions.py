"""Chat completions on the simulator's side: reads its requests, writes its replies and chunks."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from gatewayctl.protocols import sse
from gatewayctl.simulator import problems
from gatewayctl.simulator.brain import Answer, Call, Stop
from gatewayctl.simulator.catalogue import SimModel
from gatewayctl.simulator.problems import Problem, Vendor
from gatewayctl.simulator.request import Ask, Body, Choice, OfferedTool, strings, texts_of
from gatewayctl.simulator.wire import Frame, Made

VENDOR: Final = Vendor.OPENAI

_FINISH = {
    Stop.END: "stop",
    Stop.LENGTH: "length",
    Stop.TOOL: "tool_calls",
    Stop.SEQUENCE: "stop",
    Stop.FILTERED: "content_filter",
}
_FINGERPRINT = "fp_simulated"


def read(body: Body) -> Ask:
    """Understand a chat completions request."""
    messages = body.objects("messages", required=True)
    prompt, results = _latest(messages)
    choice, forced = _choice(body.fields.get("tool_choice"))
    form = body.object("response_format").get("json_schema", {})
    return Ask(
        model=body.text("model"),
        stream=body.flag("stream"),
        counted=(messages, body.fields.get("tools"), form),
        turns=len(messages),
        prompt=prompt,
        results=results,
        tools=tuple(
            OfferedTool(
                name=tool["function"]["name"],
                schema=tool["function"].get("parameters") or {},
            )
            for tool in body.objects("tools")
            if isinstance(tool.get("function"), dict) and "name" in tool["function"]
        ),
        choice=choice,
        forced=forced,
        max_output=body.positive("max_completion_tokens") or body.positive("max_tokens"),
        stop=strings(body.fields.get("stop")),
        n=body.positive("n") or 1,
        json_schema=form.get("schema") if isinstance(form, dict) else None,
        include_usage=bool(body.object("stream_options").get("include_usage")),
    )


def _latest(messages: list[Mapping[str, Any]]) -> tuple[str, tuple[str, ...]]:
    """Return the user's last text and the tool results since the assistant's last turn."""
    prompt: str | None = None
    results: list[str] = []
    for message in reversed(messages):
        match message.get("role"):
            case "assistant":
                break
            case "tool":
                results.insert(0, "\n".join(texts_of(message.get("content"))))
            case "user" if prompt is None and (texts := texts_of(message.get("content"))):
                prompt = texts[-1]
            case _:
                continue
    return prompt or "", tuple(results)


def _choice(value: object) -> tuple[Choice, str | None]:
    match value:
        case {"type": "function", "function": {"name": str(name)}}:
            return Choice.REQUIRED, name
        case "required":
            return Choice.REQUIRED, None
        case "none":
            return Choice.NONE, None
        case _:
            return Choice.AUTO, None


def whole(made: Made) -> bytes:
    """Write a ``chat.completion``."""
    answer = made.answer
    message: dict[str, object] = {
        "role": "assistant",
        "content": answer.text if answer.call is None else None,
        "refusal": None,
        "annotations": [],
    }
    if answer.call is not None:
        message["tool_calls"] = [_tool_call(made, answer.call, index=None)]
    return msgspec.json.encode(
        {
            **_common(made, "chat.completion"),
            "choices": [
                {
                    "index": index,
                    "message": message,
                    "logprobs": None,
                    "finish_reason": _FINISH[answer.stop],
                }
                for index in range(made.ask.n)
            ],
            "usage": _usage(answer, made.ask.n),
        }
    )


def stream(made: Made) -> Iterator[Frame]:
    """Write ``chat.completion.chunk`` events, the usage if it was asked for, and ``[DONE]``."""
    common = _common(made, "chat.completion.chunk")
    if made.ask.include_usage:
        common["usage"] = None

    def chunk(index: int, delta: dict[str, object], finish: str | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event({**common, "choices": [choice]})

    for index in range(made.ask.n):
        for delta, is_content in _deltas(made):
            yield Frame(data=chunk(index, delta), content=is_content)
        yield Frame(data=chunk(index, {}, _FINISH[made.answer.stop]))
    if made.ask.include_usage:
        usage = _usage(made.answer, made.ask.n)
        yield Frame(data=_event({**common, "choices": [], "usage": usage}))
    yield Frame(data=sse.write("", b"[DONE]"), terminal=True)


def _deltas(made: Made) -> Iterator[tuple[dict[str, object], bool]]:
    """Yield each delta of one choice, and whether it carries content."""
    call = made.answer.call
    if call is None:
        yield {"role": "assistant", "content": "", "refusal": None}, False
        for piece in made.answer.pieces:
            yield {"content": piece}, True
        return
    yield {"role": "assistant", "content": None, "refusal": None}, False
    opening = _tool_call(made, call, index=0)
    opening["function"] = {"name": call.name, "arguments": ""}
    yield {"tool_calls": [opening]}, True
    for start in range(0, len(call.json), 12):
        fragment = {"arguments": call.json[start : start + 12]}
        yield {"tool_calls": [{"index": 0, "function": fragment}]}, True


def _tool_call(made: Made, call: Call, index: int | None) -> dict[str, object]:
    place = {} if index is None else {"index": index}
    return {
        **place,
        "id": f"call_{made.token}",
        "type": "function",
        "function": {"name": call.name, "arguments": call.json},
    }


def _common(made: Made, kind: str) -> dict[str, object]:
    return {
        "id": f"chatcmpl-{made.token}",
        "object": kind,
        "created": made.created,
        "model": made.ask.model,
        "service_tier": "default",
        "system_fingerprint": _FINGERPRINT,
    }


def _usage(answer: Answer, n: int) -> dict[str, object]:
    output = answer.output_tokens * n
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": output,
        "total_tokens": answer.input_tokens + output,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _event(value: object) -> bytes:
    return sse.write("", msgspec.json.encode(value))


def unknown_model(model: str) -> Problem:
    """Refuse a model that is not served."""
    return problems.openai_unknown_model(model)


def overflow(ask: Ask, model: SimModel, tokens: int) -> Problem:
    """Refuse what the window cannot hold."""
    return problems.openai_overflow(model.window, tokens, ask.max_output or 0, "messages")


def excessive_output(ask: Ask, model: SimModel) -> Problem:
    """Refuse an output limit beyond the model's."""
    return problems.openai_excessive_output(ask.max_output or 0, model.max_output, "max_tokens")


def error(problem: Problem) -> bytes:
    """Write an error reply's body."""
    return problems.openai_body(problem)


def error_frame(problem: Problem) -> Frame:
    """Write an error object as an event."""
    return Frame(data=sse.write("", problems.openai_body(problem)))


def failed_frame(_made: Made, problem: Problem) -> Frame:
    """Write an error: a stream of this protocol has no other way to fail."""
    return error_frame(problem)
