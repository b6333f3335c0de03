"""Reading Gemini requests: Google's documented fields, by both of their names."""

import json
import re
from typing import Any

import pytest

from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.model import Capability, WireProtocol
from gatewayctl.core.shape import Conversation, Demand, RequestShape
from gatewayctl.protocols.gemini.codec import GeminiCodec

READER = GeminiCodec()
USER = {"role": "user", "parts": [{"text": "hi"}]}
SCHEMA = {"type": "object", "properties": {"first_name": {"type": "string"}}}

# The fields of ``GenerateContentRequest`` that matter here, as ai.google.dev documents them.
DOCUMENTED: dict[str, Any] = {
    "systemInstruction": {"parts": [{"text": "Be kind."}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "What is this?"},
                {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
                {"fileData": {"mimeType": "application/pdf", "fileUri": "https://x/files/1"}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {
                    "functionCall": {"id": "1", "name": "look", "args": {"at": "x"}},
                    "thoughtSignature": "QUFB",
                }
            ],
        },
        {
            "role": "user",
            "parts": [
                {
                    "functionResponse": {
                        "id": "1",
                        "name": "look",
                        "response": {"result": "a cat"},
                        "parts": [{"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}}],
                    }
                }
            ],
        },
    ],
    "tools": [{"functionDeclarations": [{"name": "look", "parametersJsonSchema": SCHEMA}]}],
    "toolConfig": {
        "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]},
    },
    "generationConfig": {
        "maxOutputTokens": 800,
        "candidateCount": 2,
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
        "thinkingConfig": {"thinkingBudget": 512, "includeThoughts": True},
    },
    "cachedContent": "cachedContents/7",
}


def encoded(fields: Any) -> bytes:
    """Return JSON as bytes."""
    return json.dumps(fields).encode()


def shape(model: str | None = "m", **fields: Any) -> RequestShape:
    """Return the shape of a request with one message and these fields."""
    return READER.shape(encoded({"contents": [USER], **fields}), model=model)


def in_snake_case(value: Any) -> Any:
    """Return JSON with every field by its other name, as Google's protobuf files write it."""
    if isinstance(value, dict):
        return {
            re.sub("[A-Z]", lambda letter: f"_{letter.group().lower()}", key): in_snake_case(inner)
            for key, inner in value.items()
        }
    return [in_snake_case(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("fields", [DOCUMENTED, in_snake_case(DOCUMENTED)])
def test_documented_fields_are_read_by_both_names(fields: dict[str, Any]) -> None:
    """Google's servers take ``maxOutputTokens`` and ``max_output_tokens`` alike."""
    body = encoded(fields)
    found = READER.shape(body, model="gemini-2.5-flash", stream=True)
    assert found == RequestShape(
        protocol=WireProtocol.GEMINI,
        model="gemini-2.5-flash",
        stream=True,
        body_bytes=len(body),
        output_budget=800,
        thinking_budget=512,
        n=2,
        needs=frozenset(Capability) - {Capability.PARALLEL_TOOLS, Capability.PREFILL},
        remote=2,
        demands=frozenset(
            {Demand.ANSWERS, Demand.AUDIO, Demand.DOCUMENT_URL, Demand.STATE},
        ),
    )
    measured = READER.measure(body)
    assert (measured.messages, measured.tools) == (3, 1)
    assert [len(kind) for kind in (measured.images, measured.documents, measured.audio)] == [1] * 3
    segments = {segment.value: stats.chars for segment, stats in measured.segments.items()}
    assert segments["system"] == len("Be kind.")
    declaration = fields["tools"][0]
    (tool,) = next(iter(declaration.values()))
    assert segments["tools"] == len(json.dumps(tool, separators=(",", ":")))
    assert segments["other"] == len(json.dumps(SCHEMA, separators=(",", ":")))
    said = ["What is this?", "look", '{"at":"x"}', "AAA", "look", '{"result":"a cat"}']
    assert segments["messages"] == len("".join(said))
    conversation = READER.conversation(body, READER.layout(body))
    assert conversation == READER.conversation(body)
    assert conversation.turn == 1
    assert conversation.continues


def test_the_model_stands_in_the_path_or_else_in_the_body() -> None:
    """With Google's prefix or without; where neither names one, there is nothing to route."""
    assert shape(model="a", contents=[USER]).model == "a"
    assert READER.shape(encoded({"model": "models/b", "contents": [USER]})).model == "b"
    assert READER.shape(encoded({"model": "b", "contents": []}), model="a").model == "a"
    with pytest.raises(RequestInvalid) as caught:
        shape(model=None)
    assert caught.value.path == "$.model"


def test_a_count_may_hold_a_whole_request() -> None:
    """``countTokens`` takes the contents alone or the request that is to be counted."""
    inner = {"model": "models/m", **DOCUMENTED}
    for name in ("generateContentRequest", "generate_content_request"):
        body = encoded({name: inner})
        assert READER.shape(body, counting=True).needs == shape(**DOCUMENTED).needs
        assert READER.measure(body) == READER.measure(encoded(inner))
        assert READER.conversation(body) == READER.conversation(encoded(inner))


def test_one_object_is_taken_for_a_list_of_it() -> None:
    """Examples for Vertex AI write contents and parts so."""
    one = encoded({"contents": {"parts": {"text": "hi"}}, "tools": {"googleSearch": {}}})
    many = encoded({"contents": [USER], "tools": [{"googleSearch": {}}]})
    assert READER.shape(one, model="m").needs == READER.shape(many, model="m").needs
    assert READER.measure(one) == READER.measure(many)
    assert READER.conversation(one) == READER.conversation(many)


@pytest.mark.parametrize(
    ("fields", "needs"),
    [
        ({}, set()),
        ({"tools": []}, set()),
        ({"tools": [{}]}, set()),
        ({"tools": [{"codeExecution": {}}]}, {Capability.TOOLS}),
        ({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, set()),
        ({"systemInstruction": {"parts": []}}, set()),
        ({"generationConfig": {"responseSchema": SCHEMA}}, {Capability.JSON_SCHEMA}),
        ({"generationConfig": {"responseMimeType": "application/json"}}, set()),
        ({"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}, set()),
        (
            {"generationConfig": {"thinkingConfig": {"thinkingBudget": -1}}},
            set(),
        ),
        (
            {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}},
            {Capability.REASONING},
        ),
        ({"contents": [USER, {"role": "model", "parts": [{"text": "{"}]}]}, {Capability.PREFILL}),
        (
            {"contents": [{"parts": [{"inlineData": {"mimeType": "video/mp4"}}]}]},
            {Capability.IMAGES},
        ),
        ({"contents": [{"parts": [{"inlineData": {"data": ""}}]}]}, {Capability.DOCUMENTS}),
        ({"contents": [{"parts": [{"inlineData": 3}]}]}, {Capability.DOCUMENTS}),
        ({"contents": [{"parts": [{"functionResponse": 3}]}]}, set()),
    ],
)
def test_needs_follow_from_what_is_really_asked_for(
    fields: dict[str, Any], needs: set[Capability]
) -> None:
    """Defaults and switched-off features need nothing; films are pictures."""
    assert shape(**fields).needs == needs


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"contents": "hi"}, "$.contents"),
        ({"contents": None}, "$.contents"),
        ({"contents": [3]}, "$.contents[0]"),
        ({"contents": [{"role": 3}]}, "$.contents[0].role"),
        ({"contents": [{"parts": "hi"}]}, "$.contents[0].parts"),
        ({"contents": [{"parts": ["hi"]}]}, "$.contents[0].parts[0]"),
        ({"systemInstruction": "hi"}, "$.systemInstruction"),
        ({"system_instruction": 3}, "$.system_instruction"),
        ({"tools": 3}, "$.tools"),
        ({"tools": [{"a": 1}], "toolConfig": 3}, "$.toolConfig"),
        ({"generationConfig": []}, "$.generationConfig"),
        ({"generationConfig": {"maxOutputTokens": -1}}, "$.generationConfig.maxOutputTokens"),
        ({"generationConfig": {"max_output_tokens": 1.5}}, "$.generationConfig.maxOutputTokens"),
        ({"generationConfig": {"candidateCount": 0}}, "$.generationConfig.candidateCount"),
        (
            {"generationConfig": {"thinkingConfig": {"thinking_budget": -2}}},
            "$.generationConfig.thinkingConfig.thinkingBudget",
        ),
    ],
)
def test_what_is_wrong_is_refused_where_it_is(fields: dict[str, Any], path: str) -> None:
    """The path leads to the field, by its documented name."""
    with pytest.raises(RequestInvalid) as caught:
        shape(**fields)
    assert caught.value.path == path


def test_numbers_may_be_written_as_text() -> None:
    """As protobuf's JSON writes large ones."""
    assert shape(generationConfig={"maxOutputTokens": "800"}).output_budget == 800


def test_a_conversation_is_known_by_the_users_own_words() -> None:
    """What Gemini CLI writes in the user's place is the same in every conversation of a folder."""

    def cli(words: str, *later: dict[str, Any]) -> Conversation:
        context = "<session_context>\nToday's date is Monday, January 5, 2026\n</session_context>"
        turns = [{"role": "user", "parts": [{"text": text}]} for text in (context, words)]
        return READER.conversation(encoded({"contents": [*turns, *later]}))

    call = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]}
    result = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]}
    first = cli("build it")
    assert cli("build it", call, result).turn == first.turn
    assert cli("build it", call, result, USER).turn == first.turn + 1
    assert cli("build it", call, result, USER).opening == first.opening
    assert not cli("build it", call, result, USER).continues
    assert cli("test it").opening != first.opening
