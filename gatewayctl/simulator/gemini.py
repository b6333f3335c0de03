"""The Gemini API on the simulator's side: reads its requests, writes its replies and frames.

Model and verb are in the address (``paths``); errors inside streams are frames. What is written is
``gemini_replies``' business, what Google would not take ``gemini_rules``'.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gatewayctl.protocols import sse
from gatewayctl.simulator import gemini_replies, gemini_rules, problems
from gatewayctl.simulator.catalogue import SimModel
from gatewayctl.simulator.gemini_names import field, listed
from gatewayctl.simulator.problems import Problem, Vendor, invalid
from gatewayctl.simulator.request import Ask, Body, Choice, OfferedTool, Thinking, strings
from gatewayctl.simulator.wire import Frame, Made

VENDOR: Final = Vendor.GOOGLE

whole = gemini_replies.whole
stream = gemini_replies.stream
check = gemini_rules.check
blocked = gemini_replies.blocked
blocked_frame = gemini_replies.blocked_frame


def read(body: Body) -> Ask:
    """Understand a request for content; its model is in the address."""
    fields = body.fields
    contents = listed(field(fields, "contents"))
    if not contents:
        raise invalid("* GenerateContentRequest.contents: contents is not specified\n")
    config = _object(field(fields, "generationConfig"), "generation_config")
    tools = listed(field(fields, "tools"))
    prompt, results = _latest(contents)
    choice, forced = _choice(fields)
    return Ask(
        model="",
        stream=False,
        counted=(field(fields, "systemInstruction"), contents, tools, _form(config)),
        turns=len(contents),
        prompt=prompt,
        results=results,
        tools=_offered(tools, forced),
        choice=choice,
        forced=forced[0] if len(forced) == 1 else None,
        max_output=_count(config, "maxOutputTokens"),
        stop=strings(field(config, "stopSequences")),
        n=_count(config, "candidateCount") or 1,
        json_schema=_form(config),
        thinking=_thinking(config),
        logprobs=_logprobs(config),
    )


def read_countable(body: Body) -> Ask:
    """Understand a request whose tokens are only to be counted."""
    inner = field(body.fields, "generateContentRequest")
    return read(body if inner is None else Body(_object(inner, "generate_content_request")))


def counted(tokens: int) -> bytes:
    """Write the reply to a request for a count."""
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    return msgspec.json.encode({"totalTokens": tokens, "promptTokensDetails": details})


def _object(value: object, name: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(f"Invalid value at '{name}' (type.googleapis.com), {value!r}")
    return value


def _count(config: Mapping[str, Any], name: str) -> int | None:
    value = field(config, name)
    if value is None:
        return None
    if isinstance(value, str) and value.isdigit():  # numbers may be written as text
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise invalid(f"* GenerateContentRequest.generation_config.{name}: must be positive.\n")
    return value


def _latest(contents: list[Any]) -> tuple[str, tuple[str, ...]]:
    """Return the user's last text and the tool results since the model's last turn."""
    texts: list[str] = []
    results: list[str] = []
    for content in contents:
        if not isinstance(content, dict):
            raise invalid("Invalid value at 'contents' (Content)")
        if content.get("role") == "model":
            texts, results = [], []
            continue
        for part in listed(content.get("parts")):
            if not isinstance(part, dict):
                raise invalid("Invalid value at 'contents.parts' (Part)")
            if isinstance(part.get("text"), str):
                texts.append(part["text"])
            answered = field(part, "functionResponse")
            if isinstance(answered, dict):
                results.append(_result(answered.get("response")))
    return texts[-1] if texts else "", tuple(results)


def _result(response: object) -> str:
    match response:
        case {"output": str(text)} | {"result": str(text)} | {"error": str(text)}:
            return text
        case _:
            return msgspec.json.encode(response).decode()


def _choice(fields: Mapping[str, Any]) -> tuple[Choice, tuple[str, ...]]:
    """Return whether a function is called, and the names it must have, if any."""
    config = _object(field(fields, "toolConfig"), "tool_config")
    calling = _object(field(config, "functionCallingConfig"), "function_calling_config")
    match calling.get("mode"):
        case "ANY":
            return Choice.REQUIRED, strings(field(calling, "allowedFunctionNames"))
        case "NONE":
            return Choice.NONE, ()
        case _:
            return Choice.AUTO, ()


def _offered(tools: list[Any], allowed: tuple[str, ...]) -> tuple[OfferedTool, ...]:
    found = []
    for tool in tools:
        for one in listed(field(tool, "functionDeclarations") if isinstance(tool, dict) else None):
            name = one.get("name") if isinstance(one, dict) else None
            if not isinstance(name, str):
                raise invalid(
                    "* GenerateContentRequest.tools[0].function_declarations[0].name: "
                    "[FIELD_INVALID] Invalid function name."
                )
            schema = field(one, "parameters") or field(one, "parametersJsonSchema") or {}
            if not allowed or name in allowed:
                found.append(OfferedTool(name=name, schema=schema))
    return tuple(found)


def _form(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the form that a structured reply must have, any object where there is no schema."""
    if field(config, "responseMimeType") != "application/json":
        return None
    schema = field(config, "responseSchema") or field(config, "responseJsonSchema")
    return schema if isinstance(schema, dict) else {"type": "object"}


def _thinking(config: Mapping[str, Any]) -> Thinking:
    thinking = _object(field(config, "thinkingConfig"), "generation_config.thinking_config")
    if not thinking or field(thinking, "thinkingBudget") in (0, "0"):
        return Thinking.NONE
    return Thinking.TOLD if field(thinking, "includeThoughts") else Thinking.HIDDEN


def _logprobs(config: Mapping[str, Any]) -> int | None:
    if not field(config, "responseLogprobs"):
        return None
    return _count(config, "logprobs") or 0


def unknown_model(model: str) -> Problem:
    """Refuse a model that is not served."""
    return problems.google_unknown_model(model)


def overflow(_ask: Ask, model: SimModel, tokens: int) -> Problem:
    """Refuse what the window cannot hold."""
    return Problem(
        status=400,
        message=(
            f"The input token count ({tokens}) exceeds the maximum number of tokens allowed "
            f"({model.window})."
        ),
    )


def excessive_output(ask: Ask, model: SimModel) -> Problem:
    """Refuse an output limit beyond the model's."""
    return Problem(
        status=400,
        message=(
            "Unable to submit request because it has a maxOutputTokens value of "
            f"{ask.max_output} but the supported range is from 1 (inclusive) to "
            f"{model.max_output + 1} (exclusive). Update the value and try again."
        ),
    )


def error(problem: Problem) -> bytes:
    """Write an error reply's body."""
    return problems.google_body(problem)


def error_frame(made: Made, problem: Problem) -> Frame:
    """Write an error in place of the next frame; a list of them is closed behind it."""
    data = problems.google_body(problem)
    if made.ask.listed:
        return Frame(data=b",\r\n" + data + b"\n]\n")
    return Frame(data=sse.write("", data))


def failed_frame(made: Made, problem: Problem) -> Frame:
    """Write an error: a stream of this protocol has no other way to fail."""
    return error_frame(made, problem)
