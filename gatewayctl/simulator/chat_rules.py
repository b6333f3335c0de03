"""What OpenAI refuses of a chat completions request, in its words; DeepSeek's where strict."""

import re
from collections.abc import Mapping
from typing import Any, Final

from gatewayctl.simulator.request import Body, Thinking
from gatewayctl.simulator.rules import Rules, beyond, objects, refused, unknown

_FIELDS: Final = frozenset(
    [
        "audio",
        "cache_control",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "metadata",
        "modalities",
        "model",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
        "web_search_options",
    ]
)
_OF_MESSAGES: Final = frozenset(
    [
        "annotations",
        "audio",
        "content",
        "function_call",
        "name",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "refusal",
        "role",
        "tool_call_id",
        "tool_calls",
    ]
)
_ROLES: Final = ("system", "assistant", "user", "function", "tool", "developer")
_NAME: Final = re.compile("[a-zA-Z0-9_-]{1,64}")
_MOST_STOPS: Final = 4


def check(body: Body, rules: Rules, thinking: Thinking) -> None:
    """Refuse, by raising ``Refused``, what OpenAI does not take."""
    _check_fields(body.fields, rules)
    messages = body.fields["messages"]
    for index, message in objects(messages):
        _check_message(index, message, rules)
    _check_calls(messages)
    if rules.strict and thinking is Thinking.TOLD and not rules.hidden:
        _check_thoughts(messages)


def _check_fields(fields: Mapping[str, Any], rules: Rules) -> None:
    stranger = unknown(fields, _FIELDS)
    if rules.strict and stranger is not None:
        raise refused(f"Unrecognized request argument supplied: {stranger}")
    if fields.get("stream_options") is not None and not fields.get("stream"):
        words = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise refused(words, param="stream_options")
    if fields.get("top_logprobs") is not None and not fields.get("logprobs"):
        words = "'top_logprobs' can only be specified if 'logprobs' is true."
        raise refused(words, param="top_logprobs")
    if fields.get("max_tokens") is not None and fields.get("max_completion_tokens") is not None:
        raise refused(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            code="invalid_parameter_combination",
        )
    stop = fields.get("stop")
    if isinstance(stop, list) and len(stop) > _MOST_STOPS:
        raise refused(
            "Invalid 'stop': array too long. Expected an array with maximum length "
            f"{_MOST_STOPS}, but got an array with length {len(stop)} instead.",
            param="stop",
            code="array_above_max_length",
        )
    for name, least, most in (("temperature", 0, 2), ("top_p", 0, 1)):
        if beyond(fields, name, least, most):
            raise refused(
                f"Invalid '{name}': expected a number between {least} and {most}.",
                param=name,
                code="decimal_above_max_value",
            )
    _check_tools(fields)
    form = fields.get("response_format")
    if isinstance(form, dict) and form.get("type") == "json_schema":
        schema = form.get("json_schema")
        if not isinstance(schema, dict) or not schema.get("name"):
            name = "response_format.json_schema.name"
            words = f"Missing required parameter: '{name}'."
            raise refused(words, param=name, code="missing_required_parameter")


def _check_tools(fields: Mapping[str, Any]) -> None:
    if fields.get("tool_choice") is not None and not fields.get("tools"):
        raise refused(
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are "
            "specified.",
            param="tool_choice",
        )
    if fields.get("tools") == []:
        words = "Invalid 'tools': empty array. Expected an array with minimum length 1."
        raise refused(words, param="tools", code="empty_array")
    for index, tool in objects(fields.get("tools")):
        function = tool.get("function")
        name = function.get("name") if isinstance(function, dict) else None
        if tool.get("type") == "function" and not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise refused(
                f"Invalid 'tools[{index}].function.name': string does not match pattern. "
                "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
                param=f"tools[{index}].function.name",
                code="invalid_value",
            )


def _check_message(index: int, message: Mapping[str, Any], rules: Rules) -> None:
    place = f"messages[{index}]"
    role = message.get("role")
    if role not in _ROLES:
        supported = ", ".join(f"'{name}'" for name in _ROLES)
        raise refused(
            f"Invalid value: '{role}'. Supported values are: {supported}.",
            param=f"{place}.role",
            code="invalid_value",
        )
    stranger = unknown(message, _OF_MESSAGES)
    if rules.strict and stranger is not None:
        words = f"Unknown parameter: '{place}.{stranger}'."
        raise refused(words, param=f"{place}.{stranger}", code="unknown_parameter")
    content = message.get("content")
    if content is None and role != "assistant":
        raise refused(
            f"Invalid value for 'content': expected a string, got null. ({place})", param=place
        )
    if role == "assistant" and content is None and not _says(message):
        words = f"Invalid value for 'content': expected a string, got null. ({place})"
        raise refused(words, param=f"{place}.content")
    for _, part in objects(content):
        if part.get("type") == "image_url" and role != "user":
            raise refused(
                "Image URLs are only allowed for messages with role 'user', but this message with "
                f"role '{role}' contains an image URL.",
                param=place,
                code="invalid_value",
            )


def _says(message: Mapping[str, Any]) -> bool:
    """Tell whether an assistant's message without content says anything."""
    names = ("tool_calls", "function_call", "refusal", "audio", "reasoning_content")
    return any(message.get(name) for name in names)


def _check_calls(messages: object) -> None:
    """Refuse results that answer no call, and calls that are not answered at once."""
    pending: list[str] = []
    called: set[str] = set()
    for index, message in objects(messages):
        if message["role"] == "tool":
            found = str(message.get("tool_call_id"))
            if found not in called:
                raise refused(
                    "Invalid parameter: messages with role 'tool' must be a response to a "
                    "preceeding message with 'tool_calls'.",
                    param=f"messages.[{index}].role",
                )
            pending = [call for call in pending if call != found]
            continue
        _check_answered(pending)
        called = {str(call.get("id")) for _, call in objects(message.get("tool_calls"))}
        pending = [str(call.get("id")) for _, call in objects(message.get("tool_calls"))]
    _check_answered(pending)


def _check_answered(pending: list[str]) -> None:
    if pending:
        raise refused(
            "An assistant message with 'tool_calls' must be followed by tool messages responding "
            "to each 'tool_call_id'. The following tool_call_ids did not have response messages: "
            + ", ".join(pending),
            param="messages",
        )


def _check_thoughts(messages: object) -> None:
    """Refuse, as DeepSeek does, a turn under way whose calls come without their thoughts."""
    turn = [(index, message) for index, message in objects(messages)]
    for index, message in reversed(turn):
        if message["role"] == "user":
            return
        if message.get("tool_calls") and not message.get("reasoning_content"):
            raise refused(
                "Missing `reasoning_content` field in the assistant message at message index "
                f"{index}."
            )
