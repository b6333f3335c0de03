"""What Google refuses of a request for content, in its words; it never takes unknown fields."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from gatewayctl.simulator.gemini_names import field, listed, snake
from gatewayctl.simulator.gemini_replies import MAKER
from gatewayctl.simulator.problems import Problem, Refused
from gatewayctl.simulator.request import Body
from gatewayctl.simulator.rules import Rules, beyond, objects, refused

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
_MOST_STOPS: Final = 5
_SKIPPED: Final = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
"""What stands in for the signature of a call that another model made: Google's own words."""


def _names(words: str) -> frozenset[str]:
    names = words.split()
    return frozenset((*names, *map(snake, names)))


_REQUEST: Final = _names(
    """contents systemInstruction tools toolConfig safetySettings generationConfig cachedContent
    model labels serviceTier store"""
)
_CONTENT: Final = _names("role parts")
_PART: Final = _names(
    """text thought thoughtSignature inlineData fileData functionCall functionResponse
    executableCode codeExecutionResult videoMetadata mediaResolution partMetadata toolCall
    toolResponse"""
)
_KINDS: Final = ("text", "inlineData", "fileData", "functionCall", "functionResponse")
_OTHERS: Final = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")
_CONFIG: Final = _names(
    """stopSequences responseMimeType responseSchema responseJsonSchema responseModalities
    candidateCount maxOutputTokens temperature topP topK seed presencePenalty frequencyPenalty
    responseLogprobs logprobs enableEnhancedCivicAnswers speechConfig thinkingConfig imageConfig
    mediaResolution audioTimestamp routingConfig modelSelectionConfig responseFormat"""
)
_DECLARATION: Final = _names(
    "name description parameters parametersJsonSchema response responseJsonSchema behavior"
)
_SCHEMA: Final = _names(
    """type format title description nullable enum maxItems minItems properties required
    minProperties maxProperties minLength maxLength pattern example anyOf propertyOrdering default
    items minimum maximum"""
)


def check(body: Body, rules: Rules) -> None:
    """Refuse, by raising ``Refused``, what Google does not take."""
    fields = body.fields
    _check_names(fields, _REQUEST, "")
    contents = listed(field(fields, "contents"))
    for index, content in objects(contents):
        _check_content(f"contents[{index}]", content, rules)
    system = field(fields, "systemInstruction")
    if isinstance(system, dict):
        _check_names(system, _CONTENT, "system_instruction")
    _check_config(field(fields, "generationConfig"))
    _check_tools(fields)
    _check_calls(contents)
    if rules.strict:
        _check_signed(contents)


def _check_names(fields: Iterable[str], known: frozenset[str], place: str) -> None:
    stranger = next((name for name in fields if name not in known), None)
    if stranger is not None:
        at = f" at '{place}'" if place else ""
        words = f'Invalid JSON payload received. Unknown name "{stranger}"{at}: Cannot find field.'
        violation = {"description": words} | ({"field": place} if place else {})
        details = {"BadRequest": {"fieldViolations": [violation]}}
        raise Refused(Problem(status=400, message=words, details=details))


def _check_content(place: str, content: Mapping[str, Any], rules: Rules) -> None:
    _check_names(content, _CONTENT, place)
    if content.get("role") not in (None, "user", "model", "function"):
        raise refused("Please use a valid role: user, model.")
    parts = listed(content.get("parts"))
    if not parts:
        raise refused(
            f"* GenerateContentRequest.{place}.parts: contents.parts must not be empty.\n"
        )
    for number, part in objects(parts):
        _check_part(f"{place}.parts[{number}]", part, rules)


def _check_part(place: str, part: Mapping[str, Any], rules: Rules) -> None:
    _check_names(part, _PART, place)
    if all(field(part, name) is None for name in (*_KINDS, *_OTHERS)):
        raise refused(
            f"* GenerateContentRequest.{place}.data: required oneof field 'data' must have one "
            "initialized field\n"
        )
    answered = field(part, "functionResponse")
    if isinstance(answered, dict):
        if not answered.get("name"):
            words = f"* GenerateContentRequest.{place}.function_response.name: Name cannot be empty"
            raise refused(f"{words}.\n")
        if not isinstance(answered.get("response"), dict):
            raise refused(
                f"Invalid value at '{place}.function_response.response' "
                "(type.googleapis.com/google.protobuf.Struct)"
            )
    called = field(part, "functionCall")
    if isinstance(called, dict) and not isinstance(called.get("args", {}), dict):
        raise refused(
            f"Invalid value at '{place}.function_call.args' "
            "(type.googleapis.com/google.protobuf.Struct)"
        )
    sign = field(part, "thoughtSignature")
    if sign is not None and sign not in _SKIPPED and rules.seal(MAKER, sign) is None:
        raise refused("Corrupted thought signature.")


def _check_config(config: object) -> None:
    if not isinstance(config, dict):
        return
    _check_names(config, _CONFIG, "generation_config")
    for name, most in (("temperature", 2), ("topP", 1)):
        if beyond({name: field(config, name)}, name, 0, most):
            raise refused(
                f"* GenerateContentRequest.generation_config.{snake(name)}: must be in the range "
                f"[0.0, {most}.0].\n"
            )
    if len(listed(field(config, "stopSequences"))) > _MOST_STOPS:
        words = f"The number of stop sequences must not exceed {_MOST_STOPS}."
        raise refused(f"* GenerateContentRequest.generation_config.stop_sequences: {words}\n")
    schema = field(config, "responseSchema")
    form = field(config, "responseJsonSchema") if schema is None else schema
    if form is not None and field(config, "responseMimeType") != "application/json":
        raise refused(
            "* GenerateContentRequest.generation_config.response_schema: only allowed when "
            "response_mime_type is set to application/json.\n"
        )
    _check_schema(schema, "generation_config.response_schema")
    thinking = field(config, "thinkingConfig")
    if isinstance(thinking, dict) and None not in (
        field(thinking, "thinkingBudget"),
        field(thinking, "thinkingLevel"),
    ):
        raise refused("You can only set only one of thinking budget and thinking level.")


def _check_tools(fields: Mapping[str, Any]) -> None:
    declared = set()
    for index, tool in objects(listed(field(fields, "tools"))):
        for number, one in objects(listed(field(tool, "functionDeclarations"))):
            place = f"tools[{index}].function_declarations[{number}]"
            _check_names(one, _DECLARATION, place)
            if not _NAME.fullmatch(str(one.get("name"))):
                raise refused(
                    f"* GenerateContentRequest.{place}.name: [FIELD_INVALID] Invalid function "
                    "name. Must start with a letter or an underscore. Must be alphameric (a-z, "
                    "A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a "
                    "maximum length of 64.\n"
                )
            declared.add(one["name"])
            _check_schema(one.get("parameters"), f"{place}.parameters")
    config = field(fields, "toolConfig")
    calling = field(config, "functionCallingConfig") if isinstance(config, dict) else None
    allowed = field(calling, "allowedFunctionNames") if isinstance(calling, dict) else None
    if not declared.issuperset(allowed or ()):
        raise refused(
            "* GenerateContentRequest.tool_config.function_calling_config.allowed_function_names: "
            "names must be those of function declarations.\n"
        )


def _check_schema(schema: object, place: str) -> None:
    """Refuse what Google's own kind of schema does not know; JSON schemas have their own field."""
    if not isinstance(schema, dict):
        return
    _check_names(schema, _SCHEMA, place)
    properties = schema.get("properties")
    for index, value in enumerate((properties or {}).values()):
        _check_schema(value, f"{place}.properties[{index}].value")
    _check_schema(schema.get("items"), f"{place}.items")
    for index, value in objects(field(schema, "anyOf")):
        _check_schema(value, f"{place}.any_of[{index}]")


def _check_calls(contents: list[Any]) -> None:
    """Refuse a turn of calls that the next turn does not answer, call by call."""
    pending = 0
    after: object = "user"
    for _, content in objects(contents):
        parts = [part for _, part in objects(listed(content.get("parts")))]
        answers = sum(field(part, "functionResponse") is not None for part in parts)
        calls = sum(field(part, "functionCall") is not None for part in parts)
        if answers != pending:
            raise refused(
                "Please ensure that the number of function response parts is equal to the number "
                "of function call parts of the function call turn."
            )
        if calls and after == "model":
            raise refused(
                "Please ensure that function call turn comes immediately after a user turn or "
                "after a function response turn."
            )
        pending, after = calls, content.get("role")
    if pending:
        raise refused(
            "Please ensure that the number of function response parts is equal to the number of "
            "function call parts of the function call turn."
        )


def _check_signed(contents: list[Any]) -> None:
    """Refuse calls of the turn under way whose first has no signature."""
    for index, content in reversed(list(objects(contents))):
        parts = [part for _, part in objects(listed(content.get("parts")))]
        if content.get("role") != "model":
            if any(field(part, "functionResponse") is not None for part in parts):
                continue
            return
        call = next((part for part in parts if field(part, "functionCall") is not None), None)
        if call is not None and field(call, "thoughtSignature") is None:
            called = field(call, "functionCall")
            name = called.get("name") if isinstance(called, dict) else ""
            raise refused(
                "Function call is missing a thought_signature in functionCall parts. This is "
                "required for tools to work correctly, and missing thought_signature may lead to "
                "degraded model performance. Additional data, function call "
                f"`default_api:{name}` , position {index}."
            )
