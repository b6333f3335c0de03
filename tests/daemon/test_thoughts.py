"""Tool loops whose client sends back none of what the model thought."""

import json
from typing import Any

import pytest
from support.dialects import SCHEMA
from support.gateway import gateway
from support.upstream import FakeUpstream, sized

from gatewayctl.core.conversation import Remembered, Seal, Thought
from gatewayctl.daemon.thoughts import MOST, MOST_CHARACTERS, Thoughts

CONFIG = """
[providers.up]
kind = "openai-compatible"
base_url = "{}/v1"
auth = "none"
"""


def reply(*, call: bool) -> bytes:
    """Return a chat reply that thinks, and calls a tool or answers."""
    message: dict[str, Any] = {"role": "assistant", "content": None if call else "Sunny."}
    if call:
        function = {"name": "weather", "arguments": "{}"}
        message["tool_calls"] = [{"id": "functions.w:0", "type": "function", "function": function}]
        message["reasoning_content"] = "I had better ask."
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if call else "stop"}
    usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    return json.dumps({**head, "choices": [choice], "usage": usage}).encode()


@pytest.mark.parametrize("other", [False, True])
async def test_a_thought_comes_back_to_its_model_though_the_client_dropped_it(
    *, other: bool
) -> None:
    """As Claude Code does behind a route; to another model nothing is sent of it."""
    tools = [{"name": "weather", "input_schema": SCHEMA}]
    turns: list[Any] = [{"role": "user", "content": "How is the weather?"}]
    body = {"model": "up/m", "max_tokens": 200, "tools": tools, "messages": turns}
    replies = [sized(reply(call=True)), sized(reply(call=False))]
    async with FakeUpstream(replies) as upstream, gateway(CONFIG.format(upstream.base_url)) as it:
        async with it.client.post(f"{it.url}/v1/messages", json=body) as answer:
            blocks = (await answer.json())["content"]
        (call,) = (block for block in blocks if block["type"] == "tool_use")
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": "Sun"}
        turns += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
        model = "up/n" if other else "up/m"
        async with it.client.post(f"{it.url}/v1/messages", json={**body, "model": model}) as answer:
            assert answer.status == 200
    sent = json.loads(upstream.requests[1].body)["messages"][1]
    assert sent["tool_calls"][0]["id"] == "functions.w:0"
    assert sent.get("reasoning_content") == (None if other else "I had better ask.")


def thought(size: int) -> Remembered:
    """Return what was thought, of some length."""
    return Remembered(thoughts=(Thought(text="x" * size, seal=Seal(form="text", data="")),))


def test_only_the_latest_are_kept() -> None:
    """So many calls, and so many characters of all of them."""
    thoughts = Thoughts()
    keep = thoughts.keeping("up/m")
    for number in range(MOST + 1):
        keep(f"c{number}", thought(1))
    body = b'{"call_id":"c0"}{"call_id":"c1"}'
    assert list(thoughts.recalled("up/m", body)) == ["c1"]
    keep("large", thought(MOST_CHARACTERS))
    assert list(thoughts.recalled("up/m", body + b'{"call_id":"large"}')) == ["large"]
    keep("larger", thought(MOST_CHARACTERS + 1))
    assert not thoughts.recalled("up/m", b'{"call_id":"large"}{"call_id":"larger"}')


def test_each_model_has_thoughts_of_its_own() -> None:
    """Two models may call their calls alike."""
    thoughts = Thoughts()
    thoughts.keeping("up/m")("c1", thought(1))
    assert not thoughts.recalled("up/n", b'{"call_id":"c1"}')
