"""Chat completions on the simulator's side: reads its requests, refuses what it cannot answer.

What is written is ``chat_replies``' business, what OpenAI would not take ``chat_rules``'.
"""

from collections.abc import Mapping
from typing import Any, Final

from gatewayctl.protocols import sse
from gatewayctl.simulator import chat_replies, chat_rules, problems
from gatewayctl.simulator.catalogue import SimModel
from gatewayctl.simulator.problems import Problem, Vendor
from gatewayctl.simulator.request import (
    Ask,
    Body,
    Choice,
    OfferedTool,
    Thinking,
    strings,
    texts_of,
)
from gatewayctl.simulator.rules import Rules
from gatewayctl.simulator.wire import Frame, Made

VENDOR: Final = Vendor.OPENAI

whole = chat_replies.whole
stream = chat_replies.stream


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
        json_schema=_form(body),
        parallel=body.fields.get("parallel_tool_calls") is not False,
        thinking=_thinking(body),
        logprobs=(body.natural("top_logprobs") or 0) if body.flag("logprobs") else None,
        include_usage=bool(body.object("stream_options").get("include_usage")),
    )


def check(body: Body, rules: Rules) -> None:
    """Refuse, by raising ``Refused``, what OpenAI would not take."""
    chat_rules.check(body, rules, _thinking(body))


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


def _form(body: Body) -> Mapping[str, Any] | None:
    """Return the form that a structured reply must have, any object where there is no schema."""
    match body.object("response_format"):
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            return schema
        case {"type": "json_object" | "json_schema"}:
            return {"type": "object"}
        case _:
            return None


def _thinking(body: Body) -> Thinking:
    """Return whether to think: by OpenAI's ``reasoning_effort`` or by OpenRouter's object."""
    reasoning = body.object("reasoning")
    effort = body.fields.get("reasoning_effort") or reasoning.get("effort")
    wanted = effort is not None or reasoning.get("max_tokens") or reasoning.get("enabled")
    if not wanted or effort == "none" or reasoning.get("enabled") is False:
        return Thinking.NONE
    return Thinking.HIDDEN if reasoning.get("exclude") else Thinking.TOLD


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


def error_frame(_made: Made, problem: Problem) -> Frame:
    """Write an error object as an event."""
    return Frame(data=sse.write("", problems.openai_body(problem)))


def failed_frame(made: Made, problem: Problem) -> Frame:
    """Write an error: a stream of this protocol has no other way to fail."""
    return error_frame(made, problem)
