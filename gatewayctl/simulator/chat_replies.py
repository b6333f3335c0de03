"""How the simulator writes chat completions: whole, or as chunks. Thoughts are plain text there."""

from collections.abc import Iterator
from itertools import chain, zip_longest
from typing import Any, Final

import msgspec

from gatewayctl.protocols import sse
from gatewayctl.simulator import probabilities
from gatewayctl.simulator.brain import Answer, Call, Stop
from gatewayctl.simulator.wire import Frame, Made, fragments

_FINISH: Final = {
    Stop.END: "stop",
    Stop.LENGTH: "length",
    Stop.TOOL: "tool_calls",
    Stop.SEQUENCE: "stop",
    Stop.FILTERED: "content_filter",
    Stop.DECLINED: "stop",
}
_FINGERPRINT: Final = "fp_simulated"


def whole(made: Made) -> bytes:
    """Write a ``chat.completion``."""
    answer = made.answer
    declined = answer.stop is Stop.DECLINED
    silent = declined or (answer.calls and not answer.pieces)
    message: dict[str, object] = {
        "role": "assistant",
        "content": None if silent else answer.text,
        "refusal": answer.text if declined else None,
        "annotations": [],
    }
    if answer.told and answer.thoughts:
        message["reasoning_content"] = answer.thought
    if answer.calls:
        message["tool_calls"] = [
            _tool_call(made, call, index) for index, call in enumerate(answer.calls)
        ]
    choice = {
        "message": message,
        "logprobs": _logprobs(made, answer.pieces),
        "finish_reason": _FINISH[answer.stop],
    }
    return msgspec.json.encode(
        {
            **_common(made, "chat.completion"),
            "choices": [{"index": index, **choice} for index in range(made.ask.n)],
            "usage": _usage(answer, made.ask.n),
        }
    )


def stream(made: Made) -> Iterator[Frame]:
    """Write ``chat.completion.chunk`` events, the usage if it was asked for, and ``[DONE]``."""
    common = _common(made, "chat.completion.chunk")
    if made.ask.include_usage:
        common["usage"] = None

    def chunk(index: int, delta: dict[str, Any], finish: str | None = None) -> bytes:
        piece = (delta["content"],) if delta.get("content") else ()
        choice = {
            "index": index,
            "delta": delta,
            "logprobs": _logprobs(made, piece) if piece else None,
            "finish_reason": finish,
        }
        return _event({**common, "choices": [choice]})

    for index in range(made.ask.n):
        for delta, is_content in _deltas(made):
            yield Frame(data=chunk(index, delta), content=is_content)
        yield Frame(data=chunk(index, {}, _FINISH[made.answer.stop]))
    if made.ask.include_usage:
        usage = _usage(made.answer, made.ask.n)
        yield Frame(data=_event({**common, "choices": [], "usage": usage}))
    yield Frame(data=sse.write("", b"[DONE]"), terminal=True)


def _deltas(made: Made) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield each delta of one choice, and whether it carries content."""
    answer = made.answer
    declined = answer.stop is Stop.DECLINED
    silent = declined or (answer.calls and not answer.pieces)
    yield {"role": "assistant", "content": None if silent else "", "refusal": None}, False
    if answer.told:
        for piece in answer.thoughts:
            yield {"reasoning_content": piece}, True
    for piece in answer.pieces:
        yield {"refusal" if declined else "content": piece}, True
    told = [_call_deltas(made, call, index) for index, call in enumerate(answer.calls)]
    if answer.mixed:
        side_by_side = (delta for row in zip_longest(*told) for delta in row if delta is not None)
        yield from side_by_side
    else:
        yield from chain.from_iterable(told)


def _call_deltas(made: Made, call: Call, index: int) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield what opens a call, and its arguments bit by bit."""
    opening = {"index": index, **_tool_call(made, call, index)}
    opening["function"] = {"name": call.name, "arguments": ""}
    yield {"tool_calls": [opening]}, True
    for fragment in fragments(call.json):
        more = {"index": index, "function": {"arguments": fragment}}
        yield {"tool_calls": [more]}, True


def _tool_call(made: Made, call: Call, index: int) -> dict[str, Any]:
    return {
        "id": made.name("call", index),
        "type": "function",
        "function": {"name": call.name, "arguments": call.json},
    }


def _logprobs(made: Made, pieces: tuple[str, ...]) -> dict[str, object] | None:
    count = made.ask.logprobs
    if count is None:
        return None
    content = [probabilities.openai(piece, count) for piece in pieces]
    return {"content": content, "refusal": None}


def _common(made: Made, kind: str) -> dict[str, Any]:
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
        "prompt_tokens_details": {"cached_tokens": answer.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": answer.thought_tokens * n,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _event(value: object) -> bytes:
    return sse.write("", msgspec.json.encode(value))
