"""Google's two APIs behind one provider: each client is served at the nearest of them."""

import json
from typing import Any

from support.gateway import gateway
from support.upstream import FakeUpstream, sized

CHAT: Any = {"model": "gemini/m", "messages": [{"role": "user", "content": "Hello"}]}
MESSAGES: Any = {**CHAT, "max_tokens": 99}


def config(base_url: str) -> str:
    """Return a config with Google's API at an address without a version."""
    return f"""
[providers.gemini]
base_url = "{base_url}"
api_key = "sk-google"
[[models]]
id = "gemini/m"
context_window = 1048576
"""


async def test_a_chat_is_asked_at_the_compatible_address() -> None:
    """It needs no translation there; the key is a Bearer's."""
    message = {"role": "assistant", "content": "Hi"}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    reply = sized(json.dumps({"choices": choices}).encode())
    async with FakeUpstream([reply]) as upstream, gateway(config(upstream.base_url)) as it:
        async with it.client.post(f"{it.url}/v1/chat/completions", json=CHAT) as answer:
            assert answer.status == 200
        (sent,) = upstream.requests
    assert sent.target == "/v1beta/openai/chat/completions"
    assert sent.header("Authorization") == b"Bearer sk-google"
    assert json.loads(sent.body) == {**CHAT, "model": "m"}


async def test_everybody_else_is_asked_for_natively() -> None:
    """Translated, with the key in Google's own header."""
    candidate = {"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}
    reply = sized(json.dumps({"candidates": [candidate]}).encode())
    async with FakeUpstream([reply]) as upstream, gateway(config(upstream.base_url)) as it:
        async with it.client.post(f"{it.url}/v1/messages", json=MESSAGES) as answer:
            told = await answer.json()
        (sent,) = upstream.requests
    assert [block["text"] for block in told["content"]] == ["Hi"]
    assert sent.target == "/v1beta/models/m:generateContent"
    assert sent.header("x-goog-api-key") == b"sk-google"
    assert sent.header("Authorization") is None
    assert json.loads(sent.body) == {
        "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
        "generationConfig": {"maxOutputTokens": 99},
    }
