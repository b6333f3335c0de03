"""The Responses API on the simulator's side: reads its requests, refuses what it cannot answer.

What is written is ``responses_replies``' business, what OpenAI would not take
``responses_rules``'. No response is kept: a request that refers to an earlier one is refused as
not found.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gatewayctl.protocols import sse
from gatewayctl.simulator import problems, responses_replies, responses_rules
from gatewayctl.simulator.catalogue import SimModel
from gatewayctl.simulator.problems import Problem, Refused, Vendor, invalid
from gatewayctl.simulator.request import Ask, Body, Choice, OfferedTool, Thinking, strings, texts_of
from gatewayctl.simulator.wire import Frame, Made

VENDOR: Final = Vendor.OPENAI

_STATELESS = ("previous_response_id", "conversation", "prompt")

whole = responses_replies.whole
stream = responses_replies.stream
check = responses_rules.check


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
    form = Body(body.object("text")).object("format")
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
        json_schema=_form(form),
        parallel=body.fields.get("parallel_tool_calls") is not False,
        thinking=_thinking(body),
        logprobs=_logprobs(body),
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


def _form(form: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the form that a structured reply must have, any object where there is no schema."""
    return {"type": "object"} if form.get("type") == "json_object" else form.get("schema")


def _thinking(body: Body) -> Thinking:
    """Return whether to think, which a summary asks for too; without one thoughts are hidden."""
    reasoning = body.object("reasoning")
    effort, summary = reasoning.get("effort"), reasoning.get("summary")
    if effort == "none" or not (effort or summary):
        return Thinking.NONE
    return Thinking.TOLD if summary else Thinking.HIDDEN


def _logprobs(body: Body) -> int | None:
    wanted = "message.output_text.logprobs" in strings(body.fields.get("include"))
    top = body.natural("top_logprobs")
    return top or 0 if wanted or top else None


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


def error_frame(_made: Made, problem: Problem) -> Frame:
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
        "response": responses_replies.response(made, "failed") | {"error": error},
    }
    return Frame(data=sse.write("response.failed", msgspec.json.encode(value)))
