"""Gemini's native listing: pages, prefixed names, an input limit that is no window."""

from typing import Any

import pytest
from support.listings import drive

from gatewayctl.core.errors import SourceFailed
from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims

BASE = "https://host.example/v1beta/openai"
FIRST = "/v1beta/models?pageSize=1000"
GENERATES = ["generateContent", "countTokens"]


def _entry(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": f"models/{name}", "supportedGenerationMethods": GENERATES, **fields}


def test_it_is_asked_beside_the_compatible_api_and_says_input_and_output() -> None:
    """Input and output are limits of their own; their sum is nobody's claim."""
    pro = _entry("gemini-x-pro", inputTokenLimit=1048576, outputTokenLimit=65536, thinking=True)
    found = drive("gemini", {FIRST: {"models": [pro]}}, base=BASE)
    assert found.models == {
        "gemini-x-pro": Claims(
            max_input_tokens=1048576,
            max_output_tokens=65536,
            capabilities={Capability.REASONING: True},
        )
    }
    for base in (BASE.removesuffix("/openai"), BASE.removesuffix("/v1beta/openai")):
        assert drive("gemini", {FIRST: {"models": [pro]}}, base=base).models


def test_what_generates_no_content_is_left_out_by_that_name() -> None:
    """Embeddings, images and answers from elsewhere are other APIs."""
    listed = [
        {"name": "models/embed", "supportedGenerationMethods": ["embedContent"]},
        {"name": "models/none"},
        {"name": "models/"},
        _entry("chat"),
    ]
    found = drive("gemini", {FIRST: {"models": listed}}, base=BASE)
    assert list(found.models) == ["chat"]
    assert found.skipped == {"generates no content": 2, "no model id": 1}


def test_pages_follow_their_token() -> None:
    """A page may have no models and still lead to the next; an empty token is the end."""
    replies = {
        FIRST: {"models": [_entry("a")], "nextPageToken": "t=1"},
        f"{FIRST}&pageToken=t%3D1": {"nextPageToken": "t2"},
        f"{FIRST}&pageToken=t2": {"models": [_entry("b")], "nextPageToken": ""},
    }
    assert list(drive("gemini", replies, base=BASE).models) == ["a", "b"]


@pytest.mark.parametrize("token", [7, ["t"], {}, False])
def test_a_token_that_is_none_is_a_failure(token: object) -> None:
    """Half a listing must not pass for a whole one."""
    with pytest.raises(SourceFailed, match="not where"):
        drive("gemini", {"models": [_entry("a")], "nextPageToken": token}, base=BASE)
