"""What OpenAI refuses of a request for a response, in its words."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

from gatewayctl.simulator.problems import Problem, Refused
from gatewayctl.simulator.request import Body
from gatewayctl.simulator.responses_replies import MAKER
from gatewayctl.simulator.rules import Rules, beyond, objects, refused, unknown

_FIELDS: Final = frozenset(
    [
        "background",
        "client_metadata",
        "context_management",
        "conversation",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "model",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    ]
)
_PARTS: Final = {
    "assistant": ("output_text", "refusal"),
    "user": ("input_text", "input_image", "input_file", "input_audio"),
}
_PREFIXES: Final = {"message": "msg", "function_call": "fc", "reasoning": "rs"}
_LEAST_OUTPUT: Final = 16


def check(body: Body, rules: Rules) -> None:
    """Refuse, by raising ``Refused``, what OpenAI does not take."""
    fields = body.fields
    _check_fields(fields, rules)
    items = fields.get("input")
    for index, item in objects(items):
        _check_item(index, item, rules)
    _check_calls(items)
    _check_order(items)


def _check_fields(fields: Mapping[str, Any], rules: Rules) -> None:
    stranger = unknown(fields, _FIELDS)
    if rules.strict and stranger is not None:
        words = f"Unknown parameter: '{stranger}'."
        raise refused(words, param=stranger, code="unknown_parameter")
    for name, least, most in (("temperature", 0, 2), ("top_p", 0, 1), ("top_logprobs", 0, 20)):
        if beyond(fields, name, least, most):
            raise refused(
                f"Invalid '{name}': expected a number between {least} and {most}.", param=name
            )
    asked = fields.get("max_output_tokens")
    if rules.strict and isinstance(asked, int) and asked < _LEAST_OUTPUT:
        raise refused(
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= "
            f"{_LEAST_OUTPUT}, but got {asked} instead.",
            param="max_output_tokens",
            code="integer_below_min_value",
        )
    text = fields.get("text")
    form = text.get("format") if isinstance(text, dict) else None
    if isinstance(form, dict) and form.get("type") == "json_schema":
        for name in ("name", "schema"):
            if not form.get(name):
                words = f"Missing required parameter: 'text.format.{name}'."
                param = f"text.format.{name}"
                raise refused(words, param=param, code="missing_required_parameter")
    for index, tool in objects(fields.get("tools")):
        if tool.get("type") == "function" and not isinstance(tool.get("name"), str):
            words = f"Missing required parameter: 'tools[{index}].name'."
            param = f"tools[{index}].name"
            raise refused(words, param=param, code="missing_required_parameter")


def _check_item(index: int, item: Mapping[str, Any], rules: Rules) -> None:
    place = f"input[{index}]"
    kind = str(item.get("type", "message"))
    prefix = _PREFIXES.get(kind)
    name = item.get("id")
    if prefix is not None and isinstance(name, str) and not name.startswith(prefix):
        raise refused(
            f"Invalid '{place}.id': '{name}'. Expected an ID that begins with '{prefix}'.",
            param=f"{place}.id",
            code="invalid_value",
        )
    if kind == "reasoning":
        _check_thought(place, item, rules)
    allowed = _PARTS.get(str(item.get("role"))) if kind == "message" else None
    for number, part in objects(item.get("content")) if allowed else ():
        if part.get("type") not in (allowed or ()):
            supported = ", ".join(f"'{one}'" for one in allowed or ())
            raise refused(
                f"Invalid value: '{part.get('type')}'. Supported values are: {supported}.",
                param=f"{place}.content[{number}]",
                code="invalid_value",
            )


def _check_thought(place: str, item: Mapping[str, Any], rules: Rules) -> None:
    """Refuse a thought that OpenAI did not have: it is known by what is encrypted, or by its id."""
    data = item.get("encrypted_content")
    if not isinstance(item.get("summary"), list):
        words = f"Missing required parameter: '{place}.summary'."
        raise refused(words, param=f"{place}.summary", code="missing_required_parameter")
    if data is None:
        name = str(item.get("id"))
        if not name.startswith("rs_"):
            raise Refused(
                Problem(
                    status=404,
                    message=(
                        f"Item with id '{name}' not found. Items are not persisted when `store` "
                        "is set to false. Try again with `store` set to true, or remove this "
                        "item from your input."
                    ),
                    param="input",
                )
            )
        return
    if rules.seal(MAKER, data) is None:
        start = f"{data[:4]}..." if isinstance(data, str) else ""
        raise refused(
            f"The encrypted content {start} could not be verified. Reason: Encrypted content could "
            "not be decrypted or parsed.",
            code="invalid_encrypted_content",
        )


def _check_calls(items: object) -> None:
    """Refuse results that answer no call, and calls that have no result."""
    called = _ids(items, "function_call")
    answered = _ids(items, "function_call_output")
    for name in answered:
        if name not in called:
            words = f"No tool call found for function call output with call_id {name}."
            raise refused(words, param="input")
    for name in called:
        if name not in answered:
            raise refused(f"No tool output found for function call {name}.", param="input")


def _ids(items: object, kind: str) -> list[str]:
    return [str(item.get("call_id")) for _, item in objects(items) if item.get("type") == kind]


def _check_order(items: object) -> None:
    """Refuse a thought that nothing follows which came of it."""
    for item, after in pairwise([*(item for _, item in objects(items)), {}]):
        follows = after.get("type") == "reasoning" or after.get("role") == "assistant"
        called = str(after.get("type", "")).endswith("_call")
        if item.get("type") == "reasoning" and not (follows or called):
            raise refused(
                f"Item '{item.get('id')}' of type 'reasoning' was provided without its required "
                "following item.",
                param="input",
            )
