"""Thoughts that another provider proved, where both speak the client's protocol."""

import base64
import json
from typing import Any

from support.gateway import gateway
from support.upstream import FakeUpstream, sized

from gatewayctl.daemon.owners import MOST, Owners
from gatewayctl.protocols.provenance import MARK

PROOF = "EqQBCgIYAhIkMDEyMzQ1Njc4OWFiY2RlZg=="


def reply(proof: str) -> bytes:
    """Return a whole Messages reply with a thought in it."""
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": proof},
        {"type": "text", "text": "Hi"},
    ]
    usage = {"input_tokens": 3, "output_tokens": 2}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"}
    return json.dumps(
        {**message, "content": blocks, "stop_reason": "end_turn", "usage": usage}
    ).encode()


def second_turn(model: str) -> dict[str, Any]:
    """Return a request whose history holds that reply."""
    history = json.loads(reply(PROOF))["content"]
    turns = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": history},
        {"role": "user", "content": "Go on"},
    ]
    return {"model": model, "max_tokens": 100, "messages": turns}


def provider(name: str, url: str) -> str:
    """Return the configuration of a provider that speaks Messages."""
    return f"""
[providers.{name}]
kind = "openai-compatible"
base_url = "{url}/v1"
auth = "none"
protocols = ["messages"]
"""


async def test_thoughts_go_back_to_the_provider_that_proved_them_and_to_no_other() -> None:
    """The first gets its own history byte for byte, the second the same without the thought."""
    replies = [sized(reply(PROOF))] * 2
    async with FakeUpstream(replies) as one, FakeUpstream(replies) as two:
        async with gateway(provider("one", one.base_url) + provider("two", two.base_url)) as it:
            url = f"{it.url}/v1/messages"
            first = {**second_turn("one/m"), "messages": second_turn("one/m")["messages"][:1]}
            for body in (first, second_turn("one/m"), second_turn("two/m")):
                async with it.client.post(url, json=body) as answer:
                    assert answer.status == 200
        again, other = json.loads(one.requests[1].body), json.loads(two.requests[0].body)
    assert again["messages"] == second_turn("m")["messages"]
    assert other["messages"][1]["content"] == [{"type": "text", "text": "Hi"}]


async def test_thoughts_that_nobody_remembers_go_as_they_came() -> None:
    """After a restart nothing is known of them, and nothing is taken away on a guess."""
    async with FakeUpstream([sized(reply(PROOF))]) as two:
        async with (
            gateway(provider("two", two.base_url)) as it,
            it.client.post(f"{it.url}/v1/messages", json=second_turn("two/m")) as answer,
        ):
            assert answer.status == 200
        sent = json.loads(two.requests[0].body)
    assert sent["messages"] == second_turn("m")["messages"]


def test_a_proof_is_known_again_in_either_alphabet() -> None:
    """Some clients decode what is opaque and write it in the letters for URLs."""
    proof = base64.b64encode(bytes(range(200, 248)))
    owners = Owners()
    owners.saw("one", b'{"thoughtSignature": "' + proof + b'"}')
    for_urls = proof.translate(bytes.maketrans(b"+/", b"-_"))
    body = b'{"thought_signature":"' + for_urls + b'"}'
    assert MARK in owners.marked("two", b'{"thoughtSignature":"' + for_urls + b'"}')
    assert owners.marked("one", body) is body


def test_only_so_many_proofs_are_remembered() -> None:
    """The latest ones."""
    owners = Owners()
    bodies = [b'{"signature":"%040d"}' % number for number in range(MOST + 1)]
    for body in bodies:
        owners.saw("one", body)
    assert owners.marked("two", bodies[0]) is bodies[0]
    assert MARK in owners.marked("two", bodies[-1])
