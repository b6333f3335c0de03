"""Edits of a Gemini request on its way to an upstream of the same protocol."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayctl.core.conversation import Seal, Thought
from gatewayctl.core.errors import RequestInvalid
from gatewayctl.protocols import provenance
from gatewayctl.protocols.codec import Changes
from gatewayctl.protocols.gemini.codec import GeminiCodec
from gatewayctl.protocols.gemini.signatures import carried

CODEC = GeminiCodec()
OURS = carried([Thought(text="hm", seal=Seal(form="messages.signature", data="s"))], "up/a")
STAND_IN = "skip_thought_signature_validator"


def test_a_request_that_needs_no_change_is_the_very_same() -> None:
    """The model stands in the path, so most bodies are forwarded byte for byte."""
    body = b'{"contents" : [ {"parts":[{"text":"hi"}]} ], "x": 1.0}'
    assert CODEC.patch(body, Changes(model="m", strip_foreign=True)) is body


@pytest.mark.parametrize(
    ("told", "sent"),
    [
        (b'{"model":"models/m","contents":[]}', b'{"model":"models/m","contents":[]}'),
        (b'{"model":"m","contents":[]}', b'{"model":"m","contents":[]}'),
        (b'{"model":"models/x/m","contents":[]}', b'{"model":"models/m","contents":[]}'),
        (b'{"model":3,"contents":[]}', b'{"model":"models/m","contents":[]}'),
    ],
)
def test_a_model_in_the_body_is_the_upstreams(told: bytes, sent: bytes) -> None:
    """Google compares it with the path, where some clients write it twice."""
    assert CODEC.patch(told, Changes(model="m")) == sent


@pytest.mark.parametrize(
    ("told", "sent"),
    [
        (b'{"contents":[]}', b'{"contents":[],"generationConfig":{"maxOutputTokens":5}}'),
        (
            b'{"generationConfig": {"topK":1.0, "maxOutputTokens" : 9}}',
            b'{"generationConfig": {"topK":1.0, "maxOutputTokens" : 5}}',
        ),
        (
            b'{"generation_config":{"max_output_tokens":9}}',
            b'{"generation_config":{"max_output_tokens":5}}',
        ),
        (
            b'{"generationConfig":{"max_output_tokens":9,"maxOutputTokens":8}}',
            b'{"generationConfig":{"max_output_tokens":5,"maxOutputTokens":5}}',
        ),
        (
            b'{"generationConfig":null,"generation_config":{}}',
            b'{"generationConfig":null,"generation_config":{"maxOutputTokens":5}}',
        ),
        (b'{"generation_config":null}', b'{"generation_config":{"maxOutputTokens":5}}'),
    ],
)
def test_the_budget_goes_where_the_client_put_its_own(told: bytes, sent: bytes) -> None:
    """By either name of either field, and never by two that differ."""
    assert CODEC.patch(told, Changes(model="m", output_budget=5)) == sent


def test_what_the_config_sets_has_the_last_word_over_the_budget() -> None:
    """Whole fields of the body are set and dropped, as in every protocol."""
    changes = Changes(
        model="m", output_budget=5, set={"generationConfig": b"{}"}, drop=("safetySettings",)
    )
    body = b'{"safetySettings":[],"generationConfig":{"topK":1}}'
    assert CODEC.patch(body, changes) == b'{"generationConfig":{}}'


def stripped(parts: Any, model: str = "gemini-2.5-pro") -> Any:
    """Return what is left of a turn's parts."""
    turns = [{"parts": [{"text": "hi"}]}, {"role": "model", "parts": parts}]
    body = json.dumps({"contents": turns}).encode()
    sent = json.loads(CODEC.patch(body, Changes(model=model, strip_foreign=True)))
    assert sent["contents"][0] == turns[0]
    return sent["contents"][1]["parts"]


def test_thoughts_of_other_models_leave_the_history() -> None:
    """Google would refuse our tags; what was said and called stays, its own signatures too."""
    call = {"functionCall": {"name": "f", "args": {}}}
    assert stripped(
        [
            {"text": "hm", "thought": True},
            {"text": "", "thought": True, "thoughtSignature": OURS},
            {"text": "", "thought_signature": OURS},
            {"text": "said", "thoughtSignature": OURS},
            {**call, "thoughtSignature": OURS},
            {**call, "thoughtSignature": "Z29vZ2xl"},
        ]
    ) == [{"text": "said"}, call, {**call, "thoughtSignature": "Z29vZ2xl"}]


def test_a_call_of_another_model_is_sent_with_googles_word_for_it() -> None:
    """From Gemini 3 on a call without a signature is refused."""
    call = {"functionCall": {"name": "f"}}
    (sent,) = stripped([{**call, "thoughtSignature": OURS}], "gemini-3-pro-preview")
    assert sent == {**call, "thoughtSignature": STAND_IN}
    (sent,) = stripped([{**call, "thoughtSignature": OURS}], "gemini-2.5-pro")
    assert sent == call


def test_a_turn_of_thoughts_alone_is_not_left_without_parts() -> None:
    """Google refuses a turn of none."""
    assert stripped({"text": "", "thought": True, "thoughtSignature": OURS}) == [{"text": ""}]


def test_one_turn_alone_is_stripped_as_well() -> None:
    """One object is taken for a list of it."""
    turn = {"role": "model", "parts": [{"text": "a", "thoughtSignature": OURS}]}
    body = json.dumps({"contents": turn}).encode()
    sent = json.loads(CODEC.patch(body, Changes(model="m", strip_foreign=True)))
    assert sent["contents"] == {"role": "model", "parts": [{"text": "a"}]}


@settings(max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.sampled_from(["", OURS, "x"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["parts", "text", "thoughtSignature", "functionCall", "thought"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=10,
    )
)
def test_whatever_the_contents_are_no_tag_of_ours_is_left_in_a_signature(contents: Any) -> None:
    """Nothing but a refusal comes of an odd body."""
    body = json.dumps({"contents": contents}).encode()
    try:
        sent = CODEC.patch(body, Changes(model="m", strip_foreign=True))
    except RequestInvalid:
        return
    turns = json.loads(sent)["contents"]
    for turn in turns if isinstance(turns, list) else [turns]:
        parts = turn.get("parts") if isinstance(turn, dict) else None
        for part in parts if isinstance(parts, list) else [parts]:
            signature = part.get("thoughtSignature") if isinstance(part, dict) else None
            assert not isinstance(signature, str) or provenance.tagged(signature) is None
