"""How the simulator writes responses: whole, or as events of one output item after the other."""

from collections.abc import Iterator
from itertools import count
from typing import Any, Final

import msgspec

from gatewayctl.protocols import sse
from gatewayctl.simulator import probabilities
from gatewayctl.simulator.brain import Call, Stop
from gatewayctl.simulator.request import strings
from gatewayctl.simulator.wire import Frame, Made, fragments

MAKER: Final = "responses"
"""Whose the seals of this protocol are."""

ENCRYPTED: Final = "reasoning.encrypted_content"
_CUT: Final = {Stop.LENGTH: "max_output_tokens", Stop.FILTERED: "content_filter"}
_ARGUMENTS: Final = "response.function_call_arguments"
_SUMMARY: Final = "response.reasoning_summary"


class _Events:
    """Numbers the events of a stream from 0."""

    def __init__(self) -> None:
        self._numbers = count()

    def __call__(
        self, kind: str, *, content: bool = False, terminal: bool = False, **fields: Any
    ) -> Frame:
        value = {"type": kind, "sequence_number": next(self._numbers), **fields}
        data = sse.write(kind, msgspec.json.encode(value))
        return Frame(data=data, content=content, terminal=terminal)


def whole(made: Made) -> bytes:
    """Write a ``response``."""
    return msgspec.json.encode(_finished(made))


def stream(made: Made) -> Iterator[Frame]:
    """Write the whole set of events, numbered from 0."""
    event = _Events()
    answer = made.answer
    started = response(made, "in_progress")
    yield event("response.created", response=started)
    yield event("response.in_progress", response=started)
    finished = _finished(made)
    for index, item in enumerate(finished["output"]):
        place = {"item_id": item["id"], "output_index": index}
        yield event("response.output_item.added", output_index=index, item=_opened(item))
        match item["type"]:
            case "reasoning":
                yield from _reasoned(event, made, item, place)
            case "message":
                yield from _spoken(event, made, item, place)
            case _:
                for part in fragments(item["arguments"]):
                    yield event(f"{_ARGUMENTS}.delta", content=True, **place, delta=part)
                told = {"name": item["name"], "arguments": item["arguments"]}
                yield event(f"{_ARGUMENTS}.done", **place, **told)
        yield event("response.output_item.done", output_index=index, item=item)
    kind = "incomplete" if answer.stop in _CUT else "completed"
    yield event(f"response.{kind}", terminal=True, response=finished)


def _reasoned(
    event: _Events, made: Made, item: dict[str, Any], place: dict[str, Any]
) -> Iterator[Frame]:
    """Write the events of a summary of what was thought, where there is one."""
    place = {**place, "summary_index": 0}
    for part in item["summary"]:
        yield event(f"{_SUMMARY}_part.added", **place, part={**part, "text": ""})
        for piece in made.answer.thoughts:
            yield event(f"{_SUMMARY}_text.delta", content=True, **place, delta=piece)
        yield event(f"{_SUMMARY}_text.done", **place, text=part["text"])
        yield event(f"{_SUMMARY}_part.done", **place, part=part)


def _spoken(
    event: _Events, made: Made, item: dict[str, Any], place: dict[str, Any]
) -> Iterator[Frame]:
    """Write the events of a text."""
    place = {**place, "content_index": 0}
    part = item["content"][0]
    if part["type"] == "refusal":
        yield event("response.content_part.added", **place, part={**part, "refusal": ""})
        for piece in made.answer.pieces:
            yield event("response.refusal.delta", content=True, **place, delta=piece)
        yield event("response.refusal.done", **place, refusal=part["refusal"])
        yield event("response.content_part.done", **place, part=part)
        return
    empty = {**part, "text": "", "logprobs": []}
    yield event("response.content_part.added", **place, part=empty)
    for piece in made.answer.pieces:
        chances = _logprobs(made, (piece,))
        kind = "response.output_text.delta"
        yield event(kind, content=True, **place, delta=piece, logprobs=chances)
    text, chances = part["text"], part["logprobs"]
    yield event("response.output_text.done", **place, text=text, logprobs=chances)
    yield event("response.content_part.done", **place, part=part)


def _finished(made: Made) -> dict[str, Any]:
    """Return the response at its end: complete, or cut by its output limit or by a filter."""
    answer = made.answer
    reason = _CUT.get(answer.stop)
    status = "completed" if reason is None else "incomplete"
    return response(made, status) | {
        "completed_at": made.created if reason is None else None,
        "incomplete_details": None if reason is None else {"reason": reason},
        "output": list(_items(made, status)),
        "usage": {
            "input_tokens": answer.input_tokens,
            "input_tokens_details": {"cached_tokens": answer.cached, "cache_write_tokens": 0},
            "output_tokens": answer.output_tokens,
            "output_tokens_details": {"reasoning_tokens": answer.thought_tokens},
            "total_tokens": answer.input_tokens + answer.output_tokens,
        },
    }


def _items(made: Made, status: str) -> Iterator[dict[str, Any]]:
    """Yield the output items: thoughts, text, calls; an empty text where there is nothing."""
    answer = made.answer
    if answer.thoughts:
        yield _reasoning(made)
    if answer.pieces or not (answer.thoughts or answer.calls):
        yield {
            "type": "message",
            "id": made.name("msg"),
            "status": status,
            "role": "assistant",
            "content": [_part(made)],
        }
    for index, call in enumerate(answer.calls):
        yield _function_call(made, call, index, status)


def _part(made: Made) -> dict[str, Any]:
    """Return the text of an answer, or the words in which the model declines."""
    answer = made.answer
    if answer.stop is Stop.DECLINED:
        return {"type": "refusal", "refusal": answer.text}
    logprobs = _logprobs(made, answer.pieces)
    return {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": logprobs}


def _reasoning(made: Made) -> dict[str, Any]:
    """Return what was thought: a summary if one was asked for, encrypted if that was."""
    answer = made.answer
    summary = [{"type": "summary_text", "text": answer.thought}] if answer.told else []
    item: dict[str, Any] = {"type": "reasoning", "id": made.name("rs"), "summary": summary}
    if ENCRYPTED in strings(made.ask.echo.get("include")):
        item["encrypted_content"] = made.seal(MAKER)
    return item


def _function_call(made: Made, call: Call, index: int, status: str) -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": made.name("fc", index),
        "status": status,
        "call_id": made.name("call", index),
        "name": call.name,
        "arguments": call.json,
    }


def _opened(item: dict[str, Any]) -> dict[str, Any]:
    """Return an output item as it is before anything is in it."""
    empty = {"status": "in_progress", "content": [], "summary": [], "arguments": ""}
    return {name: empty.get(name, value) for name, value in item.items()}


def _logprobs(made: Made, pieces: tuple[str, ...]) -> list[dict[str, object]]:
    wanted = made.ask.logprobs
    return [] if wanted is None else [probabilities.openai(piece, wanted) for piece in pieces]


def response(made: Made, status: str) -> dict[str, Any]:
    """Return the response without output or usage; what the request set is repeated."""
    fields: dict[str, Any] = {
        "id": f"resp_{made.token}",
        "object": "response",
        "created_at": made.created,
        "status": status,
        "background": False,
        "completed_at": None,
        "error": None,
        "frequency_penalty": 0.0,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "model": made.ask.model,
        "output": [],
        "parallel_tool_calls": True,
        "presence_penalty": 0.0,
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
    for name in ("reasoning", "text"):  # what was left out of these has a default of its own
        fields[name] = _DEFAULTS[name] | fields[name]
    return fields


_DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "reasoning": {"effort": None, "summary": None},
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
}
_REPEATED: Final = (
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
