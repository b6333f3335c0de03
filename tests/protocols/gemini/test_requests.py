"""Prompts of the IR written as Gemini requests."""

import json
from typing import Any

import msgspec
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
    Refusal,
    Result,
    Role,
    Sampling,
    Seal,
    Text,
    Thinking,
    Thought,
    Tool,
    ToolChoice,
    Uploaded,
)
from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.codec import Changes, Target
from gatewayctl.protocols.gemini.codec import GeminiCodec
from gatewayctl.protocols.losses import Loss

CODEC = GeminiCodec()
ORIGIN = "google/m"
OLDER = "gemini-2.5-flash"  # wants no signature of a call that has none
HI = Message(role=Role.USER, parts=(Text(text="hi"),))
PICTURE = Image(source=Inline(media_type="image/png", data="AA"))
SCHEMA = b'{"type":"object","$defs":{"a":{}}}'


def prompt(*messages: Message, **fields: Any) -> Prompt:
    """Return a prompt of a chat client, of one message unless others are given."""
    plain = Prompt(protocol=WireProtocol.CHAT_COMPLETIONS, model="m", messages=messages or (HI,))
    return msgspec.structs.replace(plain, **fields)


def written(asked: Prompt, model: str = OLDER, **changes: Any) -> tuple[dict[str, Any], list[str]]:
    """Return the body that is written, and what it leaves out."""
    target = Target(origin=ORIGIN, changes=Changes(model=model, **changes))
    found = CODEC.write_prompt(asked, target)
    return json.loads(found.body), list(found.dropped)


def config(model: str = "m", **fields: Any) -> tuple[dict[str, Any], list[str]]:
    """Return the settings that are written, and what is left out."""
    body, dropped = written(prompt(**fields), model)
    return body.get("generationConfig", {}), dropped


def own(*parts: Part, model: str = OLDER) -> tuple[list[Any], list[str]]:
    """Return what is written of the parts of the model's own turn."""
    body, dropped = written(prompt(HI, Message(role=Role.ASSISTANT, parts=parts)), model)
    contents = body["contents"]
    return (contents[1]["parts"] if len(contents) > 1 else []), dropped


def proven(form: str, data: str = "sig", origin: str = ORIGIN, text: str = "") -> Thought:
    """Return a thought with its proof."""
    return Thought(text=text, seal=Seal(form=form, data=data, origin=origin))


def test_instructions_stand_apart_and_later_ones_in_their_place() -> None:
    """There is no such role among the turns; those of one role in a row are one."""
    body, dropped = written(
        prompt(
            Message(role=Role.SYSTEM, parts=(Text(text="a"), Text(text="b"))),
            Message(role=Role.DEVELOPER, parts=(Text(text="c"),)),
            HI,
            Message(role=Role.SYSTEM, parts=(Text(text="d"),)),
            Message(role=Role.ASSISTANT, parts=(Text(text="e"),)),
        )
    )
    assert body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}, {"text": "c"}]}
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "hi"}, {"text": "d"}]},
        {"role": "model", "parts": [{"text": "e"}]},
    ]
    assert dropped == [Loss.ROLE_OF_LATER_SYSTEM]


def test_instructions_alone_are_the_users_words() -> None:
    """A request without a turn is none."""
    body, _ = written(prompt(Message(role=Role.SYSTEM, parts=(Text(text="a"),))))
    assert body == {"contents": [{"role": "user", "parts": [{"text": "a"}]}]}


def test_results_come_first_and_their_pictures_beside_them() -> None:
    """Google wants as many results as calls, right behind them; names are found by id."""
    calls = (Call(id="1", name="f", arguments='{"a": 1.0}'), Call(id="2", name="g"))
    results = (
        Text(text="See:"),
        Result(id="1", content=(Text(text="x"), PICTURE, Text(text="y"))),
        Result(id="2", failed=True, content=(Text(text="no"),)),
    )
    body, _ = written(
        prompt(
            HI,
            Message(role=Role.ASSISTANT, parts=calls),
            Message(role=Role.USER, parts=results[:2]),
            Message(role=Role.USER, parts=results[2:]),
        )
    )
    assert body["contents"][1]["parts"] == [
        {"functionCall": {"id": "1", "name": "f", "args": {"a": 1.0}}},
        {"functionCall": {"id": "2", "name": "g", "args": {}}},
    ]
    assert body["contents"][2]["parts"] == [
        {"functionResponse": {"id": "1", "name": "f", "response": {"output": "x\ny"}}},
        {"functionResponse": {"id": "2", "name": "g", "response": {"error": "no"}}},
        {"inlineData": {"mimeType": "image/png", "data": "AA"}},
        {"text": "See:"},
    ]


def test_data_are_told_by_media_type_or_address() -> None:
    """A document that is plain text is text."""
    parts = (
        Audio(source=Inline(media_type="audio/wav", data="BB")),
        Image(source=Linked(url="https://x/a.jpg?b=1"), detail="high"),
        Document(source=Linked(url="https://x/y", media_type="application/pdf"), name="n"),
        Document(text="plain"),
        Document(source=Linked(url="https://x/y")),
    )
    body, dropped = written(prompt(Message(role=Role.USER, parts=parts)))
    assert body["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "audio/wav", "data": "BB"}},
        {"fileData": {"fileUri": "https://x/a.jpg?b=1", "mimeType": "image/jpeg"}},
        {"fileData": {"fileUri": "https://x/y", "mimeType": "application/pdf"}},
        {"text": "plain"},
        {"fileData": {"fileUri": "https://x/y"}},
    ]
    assert dropped == [Loss.IMAGE_DETAIL, Loss.DOCUMENT_NAME]


def test_a_file_of_another_provider_is_refused() -> None:
    """Only whom it was uploaded to has it."""
    message = Message(role=Role.USER, parts=(Document(source=Uploaded(id="file-1")),))
    with pytest.raises(RequestInvalid, match="uploaded"):
        written(prompt(message))


def test_a_signature_goes_back_on_the_part_it_came_with() -> None:
    """Exactly, or Google refuses the turn."""
    parts, dropped = own(
        proven("gemini.thought", "t", text="hm"),
        Text(text="said"),
        proven("gemini.text", "s"),
        proven("gemini.part", "p"),
        proven("gemini.call.1", "c1"),
        Call(id="0", name="f", seal=Seal(form="gemini.call.0", data="c0", origin=ORIGIN)),
        Call(id="1", name="g"),
    )
    assert parts == [
        {"text": "hm", "thought": True, "thoughtSignature": "t"},
        {"text": "said", "thoughtSignature": "s"},
        {"text": "", "thoughtSignature": "p"},
        {"functionCall": {"id": "0", "name": "f", "args": {}}, "thoughtSignature": "c0"},
        {"functionCall": {"id": "1", "name": "g", "args": {}}, "thoughtSignature": "c1"},
    ]
    assert dropped == []


def test_signatures_that_a_client_tells_before_all_else_find_their_parts() -> None:
    """Chat clients send the thoughts of a turn ahead; a call is found by its number."""
    ahead = (proven("gemini.text", "s"), proven("gemini.call.1", "c1"))
    calls = (Call(id="0", name="f"), Call(id="1", name="g"))
    parts, _ = own(*ahead, Text(text="a"), Text(text="b"), *calls)
    signed = [part.get("thoughtSignature") for part in parts]
    assert signed == ["s", None, None, "c1"]
    parts, _ = own(*ahead, calls[0])
    assert [part.get("thoughtSignature") for part in parts] == ["c1", "s"]


def test_thoughts_of_other_models_stay_behind() -> None:
    """And are recorded, once; what a model said in plain text is its own to read."""
    parts, dropped = own(
        Thought(text="whose?"),
        proven("gemini.thought", origin="google/other", text="no"),
        proven("messages.signature", text="no"),
        proven("text", text="mine"),
        Call(id="0", name="f", seal=Seal(form="gemini.call.0", data="x", origin="")),
    )
    assert parts == [
        {"text": "mine", "thought": True},
        {"functionCall": {"id": "0", "name": "f", "args": {}}},
    ]
    assert dropped == [Loss.REASONING_OF_ANOTHER]


@pytest.mark.parametrize(
    ("model", "stands_in"),
    [
        ("gemini-3-pro-preview", True),
        ("models/gemini-3.5-flash", True),
        ("gemini-flash-latest", True),
        ("of-a-name-not-known", True),
        ("gemini-2.5-pro", False),
        ("models/gemma-3-27b-it", False),
    ],
)
def test_the_first_call_of_a_turn_is_signed_where_a_model_insists(
    model: str, *, stands_in: bool
) -> None:
    """By Google's word for a history of another model's; only older ones do without."""
    parts, _ = own(Call(id="0", name="f"), Call(id="1", name="g"), model=model)
    word = "skip_thought_signature_validator"
    assert [part.get("thoughtSignature") for part in parts] == [word if stands_in else None, None]


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [('{"a":1}', {"a": 1}), ("", {}), ('{"a":', {"arguments": '{"a":'}), ("[]", None)],
)
def test_arguments_are_an_object_whatever_a_model_wrote(arguments: str, sent: Any) -> None:
    """A history with a broken call can still be sent."""
    (part,), _ = own(Call(id="0", name="f", arguments=arguments))
    assert part["functionCall"]["args"] == ({"arguments": "[]"} if sent is None else sent)


def test_tools_and_schemas_are_sent_as_json_schemas_as_they_are() -> None:
    """Google takes them beside its own form."""
    tools = (Tool(name="f", description="d", parameters=SCHEMA, strict=True), Tool(name="g"))
    body, dropped = written(prompt(tools=tools, format=Format(schema=SCHEMA, name="n")))
    assert body["tools"][0]["functionDeclarations"] == [
        {"name": "f", "description": "d", "parametersJsonSchema": json.loads(SCHEMA)},
        {"name": "g"},
    ]
    assert body["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": json.loads(SCHEMA),
    }
    assert dropped == [Loss.TOOL_STRICT, Loss.FORMAT_NAME]
    assert config(format=Format())[0] == {"responseMimeType": "application/json"}


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        (ToolChoice(mode=Mode.AUTO), {"mode": "AUTO"}),
        (ToolChoice(mode=Mode.NONE, names=("f",)), {"mode": "NONE"}),
        (ToolChoice(mode=Mode.REQUIRED), {"mode": "ANY"}),
        (
            ToolChoice(mode=Mode.REQUIRED, names=("f",)),
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
        (
            ToolChoice(mode=Mode.AUTO, names=("f", "g")),
            {"mode": "VALIDATED", "allowedFunctionNames": ["f", "g"]},
        ),
    ],
)
def test_a_choice_of_tools_is_a_mode_and_names(choice: ToolChoice, calling: Any) -> None:
    """A choice among some that need not call any has a mode of its own."""
    body, _ = written(prompt(tools=(Tool(name="f"), Tool(name="g")), tool_choice=choice))
    assert body["toolConfig"] == {"functionCallingConfig": calling}


def test_wishes_are_written_and_what_has_no_field_is_recorded() -> None:
    """The budget to be sent stands in place of the prompt's own."""
    sampling = Sampling(temperature=0.0, top_p=0.5, top_k=4, seed=1, presence_penalty=0.1)
    asked = prompt(
        sampling=sampling, stop=("a",), n=2, logprobs=3, output_budget=9, parallel=False,
        verbosity="low", user="u", metadata={"a": "b"}, store=True, tier="flex", fast=True,
    )  # fmt: skip
    body, dropped = written(asked, output_budget=8)
    assert body["generationConfig"] == {
        "temperature": 0.0,
        "topP": 0.5,
        "topK": 4,
        "seed": 1,
        "presencePenalty": 0.1,
        "stopSequences": ["a"],
        "candidateCount": 2,
        "responseLogprobs": True,
        "logprobs": 3,
        "maxOutputTokens": 8,
    }
    assert body["serviceTier"] == "flex"
    assert dropped == [
        Loss.PARALLEL, Loss.VERBOSITY, Loss.USER, Loss.METADATA, Loss.STORE, Loss.SPEED,
    ]  # fmt: skip


def test_what_the_config_sets_and_drops_has_the_last_word() -> None:
    """In the words of the written body."""
    body, _ = written(
        prompt(output_budget=9), set={"safetySettings": b"[1]"}, drop=("generationConfig",)
    )
    assert body["safetySettings"] == [1]
    assert "generationConfig" not in body


@pytest.mark.parametrize(
    ("model", "thinking", "sent"),
    [
        ("gemini-2.5-flash", Thinking(effort="medium"), {"thinkingBudget": 8192}),
        ("gemini-2.5-flash", Thinking(budget=31_999), {"thinkingBudget": 24_576}),
        ("gemini-2.5-pro", Thinking(budget=31_999), {"thinkingBudget": 31_999}),
        ("gemini-2.5-flash", Thinking(adaptive=True), {"thinkingBudget": -1}),
        ("gemini-2.5-flash", Thinking(off=True), {"thinkingBudget": 0}),
        ("gemini-2.5-pro", Thinking(off=True), {"thinkingBudget": 128}),
        ("gemini-3-pro-preview", Thinking(effort="medium"), {"thinkingLevel": "LOW"}),
        ("gemini-3-flash-preview", Thinking(budget=8000), {"thinkingLevel": "MEDIUM"}),
        ("gemini-3-flash-preview", Thinking(off=True), {"thinkingLevel": "MINIMAL"}),
        ("gemini-3.1-pro", Thinking(effort="max"), {"thinkingLevel": "HIGH"}),
        ("gemini-3-pro-preview", Thinking(adaptive=True), {}),
    ],
)
def test_thinking_is_a_budget_or_from_gemini_3_on_a_level(
    model: str, thinking: Thinking, sent: dict[str, Any]
) -> None:
    """As far as the model can: what thinks always cannot be kept from it."""
    found, _ = config(model, thinking=thinking)
    if sent.get("thinkingBudget") != 0:
        sent = {**sent, "includeThoughts": True}
    assert found["thinkingConfig"] == sent


def test_thinking_leaves_room_for_an_answer() -> None:
    """It is a part of the output; where nothing fits beside it, it is off, and on record."""
    found, dropped = config(thinking=Thinking(effort="high"), output_budget=4096)
    assert found["thinkingConfig"] == {"thinkingBudget": 3276, "includeThoughts": True}
    assert dropped == [Loss.REASONING_BUDGET]
    found, dropped = config(thinking=Thinking(effort="low"), output_budget=500)
    assert found["thinkingConfig"] == {"thinkingBudget": 0}
    assert dropped == [Loss.REASONING]


@pytest.mark.parametrize("model", ["gemini-2.0-flash", "models/gemini-1.5-pro", "gemma-3-27b-it"])
def test_models_without_thoughts_are_told_nothing_of_them(model: str) -> None:
    """Google refuses any word of it there."""
    found, dropped = config(model, thinking=Thinking(adaptive=True))
    assert "thinkingConfig" not in found
    assert dropped == [Loss.REASONING]
    found, dropped = config(model, thinking=Thinking(off=True))
    assert "thinkingConfig" not in found
    assert dropped == []


def test_hidden_thoughts_are_not_asked_for() -> None:
    """A client that wants none is told none."""
    found, _ = config(thinking=Thinking(effort="low", visible=False))
    assert found["thinkingConfig"] == {"thinkingBudget": 1024}


def test_a_refusal_is_said_and_a_cache_marker_is_not() -> None:
    """Google caches by itself, and has no word for a refusal but text."""
    parts, dropped = own(Refusal(text="no"), Text(text="a", cache="5m"))
    assert parts == [{"text": "no"}, {"text": "a"}]
    assert dropped == [Loss.REFUSAL, Loss.CACHE]
