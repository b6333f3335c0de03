"""Gemini requests read as prompts of the IR."""

import json
from typing import Any

import pytest

from gatewayctl.core.conversation import (
    Audio,
    Call,
    Document,
    Format,
    Image,
    Inline,
    Linked,
    Message,
    Mode,
    Part,
    Prompt,
    Result,
    Role,
    Sampling,
    Seal,
    Text,
    Thinking,
    Thought,
    ToolChoice,
    Uploaded,
)
from gatewayctl.core.errors import RequestInvalid
from gatewayctl.protocols.gemini.codec import GeminiCodec
from gatewayctl.protocols.gemini.signatures import carried

CODEC = GeminiCodec()
USER = {"role": "user", "parts": [{"text": "hi"}]}
TOOLS = [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}]


def read(**fields: Any) -> Prompt:
    """Return the prompt of a request with one message and these fields."""
    return CODEC.read_prompt(json.dumps({"contents": [USER], **fields}).encode())


def parts(*given: dict[str, Any], role: str = "model") -> tuple[Part, ...]:
    """Return the parts of one turn; none where they say nothing."""
    messages = read(contents=[{"role": role, "parts": given}]).messages
    return messages[0].parts if messages else ()


def config(**fields: Any) -> Prompt:
    """Return the prompt of a request with these wishes."""
    return read(generationConfig=fields)


def refused(**fields: Any) -> RequestInvalid:
    """Return the refusal of a request."""
    with pytest.raises(RequestInvalid) as caught:
        read(**fields)
    return caught.value


def test_both_names_of_every_field_are_read() -> None:
    """As Google's servers do, and one object for a list of it."""
    camel = {
        "systemInstruction": {"parts": {"text": "Be kind."}},
        "contents": {"parts": {"inlineData": {"mimeType": "image/png", "data": "AA=="}}},
        "generationConfig": {"maxOutputTokens": "8", "thinkingConfig": {"thinkingBudget": 9}},
        "tools": {"functionDeclarations": {"name": "f", "parametersJsonSchema": {"x": 1}}},
        "toolConfig": {"functionCallingConfig": {"mode": "any"}},
    }
    snake = {
        "system_instruction": {"parts": [{"text": "Be kind."}]},
        "contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": "AA=="}}]}],
        "generation_config": {"max_output_tokens": 8, "thinking_config": {"thinking_budget": 9}},
        "tools": [{"function_declarations": [{"name": "f", "parameters_json_schema": {"x": 1}}]}],
        "tool_config": {"function_calling_config": {"mode": "ANY"}},
    }
    found = CODEC.read_prompt(json.dumps(camel).encode())
    assert found == CODEC.read_prompt(json.dumps(snake).encode())
    assert found.messages == (
        Message(role=Role.SYSTEM, parts=(Text(text="Be kind."),)),
        Message(role=Role.USER, parts=(Image(source=Inline(media_type="image/png", data="AA==")),)),
    )
    assert (found.output_budget, found.thinking) == (8, Thinking(budget=9))
    assert found.tools[0].parameters == b'{"x":1}'
    assert found.tool_choice == ToolChoice(mode=Mode.REQUIRED)
    assert found.dropped == ()


@pytest.mark.parametrize(
    ("part", "read_as"),
    [
        ({"text": "a"}, [Text(text="a")]),
        ({"text": ""}, []),
        (
            {"inlineData": {"mimeType": "audio/wav", "data": "AA"}},
            [Audio(source=Inline(media_type="audio/wav", data="AA"))],
        ),
        (
            {"inlineData": {"mimeType": "application/pdf", "data": "AA", "displayName": "a.pdf"}},
            [Document(source=Inline(media_type="application/pdf", data="AA"), name="a.pdf")],
        ),
        (
            {
                "fileData": {"fileUri": "https://x/a.png"},
                "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"},
            },
            [Image(source=Linked(url="https://x/a.png"), detail="low")],
        ),
        (
            {"fileData": {"fileUri": "gs://b/a.pdf", "mimeType": "application/pdf"}},
            [Document(source=Uploaded(id="gs://b/a.pdf"))],
        ),
        ({"executableCode": {"language": "PYTHON", "code": "1"}}, []),
    ],
)
def test_a_part_is_what_it_holds(part: dict[str, Any], read_as: list[Part]) -> None:
    """Text, data by their media type, addresses by who can read them."""
    assert list(parts(part, role="user")) == read_as


def test_calls_and_results_are_matched_by_id_else_by_name_in_order() -> None:
    """Older clients give no ids, and two calls of one function may run at once."""
    call = {"functionCall": {"name": "f", "args": {"a": 1}}}
    model = {"role": "model", "parts": [call, {"functionCall": {"name": "g"}}, call]}
    results = [
        {"functionResponse": {"name": "g", "response": {"output": "of g"}}},
        {"functionResponse": {"name": "f", "response": {"output": "first"}}},
        {"functionResponse": {"id": "own", "name": "f", "response": {"error": "second"}}},
    ]
    found = read(contents=[model, {"role": "function", "parts": results}])
    calls = [part for part in found.messages[0].parts if isinstance(part, Call)]
    told = [part for part in found.messages[1].parts if isinstance(part, Result)]
    assert found.messages[1].role is Role.USER
    assert len({each.id for each in calls}) == len(calls)
    assert [each.id for each in told] == [calls[1].id, calls[0].id, calls[2].id]
    assert [each.failed for each in told] == [False, False, True]
    assert calls[0].arguments == '{"a":1}'


@pytest.mark.parametrize(
    ("response", "text"),
    [
        ({"output": "a"}, "a"),
        ({"result": "a"}, "a"),
        ({"output": {"x": 1}}, '{"x":1}'),
        ({"a": 1, "output": 2}, '{"a":1,"output":2}'),
        ({}, None),
        (None, None),
    ],
)
def test_a_result_is_text_or_the_json_that_it_is(response: Any, text: str | None) -> None:
    """Google's own key around it is taken off."""
    (found,) = parts({"functionResponse": {"name": "f", "response": response}}, role="user")
    assert isinstance(found, Result)
    assert found.content == (() if text is None else (Text(text=text),))


def test_pictures_in_a_result_are_part_of_it() -> None:
    """Newer models take them there."""
    shown = {"inlineData": {"mimeType": "image/png", "data": "AA"}}
    (found,) = parts({"functionResponse": {"name": "f", "parts": [shown]}}, role="user")
    assert isinstance(found, Result)
    assert found.content == (Image(source=Inline(media_type="image/png", data="AA")),)


def test_googles_own_signatures_are_kept_by_the_part_they_came_with() -> None:
    """They are of some model of Google's, nobody says which."""
    found = parts(
        {"text": "hm", "thought": True},
        {"text": "said", "thoughtSignature": "QUE="},
        {"text": "", "thoughtSignature": "QkI="},
        {"functionCall": {"id": "1", "name": "f"}, "thoughtSignature": "Q0M="},
    )
    assert found == (
        Thought(text="hm"),
        Text(text="said"),
        Thought(seal=Seal(form="gemini.text", data="QUE=")),
        Thought(seal=Seal(form="gemini.part", data="QkI=")),
        Call(id="1", name="f", seal=Seal(form="gemini.call.0", data="Q0M=")),
    )


def test_a_word_for_no_signature_is_none() -> None:
    """Gemini CLI writes it on calls of other models."""
    (call,) = parts(
        {"functionCall": {"name": "f"}, "thoughtSignature": "skip_thought_signature_validator"}
    )
    assert isinstance(call, Call)
    assert call.seal is None


def test_thoughts_of_other_models_come_back_once_however_much_a_client_keeps() -> None:
    """Gemini CLI keeps the signature of a call and no thought before it; SDKs keep both."""
    thought = Thought(text="hm", seal=Seal(form="messages.signature", data="s"), id="t")
    signature = carried([thought], "up/claude")
    call = {"functionCall": {"id": "1", "name": "f"}, "thoughtSignature": signature}
    told = {"text": "hm", "thought": True}
    seal = Seal(form="messages.signature", data="s", origin="up/claude")
    expected = (Thought(text="hm", seal=seal, id="t"), Call(id="1", name="f"))
    assert parts(call) == parts(told, call) == expected
    signed = {"text": "", "thought": True, "thoughtSignature": signature}
    assert parts(told, signed, {"text": "a"}) == (expected[0], Text(text="a"))


def test_wishes_about_the_answer_are_read() -> None:
    """All that other protocols know of them."""
    found = config(
        temperature=0.5, topP=0.9, topK=40.0, seed=7, presencePenalty=0.1, frequencyPenalty=0.2,
        stopSequences=["a", "b"], candidateCount=2, responseLogprobs=True, logprobs=3,
        maxOutputTokens=99,
    )  # fmt: skip
    assert found.sampling == Sampling(
        temperature=0.5, top_p=0.9, top_k=40, seed=7, presence_penalty=0.1, frequency_penalty=0.2
    )
    assert (found.stop, found.n, found.logprobs, found.output_budget) == (("a", "b"), 2, 3, 99)


@pytest.mark.parametrize(
    ("thinking", "read_as"),
    [
        ({"thinkingBudget": 0}, Thinking(off=True)),
        ({"thinkingBudget": -1}, Thinking(adaptive=True)),
        ({"thinkingBudget": 512, "includeThoughts": False}, Thinking(budget=512, visible=False)),
        ({"thinkingLevel": "HIGH", "includeThoughts": True}, Thinking(effort="high", visible=True)),
        ({"includeThoughts": True}, Thinking(adaptive=True, visible=True)),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, None),
        ({}, None),
    ],
)
def test_thinking_is_a_level_a_budget_or_as_much_as_the_model_likes(
    thinking: dict[str, Any], read_as: Thinking | None
) -> None:
    """Zero switches it off, and a budget of -1 is none."""
    assert config(thinkingConfig=thinking).thinking == read_as


@pytest.mark.parametrize(
    ("mode", "allowed", "choice"),
    [
        ("AUTO", [], ToolChoice(mode=Mode.AUTO)),
        ("NONE", [], ToolChoice(mode=Mode.NONE)),
        ("ANY", ["f"], ToolChoice(mode=Mode.REQUIRED, names=("f",))),
        ("ANY", ["g", "f"], ToolChoice(mode=Mode.REQUIRED)),
        ("VALIDATED", ["f"], ToolChoice(mode=Mode.AUTO, names=("f",))),
        ("MODE_UNSPECIFIED", [], None),
    ],
)
def test_functions_are_chosen_by_mode_and_name(
    mode: str, allowed: list[str], choice: ToolChoice | None
) -> None:
    """All names together are no choice."""
    calling = {"mode": mode, "allowedFunctionNames": allowed}
    found = read(tools=TOOLS, toolConfig={"functionCallingConfig": calling})
    assert found.tool_choice == choice


def test_a_schema_of_googles_becomes_a_json_schema() -> None:
    """Types in lower case, null as a type, counts as numbers; names of properties stay."""
    schema = {
        "type": "OBJECT",
        "propertyOrdering": ["first_name"],
        "properties": {
            "first_name": {"type": "STRING", "nullable": True, "max_length": "9"},
            "type": {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": "1"},
            "any": {"anyOf": [{"type": "NUMBER"}, {"type": "STRING"}], "nullable": True},
        },
    }
    standard = {
        "type": "object",
        "properties": {
            "first_name": {"type": ["string", "null"], "maxLength": 9},
            "type": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
            "any": {"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "null"}]},
        },
    }
    found = config(responseMimeType="application/json", responseSchema=schema).format
    assert found is not None
    assert found.schema is not None
    assert json.loads(found.schema) == standard
    tools = [{"functionDeclarations": [{"name": "f", "parameters": schema}]}]
    (tool,) = read(tools=tools).tools
    assert tool.parameters == found.schema


def test_json_schemas_pass_as_they_are() -> None:
    """What Gemini CLI writes is no business of ours."""
    schema = {"type": "object", "properties": {"nullable": {"type": ["string"]}}, "$schema": "x"}
    assert config(responseMimeType="application/json", responseJsonSchema=schema).format == Format(
        schema=json.dumps(schema, separators=(",", ":")).encode()
    )
    assert config(responseMimeType="application/json").format == Format()


def test_what_nobody_else_has_is_recorded_by_its_name() -> None:
    """Tools that Google runs, settings of its own; defaults are nothing."""
    found = read(
        contents=[{"parts": [{"text": "a"}, {"executableCode": {"code": "1"}}]}],
        tools=[{"googleSearch": {}}, {"code_execution": {}}, *TOOLS],
        toolConfig={"retrievalConfig": {"languageCode": "en"}},
        safetySettings=[{"category": "x"}],
        generationConfig={
            "mediaResolution": "MEDIA_RESOLUTION_LOW",
            "speechConfig": {},
            "enableEnhancedCivicAnswers": False,
        },
        labels={},
    )
    assert set(found.dropped) == {
        "tools[googleSearch]",
        "tools[codeExecution]",
        "toolConfig.retrievalConfig",
        "safetySettings",
        "generationConfig.mediaResolution",
        "parts[executableCode]",
    }
    assert [tool.name for tool in found.tools] == ["f", "g"]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"contents": [{"role": "narrator", "parts": []}]}, "$.contents[0].role"),
        ({"contents": [{"parts": ["a"]}]}, "$.contents[0].parts[0]"),
        ({"contents": [{"parts": [{"text": 3}]}]}, "$.contents[0].parts[0].text"),
        ({"contents": [{"parts": [{"functionCall": {}}]}]},
         "$.contents[0].parts[0].functionCall.name"),
        ({"contents": None}, "$.contents"),
        ({"tools": [{"functionDeclarations": [{}]}]}, "$.tools[0].functionDeclarations[0].name"),
        ({"generationConfig": {"topK": "x"}}, "$.generationConfig.topK"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(fields: dict[str, Any], path: str) -> None:
    """By the names that the client uses, as far as they are known."""
    assert refused(**fields).path == path
