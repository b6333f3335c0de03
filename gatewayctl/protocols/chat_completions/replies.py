"""Writes whole Chat Completions replies, and what they have in common with chunks.

Every field is there that OpenAI's own types require or that its API always sends, null where
nothing is known. How a stream is written is the business of ``writing``.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gatewayctl.core.conversation import Call, Refusal, Seal, Text, Thought
from gatewayctl.core.events import Begun, Choice, Reply, Stop, TokenProbability, Usage
from gatewayctl.protocols.chat_completions import thoughts
from gatewayctl.protocols.codec import ReplyContext

_PREFIX: Final = "chatcmpl-"
_TIERS: Final = {
    **{tier: tier for tier in ("auto", "default", "flex", "scale", "priority", "fast")},
    "standard": "default",
    "on_demand": "default",
}
_STOPS: Final = {
    Stop.BUDGET: "length",
    Stop.WINDOW: "length",
    Stop.FILTER: "content_filter",
    Stop.CALLS: "tool_calls",
}
Fields = dict[str, Any]


def whole(reply: Reply, context: ReplyContext) -> bytes:
    """Return the body of a ``chat.completion``."""
    begun = Begun(id=reply.id, model=reply.model, created=reply.created)
    return msgspec.json.encode(
        {
            **common(begun, context, "chat.completion"),
            **tier(reply.tier),
            "choices": [
                _choice(index, choice, context) for index, choice in enumerate(reply.choices)
            ],
            "usage": usage(reply.usage),
        }
    )


def common(begun: Begun, context: ReplyContext, kind: str) -> Fields:
    """Return what a reply and each of its chunks say of themselves, without the service tier."""
    own = begun.id is not None and begun.id.startswith(_PREFIX)
    return {
        "id": begun.id if own else f"{_PREFIX}{context.id}",
        "object": kind,
        "created": int(context.now()) if begun.created is None else begun.created,
        "model": begun.model or context.prompt.model,
    }


def tier(told: str | None) -> Fields:
    """Return a service tier in OpenAI's words, nothing for one that it does not have.

    Nor is null said there, or a fingerprint that nobody made: strict clients take neither.
    """
    known = None if told is None else _TIERS.get(told.partition("+")[0])
    return {} if known is None else {"service_tier": known}


def usage(metered: Usage) -> Fields | None:
    """Return what was metered: a prompt includes what was cached, None where nothing is known."""
    parts = (
        metered.input,
        metered.input_cache_read,
        metered.input_cache_write_5m,
        metered.input_cache_write_1h,
        metered.image,
        metered.audio,
    )
    known = [part for part in parts if part is not None]
    if not known and metered.output is None:
        return None
    prompt, completion = sum(known), metered.output or 0
    written = (metered.input_cache_write_5m or 0) + (metered.input_cache_write_1h or 0)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": metered.input_cache_read or 0,
            "cache_write_tokens": written,
            "audio_tokens": metered.audio or 0,
            "image_tokens": metered.image or 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": metered.reasoning_output or 0,
            "audio_tokens": metered.output_audio or 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
            **({"image_tokens": metered.output_image} if metered.output_image else {}),
        },
    }


def finish_reason(stop: Stop | None, *, calls: bool, refused: bool, older: bool) -> str:
    """Return why a choice ends; ``calls`` and ``refused`` say what it told, ``older`` in what form.

    A refusal without words is the filter's: a client that sees ``stop`` would take it for an
    answer.
    """
    reason = _STOPS.get(stop, "stop") if stop is not None else "stop"
    if stop is Stop.REFUSAL and not refused:
        reason = "content_filter"
    if reason == "stop" and calls:
        reason = "tool_calls"
    return "function_call" if older and reason == "tool_calls" else reason


def logprobs(tokens: Sequence[TokenProbability]) -> Fields | None:
    """Return the probabilities of some tokens, None for none."""
    if not tokens:
        return None
    content = [
        {**_token(token), "top_logprobs": [_token(other) for other in token.top]}
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def _token(token: TokenProbability) -> Fields:
    return {"token": token.token, "bytes": None, "logprob": token.logprob}


def call_id(given: str, context: ReplyContext, choice: int, call: int) -> str:
    """Return the id of a call, one made of the request's where the upstream gave none."""
    return given or f"call_{context.id}_{choice}_{call}"


class Details:
    """Counts the reasoning details of one choice, in a stream as in a whole reply."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._count = 0

    def of(self, text: str, seal: Seal, name: str | None) -> Fields:
        """Return the next detail: a thought with its tag."""
        self._count += 1
        index = self._count - 1
        return thoughts.detail(text, seal, self._origin, index=index, name=name)


def _choice(index: int, choice: Choice, context: ReplyContext) -> Fields:
    message = _message(index, choice, context)
    reason = finish_reason(
        choice.stop,
        calls="tool_calls" in message or "function_call" in message,
        refused=message["refusal"] is not None,
        older=context.prompt.legacy_functions,
    )
    return {
        "index": index,
        "message": message,
        "logprobs": logprobs(choice.logprobs),
        "finish_reason": reason,
    }


def _message(index: int, choice: Choice, context: ReplyContext) -> Fields:
    texts = [part.text for part in choice.parts if isinstance(part, Text)]
    refusals = [part.text for part in choice.parts if isinstance(part, Refusal)]
    reasoning = [part.text for part in choice.parts if isinstance(part, Thought) and part.text]
    calls = [part for part in choice.parts if isinstance(part, Call)]
    message: Fields = {
        "role": "assistant",
        "content": "".join(texts) if texts or not (calls or refusals) else None,
        "refusal": "".join(refusals) if refusals else None,
        "annotations": [],
    }
    if reasoning:
        message["reasoning_content"] = "".join(reasoning)
    written = [
        {
            "id": call_id(call.id, context, index, number),
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for number, call in enumerate(calls)
    ]
    if written and context.prompt.legacy_functions:
        message["function_call"] = written.pop(0)["function"]
    if written:
        message["tool_calls"] = written
    if details := _details(index, choice, context):
        message[thoughts.FIELD] = details
    return message


def _details(index: int, choice: Choice, context: ReplyContext) -> list[Fields]:
    """Return every thought that has a proof, and the proofs of calls under the calls' ids."""
    details = Details(context.origin)
    found = []
    calls = 0
    for part in choice.parts:
        if isinstance(part, Call):
            calls += 1
        if isinstance(part, Call | Thought) and part.seal is not None:
            if isinstance(part, Call):
                name: str | None = call_id(part.id, context, index, calls - 1)
                found.append(details.of("", part.seal, name))
            else:
                found.append(details.of(part.text, part.seal, part.id))
    return found
