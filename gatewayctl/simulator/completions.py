"""Legacy completions on the simulator's side: the answer of a conversation, as bare text."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from gatewayctl.protocols import sse
from gatewayctl.simulator import chat_completions, inputs, problems
from gatewayctl.simulator.brain import Stop
from gatewayctl.simulator.catalogue import SimModel
from gatewayctl.simulator.problems import Problem
from gatewayctl.simulator.request import Ask, Body, strings
from gatewayctl.simulator.rules import Rules
from gatewayctl.simulator.wire import Frame, Made

VENDOR: Final = chat_completions.VENDOR
_USUAL: Final = 16
"""Tokens of a completion where the request sets no limit."""

unknown_model = chat_completions.unknown_model
excessive_output = chat_completions.excessive_output
error = chat_completions.error
error_frame = chat_completions.error_frame
failed_frame = chat_completions.failed_frame


def read(body: Body) -> Ask:
    """Understand a request; of several prompts the largest counts, and each has its answers."""
    prompts = inputs.read(body, "prompt")
    prompt = inputs.largest(prompts)
    return Ask(
        model=body.text("model"),
        stream=body.flag("stream"),
        counted=(prompt,),
        turns=0,
        prompt=prompt,
        max_output=body.natural("max_tokens") or _USUAL,
        stop=strings(body.fields.get("stop")),
        n=len(prompts) * (body.positive("n") or 1),
        include_usage=bool(body.object("stream_options").get("include_usage")),
    )


def check(body: Body, rules: Rules) -> None:
    """Take everything."""


def overflow(ask: Ask, model: SimModel, tokens: int) -> Problem:
    """Refuse what the window cannot hold."""
    return problems.openai_overflow(model.window, tokens, ask.max_output or 0, "prompt")


def whole(made: Made) -> bytes:
    """Write a ``text_completion``."""
    choices = [_choice(index, made.answer.text, _finish(made)) for index in range(made.ask.n)]
    return msgspec.json.encode({**_head(made), "choices": choices, "usage": _usage(made)})


def stream(made: Made) -> Iterator[Frame]:
    """Write the text piece by piece, the usage if it was asked for, and ``[DONE]``."""
    head = _head(made)
    for index in range(made.ask.n):
        for piece in made.answer.pieces:
            yield Frame(data=_event({**head, "choices": [_choice(index, piece)]}), content=True)
        yield Frame(data=_event({**head, "choices": [_choice(index, "", _finish(made))]}))
    if made.ask.include_usage:
        yield Frame(data=_event({**head, "choices": [], "usage": _usage(made)}))
    yield Frame(data=sse.write("", b"[DONE]"), terminal=True)


def _head(made: Made) -> dict[str, Any]:
    return {
        "id": made.name("cmpl"),
        "object": "text_completion",
        "created": made.created,
        "model": made.ask.model,
    }


def _choice(index: int, text: str, finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}


def _finish(made: Made) -> str:
    match made.answer.stop:
        case Stop.LENGTH:
            return "length"
        case Stop.FILTERED:
            return "content_filter"
        case _:
            return "stop"


def _usage(made: Made) -> dict[str, int]:
    given, written = made.answer.input_tokens, made.answer.output_tokens * made.ask.n
    return {
        "prompt_tokens": given,
        "completion_tokens": written,
        "total_tokens": given + written,
    }


def _event(document: dict[str, Any]) -> bytes:
    return sse.write("", msgspec.json.encode(document))
