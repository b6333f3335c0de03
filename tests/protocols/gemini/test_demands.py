"""What a Gemini request demands that not every protocol can say."""

import json
from typing import Any

import pytest

from gatewayctl.core.errors import RequestInvalid
from gatewayctl.core.shape import Demand
from gatewayctl.protocols.gemini.codec import GeminiCodec

CODEC = GeminiCodec()
USER = {"role": "user", "parts": [{"text": "hi"}]}
TOOLS = [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}]


@pytest.mark.parametrize(
    ("fields", "demand"),
    [
        ({"cachedContent": "cachedContents/1"}, Demand.STATE),
        ({"generationConfig": {"responseModalities": ["IMAGE", "TEXT"]}}, Demand.MODALITY),
        ({"generationConfig": {"responseMimeType": "text/x.enum"}}, Demand.FORM),
        (
            {
                "tools": [{"googleSearch": {}}],
                "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
            },
            Demand.HOSTED_TOOL,
        ),
        (
            {"contents": {"parts": {"inlineData": {"mimeType": "video/mp4", "data": "AA"}}}},
            Demand.MODALITY,
        ),
    ],
)
def test_what_may_not_be_dropped_is_refused_and_known_to_routing(
    fields: dict[str, Any], demand: Demand
) -> None:
    """The shape tells the same demand, so that nobody is asked who cannot be told."""
    body = json.dumps({"contents": [USER], **fields}).encode()
    with pytest.raises(RequestInvalid) as caught:
        CODEC.read_prompt(body)
    assert str(demand) in str(caught.value)
    assert demand in CODEC.shape(body, model="m").demands


@pytest.mark.parametrize(
    ("fields", "demands"),
    [
        ({"generationConfig": {"candidateCount": 2}}, {Demand.ANSWERS}),
        ({"generationConfig": {"stopSequences": ["a"]}}, {Demand.STOP}),
        ({"generationConfig": {"responseMimeType": "application/json"}}, {Demand.JSON_OBJECT}),
        (
            {"contents": {"parts": {"fileData": {"fileUri": "https://x/a.pdf"}}}},
            {Demand.DOCUMENT_URL},
        ),
        (
            {
                "contents": {
                    "parts": {
                        "fileData": {
                            "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/1",
                            "mimeType": "image/png",
                        }
                    }
                }
            },
            {Demand.UPLOADED},
        ),
        (
            {
                "tools": TOOLS,
                "toolConfig": {
                    "functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}
                },
            },
            {Demand.ALLOWED_TOOLS},
        ),
        (
            {
                "tools": TOOLS,
                "toolConfig": {
                    "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}
                },
            },
            set(),
        ),
        ({"tools": TOOLS}, set()),
    ],
)
def test_what_not_every_protocol_can_say_is_known_to_routing(
    fields: dict[str, Any], demands: set[Demand]
) -> None:
    """And nothing else is."""
    body = json.dumps({"contents": [USER], **fields}).encode()
    assert CODEC.shape(body, model="m").demands == demands
