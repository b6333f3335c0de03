"""The Responses API on the simulator's side: reads its requests, writes its replies and events.

No response is kept: a request that refers to an earlier one is refused as not found.
"""

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, Final

import msgspec

from gatewayctl.protocols import sse
from gatewayctl.simulator import problems
from gatewayctl.simulator.brain import Stop
from gatewayctl.simulator.catalogue import SimModel
from gatewayctl.simulator.problems import Problem, Refused, Vendor, invalid
from gatewayctl.simulator.request import Ask, Body, Choice, OfferedTool, texts_of
from gatewayctl.simulator.wire import Frame, Made

VENDOR: Final = Vendor.OPENAI

_CUT = {Stop.LENGTH: "max_output_tokens", Stop.FILTERED: "content_filter"}
_STATELESS = ("previous_response_id", "conversation", "prompt")


def read(body: Body) -> Ask:
    """Understand a request for a response."""
    for name in _STATELESS:
        if body.fields.get(name) is not None:
            raise Refused(
                Problem(
                    status=400,
                    message=f"{name}: the simulator keeps no state.",
                    code="previous_response_not_found",
                    param=name,
                )
            )
    items = _items(body)
    prompt, results = _latest(items)
    choice, forced = _choice(body.fields.get("tool_choice"))
    form = body.object("text").get("format") or {}
    tools = body.objects("tools")
    return Ask(
        model=body.text("model"),
        stream=body.flag("stream"),
        counted=(body.fields.get("instructions"), items, tools, form),
        turns=len(items),
        prompt=prompt,
        results=results,
        tools=tuple(
            OfferedTool(name=tool["name"], schema=tool.get("parameters") or {})
            for tool in tools
            if tool.get("type") == "function" and isinstance(tool.get("name"), str)
        ),
        choice=choice,
        forced=forced,
        max_output=body.positive("max_output_tokens"),
        json_schema=form.get("schema"),
        echo={**body.fields, "tools": [_echoed_tool(tool) for tool in tools]},
    )


def _items(body: Body) -> list[Mapping[str, Any]]:
    value = body.fields.get("input")
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": value}]
    if not isinstance(value, list):
        raise invalid("input: a string or an array is required", "input")
    return body.objects("input", required=True)


def _latest(items: list[Mapping[str, Any]]) -> tuple[str, tuple[str, ...]]:
    """Return the user's last text and the tool results since the assistant's last turn."""
    prompt: str | None = None
    results: list[str] = []
    for item in reversed(items):
        match item:
            case {"role": "assistant"} | {"type": "function_call" | "reasoning"}:
                break
            case {"type": "function_call_output", "output": output}:
                results.insert(0, "\n".join(texts_of(output)))
            case {"role": "user", "content": content} if prompt is None and texts_of(content):
                prompt = texts_of(content)[-1]
            case _:
                continue
    return prompt or "", tuple(results)


def _choice(value: object) -> tuple[Choice, str | None]:
    match value:
        case {"type": "function", "name": str(name)}:
            return Choice.REQUIRED, name
        case "required":
            return Choice.REQUIRED, None
        case "none":
            return Choice.NONE, None
        case _:
            return Choice.AUTO, None


def _echoed_tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a tool as a response repeats it: a function with all of its fields."""
    if tool.get("type") != "function":
        return tool
    return {"description": None, "parameters": None, "strict": True, **tool}


def whole(made: Made) -> bytes:
    """Write a ``response``."""
    return msgspec.json.encode(_finished(made))


def stream(made: Made) -> Iterator[Frame]:
    """Write the whole set of events of one output item, numbered from 0."""
    numbers = count()

    def event(kind: str, *, content: bool = False, terminal: bool = False, **fields: Any) -> Frame:
        value = {"type": kind, "sequence_number": next(numbers), **fields}
        data = sse.write(kind, msgspec.json.encode(value))
        return Frame(data=data, content=content, terminal=terminal)

    started = _response(made, "in_progress")
    yield event("response.created", response=started)
    yield event("response.in_progress", response=started)
    opened = _item(made, "in_progress")
    yield event("response.output_item.added", output_index=0, item=opened)
    place = {"item_id": opened["id"], "output_index": 0}
    call = made.answer.call
    if call is None:
        place["content_index"] = 0
        part = _part("")
        yield event("response.content_part.added", **place, part=part)
        for piece in made.answer.pieces:
            yield event(
                "response.output_text.delta", content=True, **place, delta=piece, logprobs=[]
            )
        text = made.answer.text
        yield event("response.output_text.done", **place, text=text, logprobs=[])
        yield event("response.content_part.done", **place, part=_part(text))
    else:
        name = "response.function_call_arguments"
        for start in range(0, len(call.json), 12):
            fragment = call.json[start : start + 12]
            yield event(f"{name}.delta", content=True, **place, delta=fragment)
        yield event(f"{name}.done", **place, name=call.name, arguments=call.json)
    finished = _finished(made)
    yield event("response.output_item.done", output_index=0, item=_item(made, finished["status"]))
    yield event(f"response.{finished['status']}", terminal=True, response=finished)


def _finished(made: Made) -> dict[str, Any]:
    """Return the response at its end: complete, or cut by its output limit or by a filter."""
    answer = made.answer
    reason = _CUT.get(answer.stop)
    status = "completed" if reason is None else "incomplete"
    return _response(made, status) | {
        "completed_at": made.created if reason is None else None,
        "incomplete_details": None if reason is None else {"reason": reason},
        "output": [_item(made, status)],
        "usage": {
            "input_tokens": answer.input_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": answer.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": answer.input_tokens + answer.output_tokens,
        },
    }


def _item(made: Made, status: str) -> dict[str, Any]:
    """Return the output item; while ``in_progress`` it is still empty."""
    is_open = status == "in_progress"
    call = made.answer.call
    if call is None:
        return {
            "type": "message",
            "id": f"msg_{made.token}",
            "status": status,
            "role": "assistant",
            "content": [] if is_open else [_part(made.answer.text)],
        }
    return {
        "type": "function_call",
        "id": f"fc_{made.token}",
        "status": status,
        "call_id": f"call_{made.token}",
        "name": call.name,
        "arguments": "" if is_open else call.json,
    }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _response(made: Made, status: str) -> dict[str, Any]:
    """Return the response without output or usage; what the request set is repeated."""
    fields: dict[str, Any] = {
        "id": f"resp_{made.token}",
        "object": "response",
        "created_at": made.created,
        "status": status,
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "model": made.ask.model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "user": None,
    }
    for name in _REPEATED:
        value = made.ask.echo.get(name)
        if value is not None:
            fields[name] = value
    return fields


_REPEATED = (
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
)


def unknown_model(model: str) -> Problem:
    """Refuse a model that is not served."""
    return problems.openai_unknown_model(model)


def overflow(ask: Ask, model: SimModel, tokens: int) -> Problem:
    """Refuse what the window cannot hold."""
    return problems.openai_overflow(model.window, tokens, ask.max_output or 0, "input")


def excessive_output(ask: Ask, model: SimModel) -> Problem:
    """Refuse an output limit beyond the model's."""
    return problems.openai_excessive_output(
        ask.max_output or 0, model.max_output, "max_output_tokens"
    )


def error(problem: Problem) -> bytes:
    """Write an error reply's body."""
    return problems.openai_body(problem)


def error_frame(problem: Problem) -> Frame:
    """Write a bare ``error`` event; its number says nothing, since it can come anywhere."""
    value = {
        "type": "error",
        "sequence_number": 0,
        "code": problem.code or "server_error",
        "message": problem.message,
        "param": problem.param,
    }
    return Frame(data=sse.write("error", msgspec.json.encode(value)))


def failed_frame(made: Made, problem: Problem) -> Frame:
    """Write a ``response.failed`` event; its number says nothing either."""
    error = {"code": problem.code or "server_error", "message": problem.message}
    value = {
        "type": "response.failed",
        "sequence_number": 0,
        "response": _response(made, "failed") | {"error": error},
    }
    return Frame(data=sse.write("response.failed", msgspec.json.encode(value)))
