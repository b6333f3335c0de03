"""The Messages API on the simulator's side: reads its requests, refuses what it cannot answer.

What is written is ``messages_replies``' business, what Anthropic would not take
``messages_rules``'.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gatewayctl.protocols import sse
from gatewayctl.simulator import messages_replies, messages_rules, problems
from gatewayctl.simulator.catalogue import SimModel
from gatewayctl.simulator.problems import Problem, Vendor, invalid
from gatewayctl.simulator.request import (
    Ask,
    Body,
    Choice,
    OfferedTool,
    Thinking,
    strings,
    texts_of,
)
from gatewayctl.simulator.wire import Frame, Made

VENDOR: Final = Vendor.ANTHROPIC

whole = messages_replies.whole
stream = messages_replies.stream
check = messages_rules.check


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
        parallel=body.object("tool_choice").get("disable_parallel_tool_use") is not True,
        thinking=_thinking(body),
    )


def counted(tokens: int) -> bytes:
    """Write the reply to a request for a count."""
    return msgspec.json.encode({"input_tokens": tokens})


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


def _thinking(body: Body) -> Thinking:
    thinking = body.object("thinking")
    if thinking.get("type") not in ("enabled", "adaptive"):
        return Thinking.NONE
    return Thinking.HIDDEN if thinking.get("display") == "omitted" else Thinking.TOLD


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


def error_frame(_made: Made, problem: Problem) -> Frame:
    """Write an ``error`` event."""
    return Frame(data=sse.write("error", problems.anthropic_body(problem)))


def failed_frame(made: Made, problem: Problem) -> Frame:
    """Write an error: a stream of this protocol has no other way to fail."""
    return error_frame(made, problem)
